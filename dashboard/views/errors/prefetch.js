// Prefetched pages of tiles with decoded images, by key.
const PAGES = 3, PATIENCE = 200; // milliseconds without user input before prefetching

export default function ({ data, parentElement, setTriggerValue }) {
  const host = parentElement.querySelector(".prefetch");
  const kept = (window.secondLookPrefetched ??= new Map());
  clearTimeout(host.timer);
  if (data.tiles) {
    const images = data.tiles.map(({ src }) => {
      if (!src) return null;
      const image = element("img");
      image.src = src;
      image.decode().catch(() => {});
      return image;
    });
    kept.set(data.page, { tiles: data.tiles, images });
    while (kept.size > PAGES) kept.delete(kept.keys().next().value);
  } else if (data.page && !kept.has(data.page)) {
    host.timer = setTimeout(() => setTriggerValue("want", data.page), PATIENCE);
  }
  return () => clearTimeout(host.timer);
}
