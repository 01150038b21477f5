const PATIENCE = 400; // milliseconds after which a missing answer is no longer awaited

const odds = (p, reach) => Math.min(Math.max(Math.log10(p / (1 - p)), -reach), reach);
const round = (value) => Number(value.toPrecision(3));
const near = (p) => (p < 0.5 ? round(p) : Number((1 - round(1 - p)).toFixed(12)));
const shown = (p) => (p > 0.5 ? String(Number((1 - round(1 - p)).toFixed(9))) : String(round(p)));

export default function ({ data, parentElement, setTriggerValue }) {
  const root = parentElement.querySelector(".bounds");
  if (!root.parts) root.parts = build(root);
  const parts = root.parts;
  parts.send = (values) => setTriggerValue("move", values);
  parts.data = data;
  parts.answered();
  if (!parts.dragging) parts.draw(data.lower, data.upper);
}

function added(parent, name, className) {
  const made = element(name, className);
  parent.append(made);
  return made;
}

function build(root) {
  const plot = added(root, "div", "plot");
  const beyond = [added(plot, "div", "beyond"), added(plot, "div", "beyond")];
  const bars = added(plot, "div", "bars");
  added(plot, "div", "line");
  const between = added(plot, "div", "between");
  const thumbs = ["Lower bound", "Upper bound"].map((name) => {
    const thumb = added(plot, "div", "thumb");
    thumb.tabIndex = 0;
    thumb.setAttribute("role", "slider");
    thumb.setAttribute("aria-label", name);
    added(thumb, "span", "");
    return thumb;
  });
  const note = added(root, "p", "note");
  const parts = { dragging: null, waiting: 0, next: null, values: [0, 1] };
  let drawn = "";

  const place = (p) => 50 + (50 * odds(p, parts.data.reach)) / parts.data.reach;
  const value = (share) => {
    if (share <= 0) return 0;
    if (share >= 1) return 1;
    return near(1 / (1 + 10 ** (-(2 * share - 1) * parts.data.reach)));
  };

  parts.draw = (lower, upper) => {
    parts.values = [lower, upper];
    const { bars: counts, reach } = parts.data;
    if (drawn !== counts.join()) {
      drawn = counts.join();
      const top = Math.sqrt(Math.max(...counts, 1));
      bars.replaceChildren();
      for (const n of counts) {
        added(bars, "i", "").style.height = n ? `max(2px, ${(100 * Math.sqrt(n)) / top}%)` : "0";
      }
      for (const old of plot.querySelectorAll(".tick")) old.remove();
      for (let power = -reach; power <= reach; power += 1) {
        const p = 1 / (1 + 10 ** -power);
        const tick = added(plot, "span", power % 2 ? "tick" : "tick minor");
        if (power === 0) tick.className = "tick";
        const rounded = 10 ** -Math.abs(power);
        const text = power === 0 ? "0.5" : power < 0 ? String(rounded) : String(1 - rounded);
        tick.textContent = Math.abs(power) === reach ? (power < 0 ? "0" : "1") : text.slice(0, 9);
        tick.style.left = `${50 + (50 * power) / reach}%`;
      }
    }
    note.textContent = parts.data.note;
    const [a, b] = [place(lower), place(upper)];
    beyond[0].style.cssText = `left:0;width:${a}%`;
    beyond[1].style.cssText = `left:${b}%;right:0`;
    between.style.cssText = `left:${a}%;width:${Math.max(b - a, 0)}%`;
    [a, b].forEach((at, i) => {
      thumbs[i].style.left = `${at}%`;
      thumbs[i].firstChild.textContent = shown(parts.values[i]);
      thumbs[i].setAttribute("aria-valuenow", parts.values[i]);
      thumbs[i].setAttribute("aria-valuetext", shown(parts.values[i]));
      thumbs[i].setAttribute("aria-valuemin", 0);
      thumbs[i].setAttribute("aria-valuemax", 1);
    });
    [...bars.children].forEach((bar, i) => {
      const middle = (100 * (i + 0.5)) / counts.length;
      bar.classList.toggle("out", middle < a || middle > b);
    });
  };

  // One request at a time: the newest value is sent after the previous answer.
  parts.say = (final) => {
    parts.next = [...parts.values, final];
    const now = performance.now();
    if (!final && parts.waiting && now - parts.waiting < PATIENCE) return;
    parts.waiting = now;
    parts.send(parts.next);
    parts.next = null;
  };
  parts.answered = () => {
    parts.waiting = 0;
    if (parts.next && parts.dragging) parts.say(false);
  };

  parts.move = (which, p, final) => {
    let [lower, upper] = parts.values;
    if (parts.data.linked) {
      const b = Math.min(which === 0 ? p : Number((1 - p).toFixed(12)), 0.499);
      [lower, upper] = [b, Number((1 - b).toFixed(12))];
    } else if (which === 0) lower = p;
    else upper = p;
    if (!(lower < upper)) return;
    parts.draw(lower, upper);
    parts.say(final);
  };

  const share = (event) => {
    const box = plot.getBoundingClientRect();
    return (event.clientX - box.left) / box.width;
  };
  thumbs.forEach((thumb, i) => {
    thumb.onpointerdown = (event) => {
      event.stopPropagation();
      event.preventDefault();
      thumb.setPointerCapture(event.pointerId);
      thumb.focus({ preventScroll: true });
      parts.dragging = thumb;
    };
    thumb.onpointermove = (event) => {
      if (parts.dragging === thumb) parts.move(i, value(share(event)), false);
    };
    thumb.onpointerup = thumb.onpointercancel = () => {
      if (parts.dragging !== thumb) return;
      parts.dragging = null;
      parts.say(true);
    };
    thumb.onkeydown = (event) => {
      const step = { ArrowLeft: -1, ArrowDown: -1, ArrowRight: 1, ArrowUp: 1, PageDown: -10,
        PageUp: 10 }[event.key];
      if (!step) return;
      event.preventDefault();
      parts.move(i, value((place(parts.values[i]) + step / 2) / 100), true);
    };
  });
  plot.onpointerdown = (event) => {
    const at = share(event);
    const distances = parts.values.map((p) => Math.abs(place(p) / 100 - at));
    parts.move(distances[0] <= distances[1] ? 0 : 1, value(at), true);
  };
  return parts;
}
