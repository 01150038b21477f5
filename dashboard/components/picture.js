// Text reaches the page by textContent; the one image source is a data URI made by the server.
function element(name, className, text) {
  const made = document.createElement(name);
  if (className) made.className = className;
  if (text !== undefined) made.textContent = text;
  return made;
}

function barOf({ name, p, width, role }) {
  const bar = element("div", `bar ${role}`);
  const text = element("div", "text");
  const label = element("span", "label", name);
  if (role) label.append(element("span", "role", ` ${role.split(" ").join(", ")}`));
  text.append(label, element("span", "", p));
  const track = element("div", "track");
  const fill = element("div", "fill");
  fill.style.width = `${width}%`;
  track.append(fill);
  bar.append(text, track);
  return bar;
}

export default function ({ data, parentElement, setTriggerValue }) {
  const dialog = parentElement.querySelector("dialog");
  const find = (selector) => dialog.querySelector(selector);

  dialog.onclose = () => {
    if (!dialog.picture) return;
    const last = dialog.picture.id;
    dialog.leaving = last;
    dialog.picture = null;
    setTriggerValue("open", "");
    window.dispatchEvent(new CustomEvent("second-look-closed", { detail: last }));
  };
  dialog.onclick = (event) => { if (event.target === dialog) dialog.close(); };
  find(".close").onclick = () => dialog.close();
  find(".before").onclick = () => go("before");
  find(".after").onclick = () => go("after");
  dialog.onkeydown = (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const to = { ArrowLeft: "before", ArrowRight: "after", Home: "first", End: "last" }[event.key];
    if (!to) return;
    event.preventDefault();
    go(to);
  };
  function go(to) {
    const id = dialog.picture?.[to];
    if (typeof id !== "string" || dialog.waiting || id === dialog.picture.id) return;
    dialog.waiting = true;
    setTriggerValue("open", id);
  }

  if (data.id === undefined) {
    dialog.leaving = undefined;
    dialog.waiting = false;
    dialog.picture = null;
    if (dialog.open) dialog.close();
    return;
  }
  // A picture that was asked for just before the dialog was closed stays away.
  if (dialog.leaving !== undefined) return;
  dialog.picture = data;
  dialog.waiting = false;
  find(".where").textContent = data.where;
  find(".verdict").className = `verdict ${data.verdict}`;
  find(".verdict").textContent = data.told;
  find("h2").textContent = data.id;
  find(".path").textContent = data.path;
  find(".size").textContent = data.size;
  find(".loss").textContent = data.loss;
  find(".stage").classList.toggle("none", !data.src);
  const image = find("img");
  image.alt = data.told;
  if (data.src) image.src = data.src;
  else image.removeAttribute("src");
  find(".bars").replaceChildren(...data.bars.map(barOf));
  find(".body").classList.toggle("wrong-picture", data.verdict === "wrong");
  find(".before").disabled = data.before === null;
  find(".after").disabled = data.after === null;
  if (!dialog.open) {
    dialog.showModal();
    find(data.after === null ? ".close" : ".after").focus();
  }
}
