// Runs before Streamlit's own scripts.
(() => {
  // Without this, Streamlit would look for its server below the address of each page, too.
  const pages = /\/(?:PAGES)?\/?$/;
  window.__streamlit = { BACKEND_BASE_URL: location.origin + location.pathname.replace(pages, "/") };

  // The style sheet makes some pages wider than others.
  const notePage = () => {
    document.documentElement.dataset.page = location.pathname.split("/").at(-1);
  };
  notePage();
  window.addEventListener("popstate", notePage);

  // Streamlit adds an entry to the browser's history for every change of the address. Going back
  // is for pages and filters; turning a page or stepping to the next image replaces the entry.
  const STEPS = ["page", "picture", "image", "seed"];
  const DEFAULTS = ["run", "with", "on"]; // added to the address when they are missing
  const push = history.pushState.bind(history);
  history.pushState = (state, title, address) => {
    const [old, next] = [new URL(location.href), new URL(address ?? "", location.href)];
    for (const name of DEFAULTS) if (!old.searchParams.has(name)) next.searchParams.delete(name);
    for (const each of [old, next]) {
      for (const name of STEPS) each.searchParams.delete(name);
      each.searchParams.sort();
    }
    if (old.href === next.href) history.replaceState(state, title, address);
    else push(state, title, address);
    notePage();
  };

  // On a narrow screen Streamlit calls the button of the page list "Expand sidebar", and the
  // categories are one row, in which the chosen one may lie out of sight.
  let chosen = null;
  new MutationObserver(() => {
    const button = document.querySelector("[data-testid=stExpandSidebarButton]");
    if (button && button.ariaLabel !== "Pages") button.ariaLabel = "Pages";
    const now = document.querySelector(":is([class*=st-key-filter_show], [class*=st-key-compare_part]) [aria-checked=true]");
    if (now && now !== chosen) {
      const { left, right } = now.parentElement.getBoundingClientRect();
      const at = now.getBoundingClientRect();
      now.parentElement.scrollLeft += (at.left + at.right - left - right) / 2;
    }
    chosen = now;
  }).observe(document.body, { childList: true, subtree: true });

  // Streamlit folds the page list after a choice on phones only, not in a narrow window.
  document.addEventListener("click", (event) => {
    if (window.innerWidth >= 768 || !event.target.closest("[data-testid=stSidebarNavLink]")) return;
    setTimeout(() => document.querySelector(
      "[data-testid=stSidebar][data-collapsed=false] [data-testid=stSidebarCollapseButton] button")?.click());
  });

  // To the first image, or where there is none to the page's content.
  document.querySelector(".sl-skip").onclick = (event) => {
    event.preventDefault();
    const tile = [...document.querySelectorAll(".stMain *")].map((each) => each.shadowRoot)
      .find((root) => root?.querySelector(".tile"))?.querySelector(".tile[tabindex='0']");
    const main = tile ?? document.querySelector(".stMainBlockContainer");
    if (main !== tile) main.tabIndex = -1;
    main.focus();
  };
})();
