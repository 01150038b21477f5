"""Decoding against Pillow: upright, RGB, 8 bits; and whatever is damaged is refused."""

from __future__ import annotations

import io
import random
import struct
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageOps

from engine.data import images
from engine.data.formats import Unreadable
from engine.data.headers import upright_size
from engine.data.images import decode, decode_reduced
from engine.model.preprocessing import Preprocessing
from tests.support import tiny_images as tiny
from tests.support.image_files import png, saved, scene
from tests.support.profiles import ADOBE

XMP = (
    b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF '
    b'xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><rdf:Description '
    b'xmlns:tiff="http://ns.adobe.com/tiff/1.0/" tiff:Orientation="6"/></rdf:RDF></x:xmpmeta>'
)
LOSSLESS: dict[str, dict[str, Any]] = {
    "PNG": {},
    "WEBP": {"lossless": True},
    "TIFF": {},
    "BMP": {},
    "GIF": {},
}


def exif(orientation: int) -> Image.Exif:
    block = Image.Exif()
    block[0x0112] = orientation
    return block


def pixels(content: bytes) -> np.ndarray:
    """Decode with the code under test; int array of shape (height, width, 3)."""
    tensor = decode(content)
    assert tensor.dtype == torch.uint8
    assert tuple(tensor.shape) == (3, *upright_size(content)[::-1])
    return tensor.permute(1, 2, 0).numpy().astype(int)


def oracle(content: bytes) -> np.ndarray:
    """Decode with Pillow alone; transparency lies on white."""
    with Image.open(io.BytesIO(content)) as image:
        upright = ImageOps.exif_transpose(image)
        return on_white(np.asarray(upright.convert("RGBA")))


def on_white(rgba: np.ndarray) -> np.ndarray:
    """Lay uint8 (height, width, 4) on white, by hand."""
    alpha = rgba[..., 3:] / 255
    return np.rint(rgba[..., :3] * alpha + 255 * (1 - alpha)).astype(int)


def assert_alike(content: bytes, *, mean: float = 2.0) -> None:
    ours, theirs = pixels(content), oracle(content)
    assert ours.shape == theirs.shape
    assert np.abs(ours - theirs).mean() <= mean


def reason(content: bytes) -> str:
    with pytest.raises(Unreadable) as caught:
        decode(content)
    message = str(caught.value)
    assert message and "\n" not in message
    return message


