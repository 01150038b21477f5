// Prefetched pages of tiles, and the image that follows the enlarged one, by key; all are decoded.
const PAGES = 3, PATIENCE = 200; // milliseconds without user input before prefetching

function decoded(src) {
  if (!src) return null;
  const image = element("img");
  image.src = src;
  image.decode().catch(() => {});
  return image;
}

export default function ({ data, parentElement, setTriggerValue }) {
  const host = parentElement.querySelector(".prefetch");
  const kept = (window.secondLookPrefetched ??= new Map());
  const large = (window.secondLookFollowing ??= new Map());
  clearTimeout(host.timer);
  if (data.tiles) {
    const tiles = tilesOf(data);
    kept.set(data.page, { tiles, images: tiles.map(({ src }) => decoded(src)) });
    while (kept.size > PAGES) kept.delete(kept.keys().next().value);
  }
  if (!large.has(data.following)) large.clear();
  if (data.large) {
    large.set(data.following, data.large);
    host.image = decoded(data.large.src);
  }
  const want = data.following && !large.has(data.following) ? data.following
    : data.page && !kept.has(data.page) ? data.page : null;
  if (want) host.timer = setTimeout(() => setTriggerValue("want", want), PATIENCE);
  return () => clearTimeout(host.timer);
}
