// Few classes: a table of buttons. More classes: a canvas with a cursor and a text line.
const percent = (share) => (share > 0 && share < 0.001 ? "<0.1%" : `${(100 * share).toFixed(1)}%`);
const number = (n) => n.toLocaleString("en-US");

const LABEL_HEIGHT = 13; // pixels that a class's name needs beside the canvas

export default function ({ data, parentElement }) {
  const root = parentElement.querySelector(".matrix");
  const size = data.names.length;
  const open = (t, p) => goTo("errors", {
    ...data.address, [TRUE]: data.names[t], [PREDICTED]: data.names[p],
  });
  const style = getComputedStyle(root);
  const [ink, accent] = ["--st-text-color", "--st-primary-color"].map((name) => style.getPropertyValue(name).trim());
  if (root.shown === JSON.stringify([data, ink, accent])) return;
  root.shown = JSON.stringify([data, ink, accent]);
  const counts = new Map(data.cells.map(([t, p, n]) => [t * size + p, n]));
  const count = (t, p) => counts.get(t * size + p) ?? 0;
  const share = (t, p) => (data.totals[t] ? count(t, p) / data.totals[t] : 0);
  const describe = (t, p) => `true ${data.names[t]}, predicted ${data.names[p]}: `
    + `${number(count(t, p))} (${percent(share(t, p))}) of ${number(data.totals[t])}`;
  if (size <= TABLE_UP_TO) table();
  else canvas();
  markDrawn(parentElement);

  function table() {
    const grid = element("div", size <= 3 ? "grid roomy" : "grid");
    grid.style.gridTemplateColumns = `minmax(44px, max-content) repeat(${size}, minmax(0, 1fr))`;
    nameGroup(grid, "Confusion matrix; arrow keys move, Enter opens the images");
    grid.append(element("span", "axis", ""));
    const axis = element("span", "axis", "Predicted →");
    axis.style.gridColumn = "2 / -1";
    grid.append(axis, element("span", "axis", "True ↓"));
    for (const name of data.names) grid.append(named("column", name));
    const buttons = [];
    data.names.forEach((name, t) => {
      grid.append(named("row", name));
      data.names.forEach((_, p) => {
        const button = cell(t, p);
        buttons.push(button);
        grid.append(button);
      });
    });
    buttons[0].tabIndex = 0;
    grid.onkeydown = (event) => {
      const at = buttons.indexOf(parentElement.activeElement);
      const to = moved(event.key, Math.floor(at / size), at % size);
      if (at < 0 || !to) return;
      event.preventDefault();
      moveFocus(buttons, buttons[to[0] * size + to[1]]);
    };
    root.replaceChildren(grid);
  }

  function named(className, name) {
    const label = element("span", className, name);
    label.title = name;
    return label;
  }

  function cell(t, p) {
    const n = count(t, p);
    const button = buttonOf(undefined, () => { if (n) open(t, p); }, "cell");
    button.tabIndex = -1;
    button.setAttribute("aria-label", describe(t, p));
    button.append(element("span", "n", number(n)), " ", element("span", "share", percent(share(t, p))));
    // Off-diagonal cells are shaded strongly, so that 1 % is visible; the diagonal is not.
    const depth = t === p ? 0.34 * share(t, p) : n ? 0.16 + 0.84 * Math.sqrt(share(t, p)) : 0;
    button.style.setProperty("--tint", t === p ? "var(--st-text-color)" : "var(--st-primary-color)");
    button.style.setProperty("--share", `${Math.round(100 * depth)}%`);
    button.classList.toggle("strong", t !== p && depth > 0.6);
    button.classList.toggle("none", n === 0);
    return button;
  }

  function canvas() {
    const scale = size <= 60 ? 8 : size <= 250 ? 4 : 1;
    const drawing = element("canvas");
    drawing.width = drawing.height = size * scale;
    drawing.tabIndex = 0;
    drawing.setAttribute("role", "application");
    drawing.setAttribute("aria-label", "Confusion matrix; arrow keys move, Enter opens the images");
    const line = element("p", "description");
    line.setAttribute("aria-live", "polite");
    const pen = drawing.getContext("2d");
    let at = data.cells.filter(([t, p]) => t !== p).sort((a, b) => b[2] - a[2])[0] ?? [0, 0];
    draw();
    say();

    function draw() {
      pen.clearRect(0, 0, drawing.width, drawing.height);
      for (const [t, p] of data.cells) {
        pen.globalAlpha = t === p ? 0.12 + 0.45 * share(t, p) : 0.3 + 0.7 * Math.sqrt(share(t, p));
        pen.fillStyle = t === p ? ink : accent;
        pen.fillRect(p * scale, t * scale, scale, scale);
      }
      pen.globalAlpha = 1;
      pen.strokeStyle = ink;
      pen.strokeRect(at[1] * scale + 0.5, at[0] * scale + 0.5, Math.max(scale - 1, 1), Math.max(scale - 1, 1));
    }
    function say() { line.textContent = describe(at[0], at[1]); }
    function under(event) {
      const box = drawing.getBoundingClientRect();
      const index = (v, length) => Math.min(Math.max(Math.floor((v / length) * size), 0), size - 1);
      return [index(event.clientY - box.top, box.height), index(event.clientX - box.left, box.width)];
    }
    function choose(to) { at = to; draw(); say(); }
    drawing.onpointermove = (event) => choose(under(event));
    drawing.onclick = (event) => { choose(under(event)); if (count(...at)) open(at[0], at[1]); };
    drawing.onkeydown = (event) => {
      const to = moved(event.key, at[0], at[1]);
      if (event.key === "Enter" && count(at[0], at[1])) open(at[0], at[1]);
      else if (!to) return;
      else choose(to);
      event.preventDefault();
    };
    const [left, top] = [element("div", "left"), element("div", "top")];
    const framed = element("div", "framed");
    framed.append(element("span", "axis", "True ↓  Predicted →"), top, left, drawing);
    root.replaceChildren(framed, line);
    label([left, top], drawing.clientWidth || 400);
  }

  // Names beside the canvas: of every class, or of every few where all would overlap.
  function label(sides, width) {
    const step = Math.ceil((LABEL_HEIGHT * size) / width);
    for (const side of sides) {
      side.setAttribute("aria-hidden", "true"); // the text line names the chosen cell
      side.append(...data.names.flatMap((name, i) => {
        if (i % step) return [];
        const made = named("", name);
        made.style.setProperty("--at", `${(100 * (i + 0.5)) / size}%`);
        return [made];
      }));
    }
  }

  function moved(key, t, p) {
    const step = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0] }[key];
    if (key === "Home") return [t, 0];
    if (key === "End") return [t, size - 1];
    if (!step) return null;
    return [t + step[0], p + step[1]].map((v) => Math.min(Math.max(v, 0), size - 1));
  }
}
