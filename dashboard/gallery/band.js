// A rectangle drawn with the mouse over the grid; the tiles that it touches are chosen at its end.
const BAND_FROM = 6; // pixels; less is a click

function rubberBand(grid, marks, ends) {
  let from = null, band = null;
  const touched = (box) => [...grid.children].filter((tile) => {
    const { left, right, top, bottom } = tile.getBoundingClientRect();
    return left < box.right && right > box.left && top < box.bottom && bottom > box.top;
  });
  const boxTo = ({ clientX: x, clientY: y }) => {
    const top = grid.getBoundingClientRect().top + from.y; // the page may scroll meanwhile
    return { left: Math.min(x, from.x), right: Math.max(x, from.x),
      top: Math.min(y, top), bottom: Math.max(y, top) };
  };
  const stop = () => {
    band?.remove();
    from = band = null;
  };
  grid.ondragstart = (event) => event.preventDefault(); // of an image
  grid.onpointerdown = (event) => {
    if (event.pointerType !== "mouse" || event.button || !grid.classList.contains("choosable")) return;
    from = { x: event.clientX, y: event.clientY - grid.getBoundingClientRect().top };
  };
  grid.onpointermove = (event) => {
    if (!from) return;
    const box = boxTo(event);
    if (!band) {
      if (Math.hypot(box.right - box.left, box.bottom - box.top) < BAND_FROM) return;
      grid.setPointerCapture(event.pointerId);
      band = element("div", "band");
      grid.after(band);
    }
    Object.assign(band.style, { left: `${box.left}px`, top: `${box.top}px`,
      width: `${box.right - box.left}px`, height: `${box.bottom - box.top}px` });
    marks(touched(box));
  };
  grid.onpointerup = (event) => {
    if (band) {
      ends(touched(boxTo(event)));
      grid.banded = true; // the click that follows opens nothing
      setTimeout(() => { grid.banded = false; });
    }
    stop();
  };
  grid.onpointercancel = stop;
}
