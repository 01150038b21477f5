"""What Chromium shows of an image: drawn on a white canvas, and its pixels read back."""

from __future__ import annotations

import base64
from collections.abc import Sequence

import numpy as np
from playwright.sync_api import Page

_BATCH = 200  # images a message
_DRAW = """async (images) => {
    const draw = async (content) => {
        const bytes = Uint8Array.from(atob(content), (c) => c.charCodeAt(0));
        const image = new Image();
        image.src = URL.createObjectURL(new Blob([bytes]));
        try { await image.decode(); } catch { return null; }
        const [width, height] = [image.naturalWidth, image.naturalHeight];
        const canvas = new OffscreenCanvas(width, height);
        const context = canvas.getContext("2d", { willReadFrequently: true });
        context.fillStyle = "white";
        context.fillRect(0, 0, width, height);
        context.drawImage(image, 0, 0);
        URL.revokeObjectURL(image.src);
        let text = "";
        for (const value of context.getImageData(0, 0, width, height).data)
            text += String.fromCharCode(value);
        return [width, height, btoa(text)];
    };
    const found = [];
    for (const content of images) found.push(await draw(content));
    return found;
}"""


def shown(page: Page, contents: Sequence[bytes]) -> list[np.ndarray | None]:
    """Return what Chromium shows on white, uint8 (height, width, 3); None for a broken image."""
    found: list[np.ndarray | None] = []
    for start in range(0, len(contents), _BATCH):
        batch = [base64.b64encode(content).decode() for content in contents[start : start + _BATCH]]
        for one in page.evaluate(_DRAW, batch):
            if one is None:
                found.append(None)
                continue
            width, height, text = one
            pixels = np.frombuffer(base64.b64decode(text), np.uint8).reshape(height, width, 4)
            found.append(pixels[..., :3])
    return found
