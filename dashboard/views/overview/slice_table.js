function mark(className, left, width) {
  const made = element("i", className);
  made.style.left = `${left}%`;
  if (width !== undefined) made.style.width = `${width}%`;
  return made;
}

function rowOf(row, index) {
  const button = buttonOf(undefined, null, row.marked ? "row marked" : "row");
  button.dataset.index = index;
  button.tabIndex = index ? -1 : 0;
  const name = element("span", "name");
  name.append(...row.images.filter(Boolean).map(imageOf), row.name);
  if (row.marked) name.append(" ", element("b", "", "significant"));
  const [value, low, high, rest] = row.at;
  const line = element("span", "line");
  line.append(mark("band", low, high - low), mark("rest", rest), mark("dot", value));
  // The head of the table is not read with each row: its words are hidden in the row.
  const loss = element("span", "loss");
  loss.append(element("span", "heard", " incorrect, log loss "), row.loss, element("span", "heard", ` ${row.rest}`));
  const n = element("span", "n", row.n);
  n.append(element("span", "heard", " images, "));
  button.append(name, n, element("span", "errors", row.errors), loss, line);
  return button;
}

export default function ({ data, parentElement }) {
  const root = parentElement.querySelector(".slices");
  root.onclick = (event) => {
    const row = event.target.closest(".row");
    if (row) goTo("errors", data.rows[row.dataset.index].address);
  };
  if (root.shown === JSON.stringify(data)) return;
  root.shown = JSON.stringify(data);
  const head = element("div", "head");
  const scale = element("span", "scale");
  scale.append(element("span", "", "0"), element("span", "", data.most));
  head.append(element("span", "name", ""), element("span", "n", "images"),
    element("span", "errors", "incorrect"), element("span", "loss", "log loss"), scale);
  root.replaceChildren(head, ...data.rows.map(rowOf));
  markDrawn(parentElement);
  nameGroup(root, "Slices, weakest first; arrow keys move, Enter opens the images");
  root.onkeydown = (event) => {
    const rows = [...root.querySelectorAll(".row")];
    const at = rows.indexOf(parentElement.activeElement);
    const to = { ArrowUp: at - 1, ArrowDown: at + 1, Home: 0, End: rows.length - 1 }[event.key];
    if (at < 0 || to === undefined) return;
    event.preventDefault();
    if (rows[to]) moveFocus(rows, rows[to]);
  };
}
