export default function ({ parentElement }) {
  const input = parentElement.querySelector("input");
  const follow = () => { input.value = tileSize() ?? Math.round(usualTileSize()); };
  input.oninput = () => setTileSize(Number(input.value));
  window.addEventListener(TILE, follow);
  follow();
  return () => window.removeEventListener(TILE, follow);
}
