// Prepended to the script of every component. Text is set by textContent only.
function element(name, className, text) {
  const made = document.createElement(name);
  if (className) made.className = className;
  if (text !== undefined) made.textContent = text;
  return made;
}

function buttonOf(text, act, className) {
  const made = element("button", className, text);
  made.type = "button";
  if (act) made.onclick = act;
  return made;
}

function imageOf(src) { // a data URI made by the server
  const made = element("img");
  made.alt = "";
  made.src = src;
  return made;
}

// Go to another page as a link does. A message to the server would draw this page once more first.
function goTo(page, parameters) {
  const address = new URL(page, window.__streamlit.BACKEND_BASE_URL);
  address.search = new URLSearchParams(parameters);
  history.pushState({}, "", address);
  window.dispatchEvent(new PopStateEvent("popstate"));
}

// The tiles of a page with their images, which come in an Arrow table beside them.
function tilesOf(data) {
  const sources = data.sources.getChild("src");
  return data.tiles.map((tile, i) => ({ ...tile, src: sources.get(i) }));
}

// Pages of tiles that the browser can show again at once, the oldest first: tiles, their decoded
// images, and whether they are marked. Their names depend on all that they show. Under the name of
// a category's first page, which the server gives before it computes it, stands the page's name.
const KEPT = 12;
const keptPages = (window.secondLookPages ??= new Map());
const firstPages = (window.secondLookFirstPages ??= new Map());
function keepPage(name, page) {
  keptPages.delete(name);
  keptPages.set(name, page);
  while (keptPages.size > KEPT) keptPages.delete(keptPages.keys().next().value);
}
function isKept(name) {
  const page = keptPages.get(name);
  if (page) keepPage(name, page); // as the newest
  return Boolean(page);
}

// End what the previous call of a script listened to, and return what ends this one. Streamlit
// calls a script again for new data, and its clean-up only when the component is removed.
const calls = new WeakMap();
function newCall(parentElement) {
  calls.get(parentElement)?.abort();
  const call = new AbortController();
  calls.set(parentElement, call);
  return { signal: call.signal, end: () => call.abort() };
}

// Tell the style sheet that the component needs no more room than it takes.
function markDrawn(parentElement) {
  parentElement.host.dataset.drawn = "";
}

// Name a group of buttons for screen readers.
function nameGroup(box, label) {
  box.setAttribute("role", "group");
  box.setAttribute("aria-label", label);
  return box;
}

// The size of the gallery's tiles in pixels, which the browser keeps; null for the usual one.
const TILE = "second-look-tile-size";
function tileSize() {
  return Number(localStorage.getItem(TILE)) || null;
}
function usualTileSize() {
  return Math.min(Math.max(136, 0.06 * window.innerWidth), 220);
}
function setTileSize(pixels) {
  localStorage.setItem(TILE, String(Math.min(Math.max(Math.round(pixels), 88), 448)));
  window.dispatchEvent(new Event(TILE));
}

// Add a message to those that the server may not have received, and return them all.
function queued(host, lastMessage, message) {
  const sent = host.messages ?? [];
  const n = Math.max(Date.now(), lastMessage + 1, (sent.at(-1)?.n ?? 0) + 1);
  host.messages = [...sent.filter((one) => one.n > lastMessage), { ...message, n }];
  return host.messages;
}

// Move the focus within a group that the Tab key enters once.
function moveFocus(all, to) {
  for (const other of all) other.tabIndex = other === to ? 0 : -1;
  to.focus();
}
