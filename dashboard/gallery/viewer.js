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

const PATIENCE = 1000; // milliseconds until a missing image is requested again

// Verdicts on the label, each with a button and a key; the server saves them at once.
function review(dialog, data, send) {
  const box = dialog.querySelector(".review");
  const now = data.review;
  const active = box.getRootNode().activeElement;
  const focused = box.contains(active) ? active.dataset.key ?? "l" : undefined;
  box.hidden = !now;
  box.keys = new Map();
  box.replaceChildren();
  if (!now) {
    if (focused) dialog.querySelector(".close").focus();
    return;
  }
  const say = (message) => { send({ id: data.id, ...message }); };
  const button = (key, text, pressed, act) => {
    const made = buttonOf(text, act);
    made.dataset.key = key;
    made.append(element("kbd", "", key.toUpperCase()));
    if (pressed !== undefined) made.setAttribute("aria-pressed", String(pressed));
    box.keys.set(key, act);
    return made;
  };
  const group = (title, ...inside) => {
    const made = nameGroup(element("div", "choice"), title);
    made.append(...inside);
    return made;
  };
  const to = element("select", "to");
  to.setAttribute("aria-label", "Correct class");
  to.append(new Option("Correct label: …", ""), ...now.others.map((name) => new Option(name, name)));
  to.value = now.label;
  to.hidden = now.others.length < 2 || now.verdict !== WRONG;
  to.onchange = () => { if (to.value) say({ verdict: WRONG, label: to.value }); };
  const wrong = () => {
    if (now.others.length < 2) return say({ verdict: WRONG });
    to.hidden = false;
    to.focus();
  };
  const wrongly = now.label ? `Correct label: ${now.label}`
    : now.others.length === 1 ? `Wrong label: it is ${now.others[0]}` : "Wrong label: it is …";
  const judged = VERDICTS.map(([key, verdict, text]) => button(
    key, verdict === WRONG ? wrongly : text,
    now.verdict === verdict, verdict === WRONG ? wrong : () => say({ verdict }),
  ));
  const undo = button("u", "Undo", undefined, () => say({ undo: true }));
  undo.disabled = !now.verdict;
  const advance = button("a", "Next image after a verdict", undefined, () => {
    dialog.advance = !dialog.advance;
    box.querySelector("[data-key=a]").setAttribute("aria-checked", String(dialog.advance));
  });
  advance.className = "switch";
  advance.setAttribute("role", "switch");
  advance.setAttribute("aria-checked", String(Boolean(dialog.advance)));
  advance.title = "While this is on, each verdict shows the next image";
  advance.prepend(element("i"));
  const causes = CAUSES.map((cause, i) => button(
    String(i + 1), cause.replace("-", " "), now.cause === cause, () => say({ cause })));
  for (const text of [now.reason, now.twins]) if (text) box.append(element("p", "reason", text));
  box.append(element("h3", "", "Label"), group("Verdict", ...judged, undo), to,
    element("p", "effect", now.effect), advance,
    element("h3", "", "Cause of difficulty"), group("Cause", ...causes),
    element("p", "line", now.line));
  if (focused) { // otherwise the rebuilt button would lose the focus and the keys
    (box.querySelector(`[data-key="${focused}"]:enabled`) ?? dialog.querySelector(".close")).focus();
  }
}

// Show the original file, which has more pixels, if the browser can.
function sharpen(dialog) {
  const { id } = dialog.image ?? {};
  if (id === undefined || dialog.sharp === id) return;
  dialog.sharp = id;
  const full = new Image();
  full.onload = () => {
    if (dialog.image?.id !== id) return;
    for (const image of dialog.querySelectorAll(":is(.stage, .twin) img:first-child")) image.src = full.src;
  };
  full.src = dialog.querySelector(".original").href;
}

