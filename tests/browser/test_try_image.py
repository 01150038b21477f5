"""An image dropped into the Map page: refused if it is none, else predicted by a real network."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from playwright.sync_api import expect

from tests.support.small_fits import small_fit
from tests.support.tiny_images import image_bytes, kaggle
from tests.support.warm_server import WarmServer


def test_an_image_is_dropped_and_predicted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, open_context
) -> None:
    monkeypatch.setenv("SECONDLOOK_HOME", str(tmp_path / "workspace"))
    run = small_fit(kaggle(tmp_path / "data", train=8, test=0)).run
    # Both maps are there, so that the page starts no process.
    shutil.copy(run.folder / "map-pca.parquet", run.folder / "map-tsne.parquet")
    server = WarmServer(tmp_path)
    try:
        page = open_context().new_page()
        page.goto(f"{server.url}/map")
        page.get_by_role("button", name="Try an image").click()
        dialog = page.get_by_role("dialog")
        drop = dialog.locator("input[type=file]").last
        drop.set_input_files({"name": "no.jpg", "mimeType": "image/jpeg", "buffer": b"<svg/>"})
        expect(dialog.get_by_role("alert")).to_contain_text("no.jpg cannot be used")
        content = image_bytes("dog", 99)
        drop.set_input_files({"name": "dog.jpg", "mimeType": "image/jpeg", "buffer": content})
        expect(dialog.get_by_text("Nearest training images")).to_be_visible(timeout=120_000)
        expect(dialog.locator(".sl-grid img")).to_have_count(8)
        assert len(dialog.locator("table").inner_text().split()) == 6  # two classes, and the head
        assert "Traceback" not in server.errors()
    finally:
        server.stop()
