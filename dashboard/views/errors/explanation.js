// Draws into the large view, which says which image it shows; text by textContent alone, and
// image sources are data URIs made by the server.
const PATIENCE = 250; // milliseconds until it is asked again whether the answer is there

function element(name, className, text) {
  const made = document.createElement(name);
  if (className) made.className = className;
  if (text !== undefined) made.textContent = text;
  return made;
}

function nearOf(near, open) {
  const button = element("button", near.other ? "near other" : "near");
  button.type = "button";
  button.disabled = !near.known;
  button.title = `${near.id}: ${near.label}, distance ${near.distance}`;
  button.setAttribute("aria-label", button.title);
  if (near.src) {
    const image = element("img");
    image.alt = "";
    image.src = near.src;
    button.append(image);
  } else button.append(element("i", "", "cannot be read"));
  const line = element("span", "line");
  line.append(element("b", "", near.label), element("span", "", near.distance));
  button.append(line);
  button.onclick = () => open(near.id);
  return button;
}

export default function ({ data, parentElement, setTriggerValue }) {
  const host = parentElement.querySelector(".why");
  if (data.state) host.answer = data; // kept when the page around it is drawn anew
  const follow = () => draw();
  window.addEventListener("second-look-large", follow);
  draw();
  return () => {
    clearTimeout(host.timer);
    window.removeEventListener("second-look-large", follow);
  };

  function draw() {
    clearTimeout(host.timer);
    const large = window.secondLookLarge;
    if (!large) return;
    if (large.id === undefined) {
      host.asked = false;
      return;
    }
    const find = (selector) => large.dialog.querySelector(selector);
    const [button, box, heat] = [find(".ask"), find(".reasons"), find(".heat")];
    button.onclick = toggle;
    large.dialog.toggleWhy = toggle;
    button.setAttribute("aria-pressed", String(Boolean(host.asked)));
    const answer = host.answer?.id === large.id ? host.answer : {};
    const here = answer.state;
    if (!host.asked || here !== "found") heat.removeAttribute("src");
    const fill = (...parts) => {
      const focused = box.contains(box.getRootNode().activeElement);
      box.replaceChildren(...parts);
      if (focused) button.focus(); // else no key would reach the view any more
    };
    if (!host.asked && !box.hidden) fill();
    box.hidden = !host.asked;
    if (!host.asked) return;
    if (!here || here === "looking") {
      if (!box.querySelector(".calm")) {
        fill(element("h3", "", "Why"), element("p", "calm", "Looking…"));
      }
      const ask = () => {
        host.timer = setTimeout(ask, 4 * PATIENCE); // in case the page was busy with something else
        setTriggerValue("want", large.id);
      };
      host.timer = setTimeout(ask, here ? PATIENCE : 0);
      return;
    }
    if (here === "failed") {
      fill(element("h3", "", "Why"), element("p", "", answer.word));
      return;
    }
    if (box.shown === answer && box.querySelector(".choice")) {
      if (box.heat) heat.src = box.heat;
      return;
    }
    box.shown = answer;
    found(answer, box, heat, fill);
  }

  function toggle() {
    host.asked = host.fresh = !host.asked;
    draw();
  }

  function found({ maps, neighbours, word }, box, heat, fill) {
    const choice = element("div", "choice");
    choice.setAttribute("role", "group");
    choice.setAttribute("aria-label", "Heat map over the image");
    const said = element("p", "said");
    said.setAttribute("aria-live", "polite");
    const ways = [...maps, { name: "Image alone", role: "", src: "" }];
    const buttons = ways.map((map, i) => {
      const button = element("button", "", map.name);
      button.type = "button";
      if (map.role) button.append(element("span", "role", ` ${map.role}`));
      button.onclick = () => show(i);
      return button;
    });
    choice.append(...buttons);
    function show(i) {
      buttons.forEach((button, at) => button.setAttribute("aria-pressed", String(at === i)));
      const { name, role, src } = ways[i];
      box.heat = src;
      if (src) heat.src = src;
      else heat.removeAttribute("src");
      if (!role) said.textContent = "The heat maps are put away.";
      else if (src) {
        said.textContent = `Warm: what spoke for ${name}. The network saw only the outlined square.`;
      } else said.textContent = `Nothing in the image spoke for ${name}.`;
    }
    show(0);
    fill(element("h3", "", "Why"), choice, said);
    box.append(element("h3", "", "Nearest training images"));
    if (!neighbours.length) {
      box.append(element("p", "", word || "There are none."));
      return;
    }
    const row = element("div", "nearest");
    row.append(...neighbours.map((near) => nearOf(near, (id) => setTriggerValue("near", id))));
    box.append(row, element("p", "", "By cosine distance: 0 is the same direction, 1 unrelated."));
    if (host.fresh) box.scrollIntoView({ block: "nearest" });
    host.fresh = false;
  }
}
