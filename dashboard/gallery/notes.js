// Tags of one's own and a note on the enlarged image; the server saves each change at once.
function notes(dialog, { id, notes: now }, send) {
  const box = dialog.querySelector(".notes");
  box.hidden = !now;
  if (!now) return box.replaceChildren();
  if (box.shown !== id) {
    const input = element("input"), list = element("datalist"), text = element("textarea");
    list.id = "known-tags";
    input.setAttribute("list", list.id);
    input.placeholder = "Add a tag, then Enter";
    input.setAttribute("aria-label", "Add a tag");
    input.maxLength = MOST_TAG_LETTERS;
    text.setAttribute("aria-label", "Note");
    text.placeholder = "Note";
    text.maxLength = MOST_NOTE_LETTERS;
    text.value = now.note;
    box.replaceChildren(element("h3", "", "Tags and note"), element("ul"), input, list, text);
    box.shown = id;
  }
  const [input, text] = [box.querySelector("input"), box.querySelector("textarea")];
  if (box.getRootNode().activeElement !== text) text.value = now.note;
  input.onkeydown = (event) => {
    if (event.key !== "Enter" || !input.value.trim()) return;
    send({ id, tag: input.value, on: true });
    input.value = "";
  };
  text.onchange = () => send({ id, note: text.value });
  box.querySelector("datalist").replaceChildren(...now.known.map((tag) => new Option(tag, tag)));
  if (box.querySelector("ul").contains(box.getRootNode().activeElement)) input.focus();
  box.querySelector("ul").replaceChildren(...now.tags.map((tag) => {
    const item = element("li");
    const button = buttonOf(`${tag} ×`, () => send({ id, tag, on: false }));
    button.title = "Remove this tag";
    item.append(button);
    return item;
  }));
}
