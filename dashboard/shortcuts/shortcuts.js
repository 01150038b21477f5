const LISTED = 12;

export default function ({ data, parentElement, setTriggerValue }) {
  const { signal, end } = newCall(parentElement);
  const [keys, jump] = ["keys", "jump"].map((name) => parentElement.querySelector(`.${name}`));
  let at = 0;

  function showKeys() {
    const list = element("dl");
    for (const [key, what] of data.keys) list.append(element("dt", "", key), element("dd", "", what));
    keys.setAttribute("aria-label", "Keys of this page");
    keys.replaceChildren(element("h2", "", "Keys of this page"), list,
      buttonOf("Close", () => keys.close()));
    keys.showModal();
    keys.scrollTop = 0; // the focus is on the button below
  }

  function showJump() {
    const input = element("input"), list = element("div", "list");
    input.placeholder = "Page, run, view, class or id of an image";
    input.setAttribute("aria-label", input.placeholder);
    input.oninput = () => { at = 0; fill(); };
    input.onkeydown = (event) => {
      const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
      if (step) {
        at = Math.min(Math.max(at + step, 0), list.children.length - 1);
        mark();
      } else if (event.key === "Enter") list.children[at]?.click();
      else return;
      event.preventDefault();
    };
    const mark = () => [...list.children].forEach((each, i) => {
      each.setAttribute("aria-current", String(i === at));
      if (i === at) each.scrollIntoView({ block: "nearest" });
    });
    function fill() {
      const text = input.value.trim().toLowerCase();
      const found = data.places.filter(([, , title]) => title.toLowerCase().includes(text));
      const shown = found.slice(0, LISTED);
      if (text) shown.push(["image", input.value.trim(), input.value.trim()]);
      list.replaceChildren(...shown.map(([kind, name, title]) => {
        const place = buttonOf(undefined, () => {
          jump.close();
          setTriggerValue("go", [kind, name]);
        }, "place");
        place.append(element("span", "", title),
          element("span", "", kind === "image" ? "images with this id" : kind));
        return place;
      }));
      mark();
    }
    jump.setAttribute("aria-label", "Jump to");
    jump.replaceChildren(input, list);
    fill();
    jump.showModal();
    input.focus();
  }

  const pressed = (event) => {
    const typing = event.composedPath()[0].closest?.("input, textarea, select, [contenteditable]");
    if ((event.ctrlKey || event.metaKey) && event.key.toLowerCase() === "k") {
      event.preventDefault();
      if (jump.open) jump.close();
      else {
        keys.close();
        showJump();
      }
    } else if (event.key === "?" && !typing && !keys.open && !jump.open) showKeys();
  };
  for (const each of [keys, jump]) {
    each.onclick = (event) => { if (event.target === each) each.close(); };
    each.onkeydown = (event) => {
      event.stopPropagation(); // no key of the page behind it
      pressed(event);
    };
  }
  window.addEventListener("keydown", pressed, { signal });
  return end;
}