@pytest.mark.parametrize("format", ["JPEG", "PNG", "AVIF", "TIFF"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_every_orientation_is_turned_upright(format, orientation):
    options = LOSSLESS.get(format, {"quality": 95})
    content = saved(scene(), format, exif=exif(orientation), **options)
    assert_alike(content, mean=2.0 if format == "JPEG" else 0)
    assert pixels(content).shape == ((30, 40, 3) if orientation < 5 else (40, 30, 3))


def test_orientation_by_hand():
    # Orientation 6: what was stored as the left column is the top row, read from the right.
    stored = np.zeros((2, 3, 3), np.uint8)
    stored[0, 0], stored[1, 0] = (255, 0, 0), (0, 255, 0)
    upright = pixels(saved(Image.fromarray(stored), exif=exif(6)))
    assert upright.shape == (3, 2, 3)
    assert upright[0, 1].tolist() == [255, 0, 0]
    assert upright[0, 0].tolist() == [0, 255, 0]


def test_browsers_do_not_turn_webp_and_neither_do_we():
    content = saved(scene(), "WEBP", exif=exif(6), lossless=True)
    assert np.array_equal(pixels(content), np.asarray(scene()))


@pytest.mark.parametrize("block", [None, exif(1)])
@pytest.mark.parametrize("format", ["JPEG", "PNG", "TIFF"])
def test_an_orientation_in_xmp_turns_nothing(format, block):
    options: dict[str, Any] = {"exif": block} if block else {}
    if format == "PNG":
        content = saved(scene(), pnginfo=png_text(XMP.decode()), **options)
    elif format == "JPEG":
        content = saved(scene(), "JPEG", xmp=XMP, quality=95, **options)
    else:
        content = saved(scene(), "TIFF", tiffinfo={700: XMP})
    assert XMP in content
    plain = saved(scene(), format, **({"quality": 95} if format == "JPEG" else {}))
    assert np.array_equal(pixels(content), pixels(plain))


def test_a_damaged_entry_of_exif_turns_nothing():
    block = b"Exif\0\0MM\0*" + struct.pack(">IHHHII", 8, 1, 0x0112, 4, 1, 6)  # long, not short
    assert pixels(saved(scene(), exif=block)).shape == (30, 40, 3)


def png_text(text: str) -> Any:
    from PIL.PngImagePlugin import PngInfo

    info = PngInfo()
    info.add_itxt("XML:com.adobe.xmp", text)
    return info


@pytest.mark.parametrize("value", [0, 9, 65535])
def test_an_orientation_that_does_not_exist_changes_nothing(value):
    assert_alike(saved(scene(), exif=exif(value)), mean=0)


@pytest.mark.parametrize(
    "block",
    [b"Exif\0\0garbage", b"Exif\0\0II*\0\xff\xff\xff\xff", b"Exif\0\0MM\0*\0\0\0\x08\0\x05"],
)
def test_a_broken_exif_block_says_nothing_about_the_pixels(block):
    plain = saved(scene(), "JPEG", quality=95)
    broken = plain[:2] + b"\xff\xe1" + struct.pack(">H", len(block) + 2) + block + plain[2:]
    assert np.array_equal(pixels(broken), pixels(plain))


@pytest.mark.parametrize("format", list(LOSSLESS))
def test_formats_without_loss_are_exact(format):
    image = scene().quantize(64) if format == "GIF" else scene()
    assert_alike(saved(image, format, **LOSSLESS[format]), mean=0)


@pytest.mark.parametrize(
    "options", [{}, {"progressive": True}, {"subsampling": 0}, {"quality": 30}, {"optimize": True}]
)
def test_jpegs_of_all_kinds(options):
    assert_alike(saved(scene(160, 120), "JPEG", **options))


@pytest.mark.parametrize("mode", ["L", "LA", "P", "RGBA", "1", "CMYK"])
def test_every_mode_becomes_rgb(mode):
    image = scene().convert(mode)
    for format in {"CMYK": ["JPEG", "TIFF"], "L": ["PNG", "JPEG", "TIFF"]}.get(
        mode, ["PNG", "TIFF"]
    ):
        content = saved(image, format)
        # Two libraries do not agree to the last bit on how ink becomes light.
        assert_alike(content, mean={"CMYK": 6.0}.get(mode, 1.0 if format == "JPEG" else 0))


HIDDEN = np.dstack([np.asarray(scene()), np.zeros((30, 40), np.uint8)])
HIDDEN[5:20, 10:30, 3] = np.linspace(0, 255, 20, dtype=np.uint8)


@pytest.mark.parametrize(
    ("format", "mode"),
    [(f, m) for f in ("PNG", "WEBP", "TIFF", "AVIF") for m in ("RGBA", "LA")]
    + [("JPEG2000", "RGBA"), ("PNG", "P"), ("GIF", "P")],
)
def test_transparency_lies_on_white(format, mode):
    image = Image.fromarray(HIDDEN)
    if mode == "P":
        content = saved(scene().quantize(32), format, transparency=3)
        expected = oracle(saved(Image.open(io.BytesIO(content)).convert("RGBA")))
        assert (expected == 255).all(axis=2).any()
    else:
        image = image.convert(mode)
        options = {"WEBP": {"lossless": True, "exact": True}, "AVIF": {"quality": 100}}
        content = saved(image, format, **options.get(format, {}))
        expected = on_white(np.asarray(image.convert("RGBA")))
    found = pixels(content)
    assert np.abs(found - expected).mean() <= (4 if format == "AVIF" else 0.01)
    if mode != "P":
        assert (found[:5] == 255).all()  # the other image there is hidden


def test_a_gif_frame_smaller_than_its_canvas_lies_on_white():
    red = saved(Image.new("RGB", (4, 3), "red"), "GIF")
    at = red.index(b",\0\0\0\0\4\0\3\0")
    content = red[:6] + struct.pack("<HH", 10, 8) + red[10:at]
    content += b"," + struct.pack("<HH", 2, 1) + red[at + 5 :]
    found = pixels(content)
    assert (found[1:4, 2:6] == [255, 0, 0]).all()
    found[1:4, 2:6] = 255
    assert found.shape == (8, 10, 3) and (found == 255).all()


def test_the_default_image_of_an_animation_is_not_what_browsers_show():
    frames = [Image.new("RGB", (8, 6), colour) for colour in ("red", "lime", "blue")]
    content = saved(frames[0], save_all=True, append_images=frames[1:], default_image=True)
    assert (pixels(content) == [0, 255, 0]).all()


def test_of_an_animation_the_first_frame_is_taken():
    frames = [Image.new("RGB", (8, 6), colour) for colour in ("red", "lime", "blue")]
    for format in ("GIF", "WEBP", "TIFF"):
        options = {"lossless": True} if format == "WEBP" else {}
        content = saved(frames[0], format, save_all=True, append_images=frames[1:], **options)
        assert (pixels(content) == [255, 0, 0]).all()


def sixteen_bit_png(values: np.ndarray) -> bytes:
    """Write uint16 values of shape (height, width, channels), as Pillow cannot."""
    height, width, channels = values.shape
    colours = {1: 0, 2: 4, 3: 2, 4: 6}[channels]
    return png(width, height, 16, colours, values.astype(">u2").reshape(height, -1))


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_sixteen_bit_png_is_scaled_not_saturated(channels):
    values = np.linspace(0, 65535, 16 * 16 * channels).reshape(16, 16, channels).astype(np.uint16)
    found = pixels(sixteen_bit_png(values))
    colours = values[..., :1] if channels < 3 else values[..., :3]
    alpha = values[..., -1:] / 65535 if channels in (2, 4) else 1
    expected = np.broadcast_to(colours / 257 * alpha + 255 * (1 - alpha), (16, 16, 3))
    assert np.abs(found - expected).max() < (1 if channels in (1, 3) else 2)
    if channels in (1, 3):
        assert len(np.unique(found)) > 200


@pytest.mark.parametrize("order", ["<u2", ">u2"])
def test_sixteen_bit_tiff_is_scaled_not_saturated(order):
    values = np.linspace(0, 65535, 16 * 16).reshape(16, 16).astype(order)
    image = Image.fromarray(values)
    assert image.mode.startswith("I;16")
    found = pixels(saved(image, "TIFF"))
    assert np.array_equal(found[..., 0], np.rint(values / 257))
    assert (found == found[..., :1]).all()


def test_pixels_that_are_no_8_or_16_bits_are_refused():
    assert "floating-point" in reason(saved(Image.new("F", (4, 3), 0.5), "TIFF"))
    assert "more than 16 bits" in reason(saved(Image.new("I", (4, 3), 70_000), "TIFF"))
    assert "more than 16 bits" in reason(saved(Image.new("I", (4, 3), -1), "TIFF"))


@pytest.mark.parametrize("size", [(1, 1), (1, 5000), (5000, 1), (3, 7)])
@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP"])
def test_odd_sizes(size, format):
    assert pixels(saved(Image.new("RGB", size, "teal"), format)).shape == (size[1], size[0], 3)


@pytest.mark.parametrize("progressive", [False, True])
@pytest.mark.parametrize("thumbnail", [False, True])
def test_a_jpeg_that_is_not_whole_is_refused(progressive, thumbnail):
    content = saved(scene(200, 150), "JPEG", progressive=progressive, quality=90)
    if thumbnail:  # which brings an end marker of its own
        small = b"Exif\0\0" + saved(scene(16, 12), "JPEG")
        content = (
            content[:2] + b"\xff\xe1" + struct.pack(">H", len(small) + 2) + small + content[2:]
        )
    whole = pixels(content)
    assert whole.shape == (150, 200, 3)
    half = len(content) * 6 // 10
    for damaged in (content[:-2], content[:half], content[:half] + bytes(len(content) - half)):
        assert "cut short" in reason(damaged)


def test_what_a_phone_appends_does_not_matter():
    content = saved(scene(), "JPEG")
    film = random.Random(0).randbytes(200) + b"\xff\xda" + random.Random(1).randbytes(200)
    assert np.array_equal(pixels(content + film), pixels(content))
    both = saved(scene(), "MPO", save_all=True, append_images=[scene(20, 20)])
    assert pixels(both).shape == (30, 40, 3)


def test_bytes_between_segments_are_forgiven():
    content = saved(scene(), "JPEG")
    padded = content[:2] + b"\xff\xff" + content[2:]
    assert np.array_equal(pixels(padded), pixels(content))


@pytest.mark.parametrize("format", ["PNG", "WEBP", "GIF", "BMP", "TIFF"])
def test_half_an_image_of_any_format_is_refused(format):
    content = saved(Image.fromarray(random_pixels(64, 48)), format)
    assert reason(content[: len(content) // 2])


def random_pixels(width: int, height: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\0",
        b"<svg xmlns='http://www.w3.org/2000/svg'/>",
        b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n",
        saved(scene(), "EPS"),
        saved(scene(), "PPM"),
        saved(scene(), "ICO"),
        b"\xff\xd8\xff",
        b"\x89PNG\r\n\x1a\n",
        b"RIFF\0\0\0\0WEBP",
        b"GIF89a",
        b"BM",
        b"II*\0",
    ],
)
def test_what_is_no_image_is_refused(content):
    assert reason(content)


def test_an_image_is_known_by_content_not_by_name(tmp_path):
    path = tmp_path / "photo.jpg"
    path.write_bytes(tiny.image_bytes("cat", format="PNG"))
    assert np.array_equal(pixels(path.read_bytes()), oracle(path.read_bytes()))


def test_above_a_hundred_megapixels_nothing_is_decoded():
    content = saved(Image.new("1", (10_001, 10_000)))
    assert len(content) < 100_000
    assert "100 megapixels" in reason(content)


@settings(max_examples=150)
@given(
    st.sampled_from(["JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF"]),
    st.lists(st.tuples(st.integers(0, 10**6), st.integers(0, 255)), min_size=1, max_size=5),
)
def test_changed_bytes_give_an_image_or_a_reason(format, changes):
    content = bytearray(saved(scene(16, 12), format))
    for position, value in changes:
        content[position % len(content)] = value
    try:
        tensor = decode(bytes(content))
    except Unreadable as error:
        assert str(error)
    else:
        assert tensor.dtype == torch.uint8
        assert tuple(tensor.shape) == (3, *upright_size(bytes(content))[::-1])


@pytest.mark.parametrize("name", ["exif6_dog.jpg", "cat_png.png", "gray_L_dog.jpg"])
def test_real_images_are_decoded_as_pillow_does(real_data, name):
    assert_alike((real_data / "odd" / name).read_bytes(), mean=1.0)


def test_real_images_of_unusual_kinds(real_data):
    assert_alike((real_data / "odd" / "cmyk_dog.jpg").read_bytes(), mean=6.0)
    sixteen = (real_data / "odd" / "gray16.png").read_bytes()
    with Image.open(io.BytesIO(sixteen)) as image:
        expected = np.rint(np.asarray(image).astype(float) / 257)
    assert np.array_equal(pixels(sixteen)[..., 0], expected)
    assert "cut short" in reason((real_data / "odd" / "truncated_half.jpg").read_bytes())


def photograph(width: int, height: int, **options: object) -> bytes:
    """Return a smooth scene with an edge as JPEG."""
    x, y = np.meshgrid(np.linspace(0, 9, width), np.linspace(0, 7, height))
    scene = np.stack([np.sin(x) * 120 + 128, np.cos(y) * 120 + 128, (x > y) * 200], axis=-1)
    out = io.BytesIO()
    Image.fromarray(scene.astype(np.uint8)).save(out, "JPEG", quality=90, **options)
    return out.getvalue()


@pytest.mark.parametrize(
    "width, height, kept, turn",
    [
        (4096, 4096, 512, 1), (2048, 1600, 800, 1), (1600, 1040, 520, 6),  # divided by the scale
        (2055, 2063, 514, 1), (1601, 1041, 521, 1), (1607, 1040, 520, 5),
        (1607, 1040, 1040, 6), (1607, 1040, 1040, 2),  # the last pixels would become the first
        (1600, 1022, 1022, 1), (1028, 8225, 1028, 1), (500, 375, 375, 1),
    ],
)  # fmt: skip
def test_a_large_jpeg_is_decoded_at_a_scale(width, height, kept, turn):
    content = photograph(width, height, exif=exif(turn))
    all_of_it, reduced = decode(content), decode_reduced(content, 512)
    assert min(reduced.pixels.shape[1:]) == kept
    scale = round(min(width, height) / kept)
    if scale == 1:
        assert torch.equal(all_of_it, reduced.pixels)
    sides = tuple(side / scale for side in all_of_it.shape[1:])
    assert (reduced.sides or tuple(reduced.pixels.shape[1:])) == sides
    for whole in (False, True):
        steps = Preprocessing(256, 224, "bilinear", (0, 0, 0), (1, 1, 1), whole=whole)
        theirs = steps.resized(all_of_it).float()
        apart = (steps.resized(reduced.pixels, reduced.sides) - theirs).abs()
        # Of 255 levels; a shift by half a pixel gives more.
        assert apart.mean() < 0.25 and apart.max() <= 16


def test_a_reduced_jpeg_is_the_same_without_simplejpeg(monkeypatch: pytest.MonkeyPatch):
    end = b"\xff\xd9"
    contents = [photograph(1600, 1200), photograph(1600, 1200, progressive=True, exif=exif(6))]
    contents += [contents[0][: len(contents[0]) // 2] + end]  # damaged, and shown all the same
    contents += [contents[0][:5000] + bytes(50) + contents[0][5050:]]
    contents += [photograph(2061, 2055, subsampling=kind) for kind in ("4:4:4", "4:2:0")]
    faster = [decode_reduced(content, 512) for content in contents]
    monkeypatch.setattr(images, "simplejpeg", None)
    for content, reduced in zip(contents, faster, strict=True):
        again = decode_reduced(content, 512)
        assert torch.equal(again.pixels, reduced.pixels) and again.sides == reduced.sides


def test_a_reduced_jpeg_is_upright_in_srgb_and_refused_when_damaged():
    content = photograph(2048, 1536, exif=exif(6), icc_profile=ADOBE)
    whole, reduced = decode(content), decode_reduced(content, 512).pixels
    assert reduced.shape == (3, 1024, 768) and whole.shape == (3, 2048, 1536)
    averaged = torch.nn.functional.avg_pool2d(whole.float(), 2)
    assert (averaged - reduced).abs().mean() < 1
    with pytest.raises(Unreadable, match="cut short"):
        decode_reduced(content[: len(content) // 2], 512)
