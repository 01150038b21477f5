// Draws into the viewer, which reports the image it shows.
const PATIENCE = 250; // milliseconds between requests for the answer

function nearOf(near, open) {
  const button = buttonOf(undefined, () => open(near.id), near.other ? "near other" : "near");
  button.disabled = !near.known;
  button.title = `${near.id}: ${near.label}, distance ${near.distance}`;
  button.setAttribute("aria-label", button.title);
  button.append(near.src ? imageOf(near.src) : element("i", "", "cannot be read"));
  const line = element("span", "line");
  line.append(element("b", "", near.label), element("span", "", near.distance));
  button.append(line);
  return button;
}

export default function ({ data, parentElement, setTriggerValue }) {
  const host = parentElement.querySelector(".explanation-host");
  const { signal, end } = newCall(parentElement);
  if (data.state) host.answer = data; // kept when the page is redrawn
  const follow = () => draw();
  window.addEventListener("second-look-viewer", follow, { signal });
  signal.addEventListener("abort", () => clearTimeout(host.timer));
  draw();
  return end;

  function draw() {
    clearTimeout(host.timer);
    const viewer = window.secondLookViewer;
    if (!viewer) return;
    if (viewer.id === undefined) {
      host.asked = false;
      return;
    }
    const find = (selector) => viewer.dialog.querySelector(selector);
    const [button, box, heat] = [find(".explain"), find(".explanation"), find(".heat")];
    button.onclick = toggle;
    viewer.dialog.toggleExplanation = toggle;
    button.setAttribute("aria-pressed", String(Boolean(host.asked)));
    const answer = host.answer?.id === viewer.id ? host.answer : {};
    const here = answer.state, waiting = Boolean(host.asked && (!here || here === "looking"));
    button.classList.toggle("waiting", waiting); // what the text says may be out of sight
    button.setAttribute("aria-busy", String(waiting));
    if (!host.asked || here !== "found") heat.removeAttribute("src");
    pair(find, here === "found");
    const fill = (...parts) => {
      const focused = box.contains(box.getRootNode().activeElement);
      box.replaceChildren(...parts);
      if (focused) button.focus(); // otherwise the view would receive no more keys
    };
    if (!host.asked && !box.hidden) fill();
    box.hidden = !host.asked;
    if (!host.asked) return;
    if (waiting) {
      if (!box.querySelector(".calm")) {
        fill(element("h3", "", "Explanation"), element("p", "calm", "Computing…"));
        box.scrollIntoView({ block: "nearest" });
      }
      const ask = () => {
        host.timer = setTimeout(ask, 4 * PATIENCE); // in case the page was busy
        setTriggerValue("want", viewer.id);
      };
      host.timer = setTimeout(ask, here ? PATIENCE : 0);
      return;
    }
    if (here === "failed") {
      fill(element("h3", "", "Explanation"), element("p", "", answer.message));
      return;
    }
    if (answer.missing?.running) {
      const ask = () => {
        host.timer = setTimeout(ask, 8 * PATIENCE);
        setTriggerValue("want", viewer.id);
      };
      host.timer = setTimeout(ask, 4 * PATIENCE);
    }
    if (answer.missing && box.shown?.missing && box.shown.id === answer.id && box.missing?.isConnected) {
      box.shown = answer;
      const focused = box.missing.contains(box.getRootNode().activeElement);
      box.missing.replaceChildren(...missingOf(answer));
      if (focused) button.focus();
      box.shownMap();
      return;
    }
    if (box.shown === answer && box.querySelector(".choice")) {
      if (data.runs.length) box.shownPanes();
      else box.shownMap();
      return;
    }
    box.shown = answer;
    if (data.runs.length) both(answer, box, find, fill);
    else found(answer, box, heat, fill);
  }

  function missingOf({ id, missing: { text, button } }) {
    const compute = buttonOf(button, () => {
      compute.disabled = true;
      setTriggerValue("compute", id);
    });
    return [element("p", "", text), ...(button ? [compute] : [])];
  }

  function toggle() {
    host.asked = host.fresh = !host.asked;
    draw();
  }

  // The second stage has the same image; it is shown for two runs only.
  function pair(find, found) {
    const twin = find(".twin"), on = Boolean(host.asked && data.runs.length);
    const image = find(".stage img");
    twin.hidden = !on;
    if (on && image.src) twin.querySelector("img").src = image.src;
    [find(".stage"), twin].forEach((stage, i) => {
      if (!on || !found) stage.querySelector(".heat").removeAttribute("src");
      stage.querySelector(".run").textContent = on ? data.runs[i] : "";
    });
  }

  function both({ maps }, box, find, fill) {
    const choice = nameGroup(element("div", "choice"), "Heat maps over the images");
    const ways = [...maps, { name: "Hide heat maps", panes: data.runs.map((text) => ({ text })) }];
    const buttons = ways.map((way, i) => buttonOf(way.name, () => show(i)));
    choice.append(...buttons);
    function show(i) {
      buttons.forEach((button, at) => button.setAttribute("aria-pressed", String(at === i)));
      [find(".stage"), find(".twin")].forEach((stage, at) => {
        const { src, text } = ways[i].panes[at];
        const heat = stage.querySelector(".heat");
        if (src) heat.src = src;
        else heat.removeAttribute("src");
        stage.querySelector(".run").textContent = text;
      });
      box.shownPanes = () => show(i);
    }
    show(0);
    fill(element("h3", "", "Explanation"), choice, element("p", "legend",
      "Warm areas: evidence for the class below the image. A network uses only the outlined square."));
    if (host.fresh) box.scrollIntoView({ block: "nearest" });
    host.fresh = false;
  }

  function found(answer, box, heat, fill) {
    const { maps, neighbours, missing, about } = answer;
    const choice = nameGroup(element("div", "choice"), "Heat map over the image");
    const caption = heat.parentElement.querySelector(".run"); // in sight wherever one has scrolled
    const ways = [...maps, { name: "Hide heat map", role: "", src: "" }];
    const buttons = ways.map((map, i) => {
      const button = buttonOf(map.name, () => show(i));
      if (map.role) button.append(element("span", "role", ` ${map.role}`));
      return button;
    });
    choice.append(...buttons);
    function show(i) {
      buttons.forEach((button, at) => button.setAttribute("aria-pressed", String(at === i)));
      const { name, role, src } = ways[i];
      box.shownMap = () => show(i);
      if (src) heat.src = src;
      else heat.removeAttribute("src");
      if (!role) caption.textContent = "";
      else if (src) caption.textContent = `Warm areas: evidence for ${name}`;
      else caption.textContent = `No area is evidence for ${name}`;
    }
    show(Math.max(0, maps.findIndex((map) => map.src))); // the first that shows an area
    fill(element("h3", "", "Explanation"), element("p", "about", about), choice,
      element("p", "", "The network uses only the outlined square."));
    box.append(element("h3", "", "Nearest training images"));
    if (missing) {
      box.missing = element("div", "missing");
      box.missing.append(...missingOf(answer));
      box.append(box.missing);
    } else if (!neighbours.length) box.append(element("p", "", "There are none."));
    else {
      const row = element("div", "nearest");
      row.append(...neighbours.map((near) => nearOf(near, (id) => setTriggerValue("neighbour", id))));
      box.append(row, element("p", "", "Cosine distance: 0 for the same direction, 1 for unrelated images."));
    }
    if (host.fresh) box.scrollIntoView({ block: "nearest" });
    host.fresh = false;
  }
}
