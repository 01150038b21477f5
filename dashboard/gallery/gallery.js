const SHAPES = {
  incorrect: "M1.5 1.5l7 7M8.5 1.5l-7 7", correct: "M1 5.5l3 3 5-7", unlabelled: "M1 5h8",
};
const WORDS = { incorrect: "incorrect", correct: "correct", unlabelled: "no label" };

function mark(outcome) {
  const box = element("span", "mark");
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  svg.setAttribute("viewBox", "0 0 10 10");
  const path = document.createElementNS("http://www.w3.org/2000/svg", "path");
  path.setAttribute("d", SHAPES[outcome]);
  svg.append(path);
  box.append(svg, element("span", "", WORDS[outcome]));
  return box;
}

function lineOf(name, value) {
  const line = element("div", "line");
  line.append(element("span", "names", name), element("span", "figure", value));
  return line;
}

function tileOf(tile, decoded) {
  const button = buttonOf(undefined, null, `tile ${tile.outcome}`);
  button.dataset.id = tile.id;
  button.tabIndex = -1;
  button.title = tile.outcome === "incorrect"
    ? `${tile.id}: true ${tile.true}, predicted ${tile.predicted}` : tile.id;
  const frame = element("div", "frame");
  if (tile.src) {
    const image = decoded ?? element("img");
    const tall = () => image.classList.toggle("tall", image.naturalHeight > image.naturalWidth);
    image.alt = tile.id;
    image.decoding = "sync";
    image.onload = tall;
    if (decoded) tall();
    else image.src = tile.src;
    frame.append(image);
  } else {
    frame.append(element("span", "unreadable", `cannot be read: ${tile.unreadable}`));
  }
  frame.append(mark(tile.outcome), element("span", "check", "✓"));
  if (tile.verdict) frame.append(element("span", "verdict", tile.verdict));
  const names = element("span", "names");
  if (tile.outcome === "incorrect") names.append(element("span", "", tile.true), " → ", element("b", "", tile.predicted));
  else names.append(element("b", "", tile.predicted));
  const first = element("div", "line");
  first.append(names);
  button.append(frame, ...(tile.predicted ? [first] : []), lineOf(tile.pName, tile.p));
  if (tile.loss) button.append(lineOf("loss", tile.loss));
  if (tile.tags) button.append(element("div", "tags", tile.tags));
  if (tile.reason) button.append(element("div", "reason", tile.reason));
  return button;
}

// Whether the server has answered everything, so that the page is what its names say.
function answered() {
  return document.querySelector("[data-testid=stApp]")?.dataset.testScriptState === "notRunning";
}

