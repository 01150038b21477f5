// Prefetched pages of tiles, and the image that follows the enlarged one, by name; all are decoded.
const PATIENCE = 200; // milliseconds without user input before prefetching

function decoded(src) {
  if (!src) return null;
  const image = element("img");
  image.src = src;
  image.decode().catch(() => {});
  return image;
}

export default function ({ data, parentElement, setTriggerValue }) {
  const host = parentElement.querySelector(".prefetch");
  const large = (window.secondLookFollowing ??= new Map());
  clearTimeout(host.timer);
  if (data.tiles) {
    const tiles = tilesOf(data);
    keepPage(data.page, { tiles, marks: data.marks, images: tiles.map(({ src }) => decoded(src)) });
    if (data.name !== data.page) firstPages.set(data.name, data.page);
  }
  if (!large.has(data.following)) large.clear();
  if (data.large) {
    large.set(data.following, data.large);
    host.image = decoded(data.large.src);
  }
  const want = data.following && !large.has(data.following) ? data.following
    : data.pages.find((name) => !isKept(firstPages.get(name) ?? name));
  if (want) host.timer = setTimeout(() => setTriggerValue("want", want), PATIENCE);
  return () => clearTimeout(host.timer);
}
