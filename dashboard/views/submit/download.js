// Saves a text that the server sends, once, and tells the server that it came.
export default function ({ data, setTriggerValue }) {
  const taken = (window.secondLookTaken ??= new Set());
  if (!data.token) return;
  if (!taken.has(data.token)) {
    taken.add(data.token);
    const link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob([data.text], { type: "text/csv" }));
    link.download = data.name;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
  }
  setTriggerValue("taken", data.token);
}