export default function ({ data, parentElement, setTriggerValue, setStateValue }) {
  const dialog = parentElement.querySelector("dialog");
  const find = (selector) => dialog.querySelector(selector);

  dialog.onclose = () => {
    if (!dialog.image) return;
    const last = dialog.image.id;
    dialog.leaving = last;
    dialog.image = null;
    setTriggerValue("open", "");
    window.dispatchEvent(new CustomEvent("second-look-viewer-closed", { detail: last }));
  };
  dialog.onclick = (event) => { if (event.target === dialog) dialog.close(); };
  const stage = find(".stage");
  dialog.zoom ??= zoomable(stage, (to) => dialog.go(to), find(".twin"));
  dialog.go = go;
  const whole = find(".whole");
  stage.onzoom = (scale) => {
    whole.setAttribute("aria-pressed", String(scale > 1));
    if (scale > 1) sharpen(dialog);
  };
  whole.onclick = () => dialog.zoom.whole();
  find(".close").onclick = () => dialog.close();
  find(".like").onclick = () => setTriggerValue("like", dialog.image.id);
  find(".second").onclick = () => setTriggerValue("second", true);
  find(".before").onclick = () => go("before");
  find(".after").onclick = () => go("after");
  dialog.onkeydown = (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.composedPath()[0].matches("select, input, textarea")) return;
    const act = !event.repeat && find(".review").keys?.get(event.key.toLowerCase());
    if (act) {
      event.preventDefault();
      act();
    }
    if (event.key.toLowerCase() === "w") dialog.toggleExplanation?.();
    if (event.key.toLowerCase() === "z") dialog.zoom.whole();
    if (event.key === "+" || event.key === "=") dialog.zoom.zoom(1.5);
    if (event.key === "-") dialog.zoom.zoom(1 / 1.5);
    if (event.key.toLowerCase() === "m" && !event.repeat && dialog.image?.similar) find(".like").click();
    const to = { ArrowLeft: "before", ArrowRight: "after", Home: "first", End: "last" }[event.key];
    if (!to) return;
    event.preventDefault();
    go(to);
  };
  function go(to) {
    const id = dialog.image?.[to];
    if (typeof id !== "string" || id === dialog.image.id) return;
    const now = performance.now();
    if (id === dialog.wanted && now < dialog.until) return; // a key held down sends one request
    [dialog.wanted, dialog.until] = [id, now + PATIENCE];
    dialog.ahead = undefined;
    // The next image is usually prefetched: show it at once, and notify the server.
    const known = window.secondLookFollowing?.get(dialog.image.following);
    setTriggerValue("open", id);
    if (known?.id === id) {
      dialog.ahead = { id, until: now + 10 * PATIENCE };
      draw(known);
    }
  }
  function say(message) {
    const { lastMessage } = dialog.image ?? data; // a note is sent while the dialog closes, too
    setStateValue("messages", queued(dialog, lastMessage, message));
    foresee(message);
    const whole = message.verdict && (message.verdict !== WRONG || message.label
      || dialog.image.review.others.length < 2);
    if (dialog.advance && whole) go("after");
  }

  // Show a verdict or a cause at once, until the server has answered.
  function foresee({ id, verdict, label, cause }) {
    const { image } = dialog;
    if (!image?.review || image.id !== id || !(verdict || cause)) return;
    const now = image.review;
    const said = { verdict: verdict || now.verdict || HARD, cause: cause || now.cause };
    const again = now.verdict === WRONG ? now.label : "";
    const other = label || again || (now.others.length === 1 ? now.others[0] : "");
    said.label = said.verdict === WRONG ? other : "";
    said.effect = ""; // until it is saved
    dialog.foreseen = { id, n: dialog.messages.at(-1).n, said };
    dialog.image = { ...image, review: { ...now, ...said } };
    review(dialog, dialog.image, say);
  }

  function shows(id) { // notifies other components, such as the explanation
    window.secondLookViewer = { dialog, id };
    window.dispatchEvent(new Event("second-look-viewer"));
  }

  if (data.id === undefined) {
    dialog.leaving = undefined;
    dialog.wanted = undefined;
    dialog.ahead = undefined;
    dialog.image = null;
    if (dialog.open) dialog.close();
    shows(undefined);
    return;
  }
  // Ignore an image that was requested just before the dialog was closed.
  if (dialog.leaving !== undefined) return;
  // The server has not heard yet that the browser is one image ahead.
  const { ahead } = dialog;
  if (ahead && ahead.id !== data.id && performance.now() < ahead.until) return;
  dialog.ahead = undefined;
  draw(data);

  function draw(data) {
    const { foreseen } = dialog;
    if (data.review && foreseen?.id === data.id && data.lastMessage < foreseen.n) {
      data = { ...data, review: { ...data.review, ...foreseen.said } };
    }
    if (dialog.image?.id !== data.id) dialog.zoom.sized(data.pixels);
    dialog.image = data;
    dialog.wanted = undefined;
    find(".explain").hidden = data.explainable === false;
    find(".like").hidden = !data.similar;
    find(".beside").hidden = !data.beside;
    if (data.beside) {
      find(".beside img").src = data.beside.src;
      find(".second").textContent = data.beside.text;
    }
    find(".where").textContent = data.where;
    find(".outcome").className = `outcome ${data.outcome}`;
    find(".outcome").textContent = data.title;
    find("h2").textContent = data.id;
    find(".path").textContent = data.path;
    find(".size").textContent = data.size;
    find(".loss").textContent = data.loss;
    const original = find(".original");
    original.hidden = !data.src || !data.original;
    original.href = new URL(data.original, window.__streamlit?.BACKEND_BASE_URL ?? location.origin);
    find(".stage").classList.toggle("none", !data.src);
    const image = find("img");
    image.alt = data.title;
    if (data.src && dialog.drawn !== data.id) image.src = data.src;
    else if (!data.src) image.removeAttribute("src");
    dialog.drawn = data.id;
    if (dialog.sharp !== data.id) dialog.sharp = undefined;
    const others = data.other ? [element("h3", "", data.other.name), ...data.other.bars.map(barOf)] : [];
    const own = data.other ? [element("h3", "", data.other.own)] : [];
    find(".bars").replaceChildren(...own, ...data.bars.map(barOf), ...others);
    review(dialog, data, say);
    notes(dialog, data, say);
    find(".body").classList.toggle("incorrect-image", data.outcome === "incorrect");
    find(".before").disabled = data.before === null;
    find(".after").disabled = data.after === null;
    if (!dialog.open) {
      dialog.showModal();
      find("aside").scrollTop = 0; // where the image opened before was scrolled
      find(data.after === null ? ".close" : ".after").focus();
    }
    shows(data.id);
  }
}
