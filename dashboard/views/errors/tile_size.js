export default function ({ parentElement }) {
  const { signal, end } = newCall(parentElement);
  const input = parentElement.querySelector("input");
  const follow = () => { input.value = tileSize() ?? Math.round(usualTileSize()); };
  input.oninput = () => setTileSize(Number(input.value));
  window.addEventListener(TILE, follow, { signal });
  follow();
  return end;
}
