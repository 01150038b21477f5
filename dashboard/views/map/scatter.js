// Points are drawn from typed arrays.
const LOSS_STEPS = 16, NEAR = 12, REST = 90; // pixels; milliseconds of rest
const CLASSES_LISTED = 12;
const LIGHT = ["#3f74b0", "#c7911f", "#2f8a5b", "#8a4fa3", "#3aa3b5", "#7a6a55", "#c45a94", "#6b8e23"];
const DARK = ["#7fb0e6", "#e8c25a", "#74cf9d", "#c79be0", "#7fd6e4", "#c3b299", "#eb9cc6", "#b5d36b"];
const HOW = { class: "Class", correctness: "Correct or incorrect", loss: "Loss" };

function unpacked(text, Kind) {
  return new Kind(Uint8Array.from(atob(text), (c) => c.charCodeAt(0)).buffer);
}

export default function ({ data, parentElement }) {
  const root = parentElement.querySelector(".map");
  const style = getComputedStyle(root);
  const theme = ["--st-text-color", "--st-primary-color", "--st-background-color"]
    .map((name) => style.getPropertyValue(name).trim());
  if (root.tag !== data.tag) {
    root.tag = data.tag;
    root.map = build(root, data);
  }
  root.map.dress(theme);
  const { signal, end } = newCall(parentElement);
  root.map.follow(signal);
  return end;
}