export default function ({ data, parentElement, setTriggerValue, setStateValue }) {
  const { signal, end } = newCall(parentElement);
  const grid = parentElement.querySelector(".grid");
  const turns = parentElement.querySelector(".turns");
  const tiles = () => [...grid.children];

  const known = data.page && grid.shown?.page === data.page;
  const next = known ? grid.shown : { ...data, sources: undefined, tiles: tilesOf(data) };
  document.body.removeAttribute("data-ahead");
  if (data.first) firstPages.set(data.first, data.page);
  const same = known || (!data.page && JSON.stringify(grid.shown) === JSON.stringify(next));
  if (!same) {
    grid.classList.toggle("strip", data.strip);
    grid.classList.toggle("choosable", Boolean(data.choosable));
    nameGroup(grid, data.choosable ? "Images; arrow keys move, Enter opens, Space chooses"
      : "Images; arrow keys move, Enter opens");
    show(next);
  }
  if (!(grid.messages?.at(-1)?.n > data.lastMessage)) marked(() => true, (id) => data.chosen.includes(id));
  if (data.turns.join() !== turns.words) {
    turns.words = data.turns.join();
    turns.replaceChildren(...[-1, 1].flatMap((step, i) => {
      if (!data.turns[i]) return [];
      const button = buttonOf(data.turns[i]);
      button.dataset.step = step;
      return [button];
    }));
  }

  function show(next, images = []) {
    const hadFocus = parentElement.activeElement;
    const focusedId = hadFocus?.dataset.id;
    if (grid.shown?.page) {
      keepPage(grid.shown.page, { ...grid.shown, images: tiles().map((t) => t.querySelector("img")) });
    }
    grid.shown = next;
    grid.classList.toggle("plain", !next.marks);
    grid.classList.remove("stale");
    markDrawn(parentElement);
    grid.replaceChildren(...next.tiles.map((tile, i) => tileOf(tile, images[i])));
    if (grid.children.length) grid.children[0].tabIndex = 0;
    if (grid.wanted !== undefined) focusOn(grid.wanted);
    else if (hadFocus?.closest(".grid")) {
      (tiles().find((t) => t.dataset.id === focusedId) ?? tiles()[0])?.focus();
    }
  }
  function showKept(page) {
    const { tiles, marks, images } = keptPages.get(page);
    show({ page, tiles, marks }, images);
    keptPages.delete(page);
  }
  function marked(which, chosen) {
    if (!data.choosable) return;
    for (const tile of tiles().filter(which)) {
      tile.setAttribute("aria-pressed", String(chosen(tile.dataset.id)));
    }
  }
  function choose(message) {
    setStateValue("messages", queued(grid, data.lastMessage, message));
  }
  function chooseTile(tile, range) {
    const all = tiles(), to = all.indexOf(tile), from = all.findIndex((t) => t.dataset.id === grid.anchor);
    if (range && grid.anchor !== undefined) {
      const [a, b] = from < 0 ? [to, to] : [Math.min(from, to), Math.max(from, to)];
      marked((_, i) => i >= a && i <= b, () => true);
      choose({ from: grid.anchor, to: tile.dataset.id });
    } else {
      const on = tile.getAttribute("aria-pressed") !== "true";
      marked((t) => t === tile, () => on);
      choose({ ids: [tile.dataset.id], on });
    }
    grid.anchor = tile.dataset.id;
  }
  function focusOn(id) {
    const tile = tiles().find((t) => t.dataset.id === id);
    if (!tile) return false;
    moveFocus(tiles(), tile);
    return true;
  }
  function turn(step) {
    if (data.turns[step < 0 ? 0 : 1]) {
      // The next page is usually prefetched: show it at once, and notify the server.
      if (step > 0 && grid.shown.page === data.page && isKept(data.following)) showKept(data.following);
      setTriggerValue("turn", step);
      const host = parentElement.host;
      if (step && host.getBoundingClientRect().top < 0) host.scrollIntoView({ block: "start" });
    }
  }

  grid.onclick = (event) => {
    const tile = event.target.closest(".tile");
    if (!tile || grid.banded) return;
    moveFocus(tiles(), tile);
    const chooses = event.shiftKey || event.ctrlKey || event.metaKey || event.target.closest(".check");
    if (data.choosable && chooses) chooseTile(tile, event.shiftKey);
    else {
      const { address } = grid.shown.tiles.find(({ id }) => id === tile.dataset.id);
      if (address) goTo("errors", address);
      else setTriggerValue("open", tile.dataset.id);
    }
  };
  rubberBand(grid, (all) => marked((tile) => all.includes(tile), () => true), (all) => {
    if (all.length) choose({ ids: all.map((tile) => tile.dataset.id), on: true });
  });
  turns.onclick = (event) => {
    const step = Number(event.target.dataset?.step);
    if (step) turn(step);
  };
  grid.onkeydown = (event) => {
    const all = tiles();
    const at = all.indexOf(parentElement.activeElement);
    if (at >= 0 && data.choosable && (event.ctrlKey || event.metaKey) && event.key === "a") {
      event.preventDefault();
      marked(() => true, () => true);
      choose({ all: true });
    }
    if (at < 0 || event.ctrlKey || event.metaKey || event.altKey) return;
    const top = all[0].offsetTop;
    const below = all.findIndex((t) => t.offsetTop !== top);
    const columns = below < 0 ? all.length : below;
    const to = {
      ArrowLeft: at - 1, ArrowRight: at + 1, ArrowUp: at - columns, ArrowDown: at + columns,
      Home: 0, End: all.length - 1,
    }[event.key];
    if (event.key === "PageDown") turn(1);
    else if (event.key === "PageUp") turn(-1);
    else if (event.key === " " && data.choosable) chooseTile(all[at], event.shiftKey);
    else if (to === undefined) return;
    else if (all[to]) moveFocus(all, all[to]);
    event.preventDefault();
  };

  const resize = () => {
    const size = data.strip ? null : tileSize();
    grid.classList.toggle("sized", size !== null);
    grid.style.setProperty("--tile", size === null ? "" : `${size}px`);
  };
  const wheel = (event) => {
    if (!event.ctrlKey || data.strip) return;
    event.preventDefault(); // the browser would enlarge the whole page
    const notches = Math.min(Math.max(event.deltaY / 100, -3), 3);
    setTileSize((tileSize() ?? usualTileSize()) / 1.1 ** notches);
  };
  resize();
  window.addEventListener(TILE, resize, { signal });
  // What a switch of the page is about to replace is dimmed at once, before its heading changes; a
  // category that is kept is shown at once, and the sentence above is dimmed until the answer.
  const switched = ({ target }) => {
    const button = target.closest(".stButtonGroup [aria-checked='false'], .stPagination button:enabled");
    if (!button) return;
    const choices = button.closest("[class*='st-key-filter_show']")?.querySelectorAll("[aria-checked]");
    const page = firstPages.get(data.categories[[...(choices ?? [])].indexOf(button)]);
    if (page && answered() && isKept(page)) {
      document.body.setAttribute("data-ahead", "");
      showKept(page);
      return;
    }
    grid.classList.add("stale");
    clearTimeout(grid.fresh);
    grid.fresh = setTimeout(() => grid.classList.remove("stale"), 3000);
  };
  document.addEventListener("click", switched, { signal, capture: true }); // before Streamlit's
  grid.addEventListener("wheel", wheel, { passive: false, signal });

  // The viewer reports the image shown last; return the focus to it.
  const closed = (event) => {
    if (!focusOn(event.detail)) grid.wanted = event.detail;
    else grid.wanted = undefined;
  };
  window.addEventListener("second-look-viewer-closed", closed, { signal });
  return end;
}
