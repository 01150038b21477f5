// The points of a chart that were clicked, or that a drag went over. Streamlit reports only one of
// the two: where a drag selects, it turns off what a click selects.
export default function ({ parentElement, setTriggerValue }) {
  const { signal, end } = newCall(parentElement);
  const box = parentElement.host.closest("[class*=st-key-chart_]");
  const send = (event) => {
    const points = (event?.points ?? []).map(({ x, curveNumber }) => ({ x, curve: curveNumber }));
    if (points.length) setTriggerValue("points", points);
  };
  // Plotly draws later than this, and drops its listeners when it draws anew.
  box.addEventListener("pointerdown", () => {
    const drawn = box.querySelector(".js-plotly-plot");
    for (const name of ["plotly_click", "plotly_selected"]) {
      drawn?.removeAllListeners?.(name);
      drawn?.on?.(name, send);
    }
  }, { capture: true, signal });
  // A finger scrolls the page, for which Plotly must not see it; a tap arrives as a click.
  box.addEventListener("touchstart", (event) => event.stopPropagation(),
    { capture: true, passive: true, signal });
  return end;
}