function build(root, data) {
  const n = data.n, xy = unpacked(data.xy, Uint16Array), split = unpacked(data.split, Uint8Array);
  const label = unpacked(data.label, Uint16Array);
  const predicted = unpacked(data.predicted, Uint16Array);
  const loss = unpacked(data.loss, Float32Array);
  const ids = data.ids.split("\u001f");
  const incorrect = (i) => label[i] !== NONE && predicted[i] !== NONE && label[i] !== predicted[i];
  const kept = (window.secondLookMap ??= { by: "class", hidden: [] }); // settings of this user

  const bar = element("div", "bar"), frame = element("div", "frame"), legend = element("div", "legend");
  const canvas = element("canvas"), over = element("canvas", "over"), tip = element("div", "tip");
  canvas.tabIndex = 0;
  canvas.setAttribute("role", "application");
  canvas.setAttribute("aria-label", `Map of ${n} images. Arrow keys move, plus and minus zoom, `
    + "0 shows all, Enter shows the images in view, L starts the lasso.");
  tip.hidden = true;
  frame.append(canvas, over, tip);
  root.replaceChildren(bar, frame, legend);

  const view = { x: GRID / 2, y: GRID / 2, zoom: 1 };
  let size = [0, 0], base = 1, ratio = 1, colours = [], accent = "", ink = "", paper = "";
  let sprites = [], kind = new Uint8Array(n), order = new Uint32Array(n), asked = 0;
  let lassoing = false, outline = null, corners = [], hovered = -1, rest = 0;
  const seen = new Map(); // thumbnails by row

  // --- appearance of the points

  function dress([text, primary, background]) {
    if ([text, primary, background].join() === [ink, accent, paper].join()) return draw();
    [ink, accent, paper] = [text, primary, background];
    const dark = luminance(background) < 0.5;
    const few = data.names.length <= LIGHT.length;
    colours = data.names.map((_, i) => (few ? (dark ? DARK : LIGHT)[i]
      : `hsl(${Math.round((360 * i) / data.names.length)} 45% ${dark ? 68 : 45}%)`));
    paint();
  }
  function luminance(colour) {
    const pen = element("canvas").getContext("2d");
    pen.fillStyle = colour;
    const v = parseInt(pen.fillStyle.slice(1), 16);
    return (0.3 * (v >> 16) + 0.59 * ((v >> 8) & 255) + 0.11 * (v & 255)) / 255;
  }
  const blend = (share, a, b) => `color-mix(in oklab, ${a} ${Math.round(100 * share)}%, ${b})`;
  const faint = () => blend(kept.by === "class" ? 0.26 : 0.15, ink, paper);

  function paint() {
    // A look is a colour and a symbol; each point stores the index of its look.
    const looks = [], at = new Map();
    const look = (colour, ring) => {
      const key = colour + ring;
      if (!at.has(key)) { at.set(key, looks.length); looks.push({ colour, ring }); }
      return at.get(key);
    };
    const level = new Float32Array(n);
    for (let i = 0; i < n; i += 1) {
      const bad = incorrect(i);
      if (kept.by === "class") {
        const colour = label[i] === NONE ? faint() : colours[label[i]];
        kind[i] = look(colour, bad ? "ring" : "");
        level[i] = label[i] === NONE ? 0 : bad ? 2 : 1;
      } else if (kept.by === "correctness") {
        const known = label[i] !== NONE && predicted[i] !== NONE;
        kind[i] = bad ? look(accent, "cross") : look(known ? blend(0.55, ink, paper) : faint(), "");
        level[i] = bad ? 2 : known ? 1 : 0;
      } else {
        const step = lossStep(loss[i]);
        kind[i] = step < 0 ? look(faint(), "") : look(lossColour(step), bad ? "ring" : "");
        level[i] = step < 0 ? -1 : step;
      }
    }
    order = Uint32Array.from({ length: n }, (_, i) => i).sort((a, b) => level[a] - level[b] || a - b);
    sprites = [];
    sprites.looks = looks;
    drawLegend();
    draw();
  }
  function lossStep(value) {
    if (!(value >= 0)) return -1;
    const share = (Math.log10(Math.max(value, 1e-4)) + 3) / 3.6; // 0.001 to 4
    return Math.round(Math.min(Math.max(share, 0), 1) * (LOSS_STEPS - 1));
  }
  function lossColour(step) {
    return blend(step / (LOSS_STEPS - 1), accent, blend(0.42, ink, paper));
  }
  function radius() {
    const rest = n > 10000 ? 1.9 : n > 2000 ? 2.6 : 3.6;
    return Math.min(rest * view.zoom ** 0.28, 7);
  }
  function stamped() {
    // One small image per look, drawn once per size.
    const r = Math.max(1, Math.round(radius() * ratio * 2) / 2);
    if (sprites.r === r) return;
    sprites.r = r;
    sprites.looks.forEach(({ colour, ring }, i) => {
      const side = 2 * Math.ceil(r * (ring ? 2.4 : 1) + 1.5 * ratio), half = side / 2;
      const stamp = element("canvas");
      stamp.width = stamp.height = side;
      const pen = stamp.getContext("2d");
      pen.lineCap = "round";
      if (ring === "cross") {
        const arm = Math.max(r * 1.25, 2.4 * ratio);
        pen.strokeStyle = colour;
        pen.lineWidth = Math.max(r * 0.7, 1.5 * ratio);
        pen.beginPath();
        pen.moveTo(half - arm, half - arm); pen.lineTo(half + arm, half + arm);
        pen.moveTo(half + arm, half - arm); pen.lineTo(half - arm, half + arm);
        pen.stroke();
      } else {
        pen.fillStyle = colour;
        pen.globalAlpha = ring ? 1 : 0.82;
        pen.beginPath();
        pen.arc(half, half, r, 0, 7);
        pen.fill();
        if (ring) {
          pen.globalAlpha = 1;
          pen.strokeStyle = accent;
          pen.lineWidth = Math.max(1.4 * ratio, r * 0.4);
          pen.beginPath();
          pen.arc(half, half, r + 1.9 * ratio, 0, 7);
          pen.stroke();
        }
      }
      sprites[i] = stamp;
    });
  }

  // --- positions

  const scale = () => base * view.zoom;
  const toX = (x) => (x - view.x) * scale() + size[0] / 2;
  const toY = (y) => (view.y - y) * scale() + size[1] / 2;
  const fromX = (x) => (x - size[0] / 2) / scale() + view.x;
  const fromY = (y) => view.y - (y - size[1] / 2) / scale();

  function draw() {
    if (!asked) asked = requestAnimationFrame(() => { asked = 0; render(); });
  }
  function render() {
    if (!size[0] || !sprites.looks) return;
    stamped();
    const pen = canvas.getContext("2d", { alpha: true });
    const [w, h] = [canvas.width, canvas.height];
    pen.clearRect(0, 0, w, h);
    const k = scale() * ratio, ox = w / 2 - view.x * k, oy = h / 2 + view.y * k;
    const half = sprites.map((stamp) => stamp.width / 2);
    const shown = data.splits.map((name) => !kept.hidden.includes(name));
    for (let at = 0; at < n; at += 1) {
      const i = order[at];
      if (!shown[split[i]]) continue;
      const x = xy[2 * i] * k + ox, y = oy - xy[2 * i + 1] * k;
      if (x < -20 || y < -20 || x > w + 20 || y > h + 20) continue;
      const s = kind[i];
      pen.drawImage(sprites[s], Math.round(x - half[s]), Math.round(y - half[s]));
    }
    trace();
  }
  function trace() {
    const pen = over.getContext("2d");
    pen.setTransform(ratio, 0, 0, ratio, 0, 0);
    pen.clearRect(0, 0, size[0], size[1]);
    const line = outline ?? corners.map(([x, y]) => [toX(x), toY(y)]);
    if (line.length > 1) {
      pen.beginPath();
      line.forEach(([x, y], i) => (i ? pen.lineTo(x, y) : pen.moveTo(x, y)));
      if (!outline) pen.closePath();
      pen.lineWidth = 1.6;
      pen.strokeStyle = accent;
      pen.fillStyle = accent;
      pen.setLineDash(outline ? [] : [5, 4]);
      pen.globalAlpha = 0.09;
      pen.fill();
      pen.globalAlpha = 1;
      pen.stroke();
      pen.setLineDash([]);
    }
    if (hovered >= 0) {
      pen.beginPath();
      pen.arc(toX(xy[2 * hovered]), toY(xy[2 * hovered + 1]), radius() + 4, 0, 7);
      pen.lineWidth = 2;
      pen.strokeStyle = ink;
      pen.stroke();
    }
  }
  function zoom(by, x = size[0] / 2, y = size[1] / 2) {
    const [gx, gy] = [fromX(x), fromY(y)];
    view.zoom = Math.min(Math.max(view.zoom * by, 0.5), 60);
    view.x = gx - (x - size[0] / 2) / scale();
    view.y = gy + (y - size[1] / 2) / scale();
    draw();
  }
  function pan(dx, dy) {
    view.x = Math.min(Math.max(view.x - dx / scale(), 0), GRID);
    view.y = Math.min(Math.max(view.y + dy / scale(), 0), GRID);
    draw();
  }
  function reset() {
    Object.assign(view, { x: GRID / 2, y: GRID / 2, zoom: 1 });
    draw();
  }

  // --- user input

  const ask = (channel, question) => window.dispatchEvent(
    new CustomEvent("second-look-ask", { detail: { channel, question } }),
  );
  function choose(polygon) {
    const clamp = (v) => Math.min(Math.max(Math.round(v), 0), GRID);
    corners = simpler(polygon, MOST_CORNERS).map(([x, y]) => [clamp(x), clamp(y)]);
    trace();
    ask("lasso", corners);
  }
  function inView() {
    const [a, b] = [fromX(0), fromX(size[0])], [c, d] = [fromY(size[1]), fromY(0)];
    choose([[a, c], [b, c], [b, d], [a, d]]);
  }
  function nearest(x, y) {
    let best = NEAR * NEAR, found = -1;
    const k = scale(), ox = size[0] / 2 - view.x * k, oy = size[1] / 2 + view.y * k;
    for (let at = n - 1; at >= 0; at -= 1) {
      const i = order[at];
      if (kept.hidden.length && kept.hidden.includes(data.splits[split[i]])) continue;
      const dx = xy[2 * i] * k + ox - x, dy = oy - xy[2 * i + 1] * k - y;
      const far = dx * dx + dy * dy;
      if (far < best) { best = far; found = i; }
    }
    return found;
  }
  function hover(i) {
    if (i === hovered) return;
    hovered = i;
    clearTimeout(rest);
    trace();
    tip.hidden = i < 0;
    canvas.style.cursor = lassoing ? "crosshair" : i < 0 ? "grab" : "pointer";
    if (i < 0) return;
    const words = [];
    if (label[i] !== NONE) words.push(`true ${data.names[label[i]]}`);
    if (predicted[i] !== NONE) words.push(`predicted ${data.names[predicted[i]]}`);
    if (loss[i] >= 0) words.push(`loss ${loss[i].toFixed(3)}`);
    const shot = element("span", "shot"), about = element("span", "about");
    about.append(element("b", "", ids[i]), element("span", incorrect(i) ? "incorrect" : "", words.join(", ")),
      element("span", "", predicted[i] === NONE ? `${data.splits[split[i]]}, no prediction`
        : data.splits[split[i]]));
    tip.replaceChildren(shot, about);
    showImage(i);
    place();
    if (!seen.has(i)) rest = setTimeout(() => ask("peek", i), REST);
  }
  function showImage(i) {
    if (i !== hovered || !seen.get(i)) return;
    tip.firstChild.replaceChildren(imageOf(seen.get(i)));
  }
  function place() {
    const x = toX(xy[2 * hovered]), y = toY(xy[2 * hovered + 1]);
    tip.style.left = `${Math.min(Math.max(x + 14, 6), Math.max(size[0] - 256, 6))}px`;
    tip.style.top = `${y > size[1] - 130 ? Math.max(y - 122, 6) : y + 14}px`;
  }

  const fingers = new Map();
  let moved = false, last = null, spread = 0;
  const point = (event) => {
    const box = canvas.getBoundingClientRect();
    return [event.clientX - box.left, event.clientY - box.top];
  };
  canvas.onpointerdown = (event) => {
    if (event.button) return;
    canvas.setPointerCapture(event.pointerId);
    fingers.set(event.pointerId, point(event));
    last = point(event);
    moved = false;
    spread = 0;
    outline = lassoing !== event.shiftKey && fingers.size === 1 ? [last] : null;
  };
  canvas.onpointermove = (event) => {
    const here = point(event);
    if (!fingers.size) return hover(nearest(...here));
    fingers.set(event.pointerId, here);
    if (fingers.size === 2) {
      const [a, b] = [...fingers.values()], apart = Math.hypot(a[0] - b[0], a[1] - b[1]);
      if (spread) zoom(apart / spread, (a[0] + b[0]) / 2, (a[1] + b[1]) / 2);
      spread = apart;
      moved = true;
      outline = null;
      return;
    }
    if (!moved && Math.hypot(here[0] - last[0], here[1] - last[1]) < 4) return;
    moved = true;
    hover(-1);
    if (outline) {
      outline.push(here);
      trace();
    } else {
      canvas.style.cursor = "grabbing";
      pan(here[0] - last[0], here[1] - last[1]);
      last = here;
    }
  };
  canvas.onpointerup = canvas.onpointercancel = (event) => {
    if (!fingers.delete(event.pointerId)) return;
    const line = outline;
    outline = null;
    canvas.style.cursor = lassoing ? "crosshair" : "grab";
    if (event.type === "pointercancel") return trace();
    if (line && moved && line.length > 2) choose(line.map(([x, y]) => [fromX(x), fromY(y)]));
    else if (!moved) {
      const i = nearest(...point(event));
      if (i >= 0 && event.pointerType === "touch" && i !== hovered) hover(i);
      else if (i >= 0) ask("point", i);
    }
    trace();
  };
  canvas.onpointerleave = () => { if (!fingers.size) hover(-1); };
  canvas.addEventListener("wheel", (event) => {
    event.preventDefault();
    hover(-1);
    const [x, y] = point(event);
    const pixels = event.deltaY * [1, 16, 400][event.deltaMode];
    zoom(2 ** (-Math.min(Math.max(pixels, -240), 240) / 240), x, y);
  }, { passive: false });
  canvas.onkeydown = (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const step = { ArrowLeft: [60, 0], ArrowRight: [-60, 0], ArrowUp: [0, 60], ArrowDown: [0, -60] };
    if (step[event.key]) pan(...step[event.key]);
    else if (event.key === "+" || event.key === "=") zoom(1.5);
    else if (event.key === "-") zoom(1 / 1.5);
    else if (event.key === "0") reset();
    else if (event.key === "Enter") inView();
    else if (event.key.toLowerCase() === "l") take(!lassoing);
    else return;
    event.preventDefault();
  };

  // --- the buttons above, and the legend below

  function group(label, choices, chosen, pick) {
    const box = nameGroup(element("div", "group"), label);
    for (const [key, text] of Object.entries(choices)) {
      const button = buttonOf(text);
      button.dataset.key = key;
      button.setAttribute("aria-pressed", String(key === chosen));
      button.onclick = () => {
        for (const other of box.children) other.setAttribute("aria-pressed", String(other === button));
        pick(key);
      };
      box.append(button);
    }
    return box;
  }
  function action(text, name, act) {
    const button = buttonOf(text, act);
    button.title = name;
    if (text.length < 2) button.setAttribute("aria-label", name);
    return button;
  }
  const tools = group("Tool", { move: "Move", lasso: "Lasso" }, "move", (key) => take(key === "lasso"));
  function take(lasso) {
    lassoing = lasso;
    for (const button of tools.children) {
      button.setAttribute("aria-pressed", String((button.dataset.key === "lasso") === lasso));
    }
    canvas.style.cursor = lasso ? "crosshair" : "grab";
  }
  const lens = element("div", "group");
  lens.append(action("+", "Zoom in", () => zoom(1.6)), action("−", "Zoom out", () => zoom(1 / 1.6)),
    action("Reset", "Show the whole map", reset));
  const look = action("Show images in view", "Show the images in view", inView);
  look.className = "alone";
  bar.append(
    group("Colour by", HOW, kept.by, (key) => { kept.by = key; paint(); }), tools, lens, look,
  );

  function drawLegend() {
    const dot = (colour, ring, text) => {
      const entry = element("span", "entry"), mark = element("i", ring);
      mark.style.setProperty("--dot", colour);
      entry.append(mark, element("span", "", text));
      return entry;
    };
    const entries = [];
    if (kept.by === "class") {
      data.names.slice(0, CLASSES_LISTED).forEach((name, i) => entries.push(dot(colours[i], "", name)));
      const more = data.names.length - CLASSES_LISTED;
      if (more > 0) entries.push(element("span", "entry", `and ${more} more`));
      entries.push(dot("transparent", "ring", "incorrect"));
    } else if (kept.by === "correctness") {
      entries.push(dot(accent, "cross", "incorrect"), dot(blend(0.55, ink, paper), "", "correct"));
    } else {
      const ramp = element("span", "entry");
      const line = element("i", "ramp");
      line.style.background = `linear-gradient(90deg, ${lossColour(0)}, ${lossColour(LOSS_STEPS - 1)})`;
      ramp.append(element("span", "", "loss 0.001"), line, element("span", "", "4"));
      entries.push(ramp, dot("transparent", "ring", "incorrect"));
    }
    const none = kept.by === "class" ? "no label" : "no prediction";
    const missing = kept.by === "class" ? label : predicted;
    if (missing.includes(NONE)) entries.push(dot(faint(), "", none));
    const parts = element("span", "parts");
    data.splits.forEach((name, code) => {
      const count = split.reduce((sum, each) => sum + (each === code), 0);
      if (!count) return;
      const button = buttonOf(`${name} ${count.toLocaleString("en-US")}`, null, "part");
      button.setAttribute("aria-pressed", String(!kept.hidden.includes(name)));
      button.title = `Show or hide the ${name} images`;
      button.onclick = () => {
        kept.hidden = kept.hidden.includes(name) ? kept.hidden.filter((each) => each !== name)
          : [...kept.hidden, name];
        button.setAttribute("aria-pressed", String(!kept.hidden.includes(name)));
        draw();
      };
      parts.append(button);
    });
    legend.replaceChildren(...entries, parts);
  }

  function follow(signal) {
    const fit = () => {
      const box = frame.getBoundingClientRect();
      if (!box.width) return;
      size = [box.width, box.height];
      ratio = Math.min(window.devicePixelRatio || 1, 3);
      for (const each of [canvas, over]) {
        each.width = Math.round(box.width * ratio);
        each.height = Math.round(box.height * ratio);
      }
      base = Math.min(box.width - 28, box.height - 28) / GRID;
      const span = extent();
      base = Math.min((box.width - 28) / span[0], (box.height - 28) / span[1]);
      draw();
    };
    const answered = ({ detail }) => receive(detail.channel, detail.answer);
    const receive = (channel, answer) => {
      if (channel === "peek" && answer.src !== undefined) {
        seen.set(answer.row, answer.src);
        if (seen.size > 400) seen.delete(seen.keys().next().value);
        showImage(answer.row);
      }
      if (channel === "lasso" && !outline) {
        corners = answer.corners ?? [];
        trace();
      }
    };
    const watch = new ResizeObserver(fit);
    watch.observe(frame);
    fit();
    for (const [channel, answer] of Object.entries(window.secondLookAnswers ?? {})) receive(channel, answer);
    window.addEventListener("second-look-answer", answered, { signal });
    signal.addEventListener("abort", () => {
      watch.disconnect();
      clearTimeout(rest);
    });
  }
  function extent() {
    // The longer side of a map fills the grid, the shorter one is centred.
    const reach = [0, 0];
    for (let i = 0; i < 2 * n; i += 1) {
      reach[i % 2] = Math.max(reach[i % 2], Math.abs(2 * xy[i] - GRID));
    }
    return reach.map((value) => Math.max(value, GRID / 8));
  }
  take(false);
  return { dress, follow };
}

// Ramer, Douglas and Peucker: remove the corners that change the outline least.
function simpler(line, most) {
  let kept = line;
  for (let tolerance = 2; kept.length > most; tolerance *= 1.5) kept = thinned(line, tolerance);
  return kept;
}
function thinned(line, tolerance) {
  if (line.length < 3) return line;
  const [a, b] = [line[0], line[line.length - 1]];
  const [dx, dy] = [b[0] - a[0], b[1] - a[1]], length = Math.hypot(dx, dy);
  let worst = -1, at = 0;
  for (let i = 1; i < line.length - 1; i += 1) {
    const [px, py] = [line[i][0] - a[0], line[i][1] - a[1]];
    const far = length ? Math.abs(px * dy - py * dx) / length : Math.hypot(px, py);
    if (far > worst) [worst, at] = [far, i];
  }
  if (worst <= tolerance) return [a, b];
  return [...thinned(line.slice(0, at + 1), tolerance).slice(0, -1), ...thinned(line.slice(at), tolerance)];
}
