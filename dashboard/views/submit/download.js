// Saves a file that the server sends, once, and confirms it.
export default function ({ data, setTriggerValue }) {
  const downloaded = (window.secondLookDownloaded ??= new Set());
  if (!data.token) return;
  if (!downloaded.has(data.token)) {
    downloaded.add(data.token);
    const link = element("a");
    link.href = URL.createObjectURL(new Blob([data.text], { type: "text/csv" }));
    link.download = data.name;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
  }
  setTriggerValue("downloaded", data.token);
}
