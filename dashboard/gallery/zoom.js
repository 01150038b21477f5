// Enlarges what lies on a stage: wheel, pinch and double click zoom, dragging moves, a swipe turns.
// What is done on one of two stages of the same size is done on the other.
const MOST = 16, SWIPE = 60; // times the fitted size; pixels

function zoomable(stage, turn, twin) {
  const view = { scale: 1, x: 0, y: 0 };
  const fingers = new Map();
  let spread = 0, start = null;
  const image = () => stage.querySelector("img");

  function draw() {
    const [w, h] = [stage.clientWidth, stage.clientHeight];
    view.x = Math.min(Math.max(view.x, w * (1 - view.scale)), 0);
    view.y = Math.min(Math.max(view.y, h * (1 - view.scale)), 0);
    const moved = view.scale === 1 ? "" : `translate(${view.x}px, ${view.y}px) scale(${view.scale})`;
    for (const side of [stage, twin]) {
      for (const each of side.querySelectorAll("img")) each.style.transform = moved;
      side.classList.toggle("zoomed", view.scale > 1);
    }
    stage.onzoom?.(view.scale);
  }
  function zoom(by, x = stage.clientWidth / 2, y = stage.clientHeight / 2) {
    const scale = Math.min(Math.max(view.scale * by, 1), MOST);
    view.x = x - (x - view.x) * (scale / view.scale);
    view.y = y - (y - view.y) * (scale / view.scale);
    view.scale = scale;
    draw();
  }
  function reset() {
    Object.assign(view, { scale: 1, x: 0, y: 0 });
    draw();
  }
  function fitted(width, height) { // screen pixels per image pixel when the whole image is shown
    return Math.min(stage.clientWidth / width, stage.clientHeight / height);
  }
  function whole(x, y) { // one image pixel on one pixel of the page, or the whole image
    const [width, height] = view.size ?? [image().naturalWidth, image().naturalHeight];
    if (view.scale > 1 || !width) return reset();
    const by = 1 / fitted(width, height);
    zoom(by > 1.05 ? by : 2, x, y);
  }
  const at = (event) => {
    const box = event.currentTarget.getBoundingClientRect();
    return [event.clientX - box.left, event.clientY - box.top];
  };

  stage.onwheel = (event) => {
    event.preventDefault();
    zoom(1.0015 ** -event.deltaY, ...at(event));
  };
  stage.ondblclick = (event) => whole(...at(event));
  stage.onpointerdown = (event) => {
    if (event.button) return;
    event.preventDefault(); // an image would be dragged away
    event.currentTarget.setPointerCapture(event.pointerId);
    fingers.set(event.pointerId, at(event));
    spread = 0;
    start = fingers.size === 1 ? at(event) : null;
  };
  stage.onpointermove = (event) => {
    const before = fingers.get(event.pointerId), here = at(event);
    if (!before) return;
    fingers.set(event.pointerId, here);
    if (fingers.size === 2) {
      const [a, b] = [...fingers.values()], apart = Math.hypot(a[0] - b[0], a[1] - b[1]);
      if (spread) zoom(apart / spread, (a[0] + b[0]) / 2, (a[1] + b[1]) / 2);
      spread = apart;
    } else if (view.scale > 1) {
      view.x += here[0] - before[0];
      view.y += here[1] - before[1];
      draw();
    }
  };
  stage.onpointerup = stage.onpointercancel = (event) => {
    if (!fingers.delete(event.pointerId) || !start || event.type === "pointercancel") return;
    const [x, y] = at(event), across = x - start[0];
    const swiped = event.pointerType === "touch" && view.scale === 1
      && Math.abs(across) > SWIPE && Math.abs(across) > 2 * Math.abs(y - start[1]);
    if (swiped) turn(across < 0 ? "after" : "before");
    start = null;
  };
  for (const name of ["onwheel", "ondblclick", "onpointerdown", "onpointermove", "onpointerup",
    "onpointercancel"]) twin[name] = stage[name];
  return { zoom, whole, reset, sized: (size) => { view.size = size; reset(); } };
}
