"""Thumbnails: upright, small, made once; the image is only read."""

from __future__ import annotations

import errno
import hashlib
import io
import os
import struct

import numpy as np
import pytest
from PIL import Image, ImageOps

from engine.data.formats import Unreadable
from engine.data.images import decode
from engine.data.thumbnails import SHORT_SIDE, make_thumbnail, thumbnail
from tests.support import tiny_images as tiny


def scene(width: int = 40, height: int = 30) -> Image.Image:
    x, y = np.meshgrid(np.linspace(0, 255, width), np.linspace(0, 255, height))
    return Image.fromarray(np.stack([x, y, np.full_like(x, 60)], axis=-1).astype(np.uint8))


def saved(image: Image.Image, format: str = "PNG", **options: object) -> bytes:
    out = io.BytesIO()
    image.save(out, format, **options)
    return out.getvalue()


def shown(jpeg: bytes) -> np.ndarray:
    with Image.open(io.BytesIO(jpeg)) as image:
        assert (image.format, image.mode) == ("JPEG", "RGB")
        assert not image.getexif()
        return np.asarray(image).astype(int)


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


@pytest.mark.parametrize("format", ["JPEG", "PNG", "AVIF", "TIFF"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_thumbnail_is_as_upright_as_what_is_scored(format, orientation):
    block = Image.Exif()
    block[0x0112] = orientation
    content = saved(scene(), format, exif=block)
    scored = decode(content).permute(1, 2, 0).numpy().astype(int)
    with Image.open(io.BytesIO(content)) as image:
        expected = np.asarray(ImageOps.exif_transpose(image).convert("RGB")).astype(int)
    small = shown(make_thumbnail(content, SHORT_SIDE))
    assert small.shape == scored.shape == expected.shape
    assert np.abs(small - scored).mean() < 6
    assert np.abs(small - expected).mean() < 6


@pytest.mark.parametrize("format", ["PNG", "TIFF"])
def test_sixteen_bits_are_scaled_as_in_decoding(format):
    values = np.linspace(0, 65535, 40 * 30).reshape(30, 40).astype(np.uint16)
    content = saved(Image.fromarray(values), format)
    small = shown(make_thumbnail(content, SHORT_SIDE))
    assert np.abs(small[..., 0] - values / 257).mean() < 3


@pytest.mark.parametrize("mode", ["L", "LA", "P", "RGBA", "1", "CMYK"])
def test_every_mode_has_a_thumbnail(mode):
    image = scene().quantize(64) if mode == "P" else scene().convert(mode)
    content = saved(image, "TIFF" if mode == "CMYK" else "PNG")
    scored = decode(content).permute(1, 2, 0).numpy().astype(int)
    assert np.abs(shown(make_thumbnail(content, SHORT_SIDE)) - scored).mean() < 12


@pytest.mark.parametrize(
    ("size", "expected"),
    [
        ((600, 450), (299, 224)),
        ((450, 900), (224, 448)),
        ((224, 224), (224, 224)),
        ((40, 30), (40, 30)),
        ((1, 1), (1, 1)),
        ((1, 5000), (1, 896)),
        ((9000, 300), (896, 224)),
    ],
)
@pytest.mark.parametrize("format", ["JPEG", "PNG"])
def test_the_short_side_is_224_at_most_and_nothing_is_enlarged(size, expected, format):
    small = shown(make_thumbnail(saved(Image.new("RGB", size, "teal"), format), SHORT_SIDE))
    assert small.shape[1::-1] == expected


def test_a_thumbnail_is_made_once_and_the_image_only_read(tmp_path, workspace):
    content = saved(scene(500, 400), "JPEG")
    path = tiny.put(tmp_path / "data" / "cat.jpg", content)
    path.chmod(0o444)
    before = path.stat().st_mtime_ns
    first = thumbnail(path, sha256(content))
    assert shown(first).shape == (224, 280, 3)
    assert path.read_bytes() == content and path.stat().st_mtime_ns == before
    assert [file.name for file in path.parent.iterdir()] == ["cat.jpg"]
    path.unlink()
    assert thumbnail(path, sha256(content)) == first
    assert [file.read_bytes() for file in workspace.rglob("*.jpg")] == [first]


def test_a_changed_image_is_not_kept_under_the_old_checksum(tmp_path, workspace):
    path = tiny.put(tmp_path / "cat.jpg", tiny.image_bytes("cat"))
    assert thumbnail(path, "0" * 64)
    assert not list(workspace.rglob("*.jpg"))


def test_a_missing_or_bad_image_has_a_reason(tmp_path, workspace):
    with pytest.raises(Unreadable, match="No such file"):
        thumbnail(tmp_path / "gone.jpg", "0" * 64)
    half = saved(scene(300, 300), "JPEG")
    for content in (b"", b"text", half[: len(half) // 2], saved(Image.new("F", (3, 3)), "TIFF")):
        with pytest.raises(Unreadable):
            make_thumbnail(content, SHORT_SIDE)
        with pytest.raises(Unreadable):
            thumbnail(tiny.put(tmp_path / "bad.jpg", content), sha256(content))
    assert not list(workspace.rglob("*.jpg"))


def test_a_broken_exif_block_does_not_hide_the_image():
    plain = saved(scene(), "JPEG")
    block = b"Exif\0\0II*\0\xff\xff\xff\xff"
    broken = plain[:2] + b"\xff\xe1" + struct.pack(">H", len(block) + 2) + block + plain[2:]
    assert make_thumbnail(broken, SHORT_SIDE) == make_thumbnail(plain, SHORT_SIDE)


def test_a_full_disk_costs_time_but_not_the_image(tmp_path, workspace, monkeypatch):
    content = tiny.image_bytes("cat")
    path = tiny.put(tmp_path / "cat.jpg", content)

    def full(handle: int, data: bytes) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "write", full)
    assert thumbnail(path, sha256(content)) == make_thumbnail(content, SHORT_SIDE)
    assert not list(workspace.rglob("*.jpg"))
