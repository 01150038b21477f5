"""Images of every format, mode, profile and orientation, drawn from a seed."""

from __future__ import annotations

import random
import struct
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from PIL import Image, ImageCms
from PIL.PngImagePlugin import PngInfo

from engine.data.profiles import D65, SRGB_CURVE, SRGB_PRIMARIES, matrix_profile
from tests.support.image_files import png, saved, tiff

FORMATS = ("PNG", "PNG by hand", "APNG", "JPEG", "WEBP", "AVIF", "GIF", "BMP")  # as browsers read
FOR_IMAGEMAGICK = ("TIFF by hand", "TIFF", "JPEG2000")  # what browsers do not read
_XMP = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><a tiff:Orientation="%d"/></x:xmpmeta>'


@dataclass(frozen=True)
class Variant:
    """An image file: what it is in words, its kind for the report, and its bytes."""

    name: str
    kind: str
    content: bytes


def variant(seed: int, formats: tuple[str, ...] = FORMATS) -> Variant:
    """Draw one; the same seed gives the same."""
    rng = random.Random(seed)
    format = formats[seed % len(formats)]
    kind, words, content = {
        "PNG": _png, "PNG by hand": _png_by_hand, "APNG": _apng, "JPEG": _jpeg, "WEBP": _webp,
        "AVIF": _avif, "GIF": _gif, "BMP": _bmp, "TIFF": _tiff, "TIFF by hand": _tiff_by_hand,
        "JPEG2000": _jpeg2000,
    }[format](rng)  # fmt: skip
    return Variant(f"seed {seed}: {format} {words}", f"{format} {kind}".strip(), content)


def _scene(rng: random.Random, alpha: bool = False) -> Image.Image:
    """Draw shades and some noise, of a size that differs in both directions."""
    width, height = rng.randrange(1, 40), rng.randrange(1, 40)
    noise = np.random.default_rng(rng.randrange(2**32))
    x, y = np.meshgrid(np.linspace(0, 255, width), np.linspace(0, 255, height))
    shades = [x, y, (x + y) / 2, np.where(x > 128, 255 - y, y)][: 4 if alpha else 3]
    values = np.stack(shades, axis=-1) + noise.normal(0, rng.choice((0, 8, 60)), (height, width, 1))
    if alpha and rng.random() < 0.5:
        values[..., 3] = np.where(noise.random((height, width)) < 0.3, 0, values[..., 3])
    return Image.fromarray(np.clip(values, 0, 255).astype(np.uint8))


@lru_cache
def _profiles() -> dict[str, bytes | None]:
    wide = ((0.68, 0.32), (0.265, 0.69), (0.15, 0.06))
    return {
        "no profile": None,
        "sRGB": ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes(),
        "Adobe RGB": matrix_profile(D65, ((0.64, 0.33), (0.21, 0.71), (0.15, 0.06)), 2.19921875),
        "Display P3": matrix_profile(D65, wide, SRGB_CURVE),
        "ProPhoto": matrix_profile(
            (0.3457, 0.3585), ((0.7347, 0.2653), (0.1596, 0.8404), (0.0366, 0.0001)), 1.8
        ),
        "linear": matrix_profile(D65, SRGB_PRIMARIES, 1.0),
        "damaged": bytes(200),
    }


def _colours(rng: random.Random) -> tuple[str, dict[str, Any]]:
    name = rng.choice([*_profiles(), "no profile", "no profile"])
    profile = _profiles()[name]
    return name, {"icc_profile": profile} if profile else {}


def _turn(rng: random.Random) -> tuple[str, dict[str, Any]]:
    turn = rng.choice((0, 0, *range(1, 9), 9))
    exif = Image.Exif()
    exif[0x0112] = turn
    return f"EXIF {turn}", {"exif": exif} if turn else {}


def _png(rng: random.Random) -> tuple[str, str, bytes]:
    mode = rng.choice(("RGB", "RGBA", "L", "LA", "P", "1", "I;16"))
    (profile, colours), (turn, exif) = _colours(rng), _turn(rng)
    image = _scene(rng, alpha="A" in mode)
    if mode == "I;16":
        image = Image.fromarray(np.asarray(image.convert("L")).astype(np.uint16) * 257)
    else:
        image = image.quantize(rng.choice((2, 9, 200))) if mode == "P" else image.convert(mode)
    options: dict[str, Any] = {}
    if mode in ("L", "P", "RGB") and rng.random() < 0.5:
        first = image.getpixel((0, 0))
        options["transparency"] = bytes(range(0, 256, 2)) if mode == "P" else first
    if rng.random() < 0.3:
        options["pnginfo"] = PngInfo()
        options["pnginfo"].add_itxt("XML:com.adobe.xmp", (_XMP % 6).decode())
    return profile, f"{mode} {turn} {profile} {[*options]}", saved(
        image, "PNG", **colours, **exif, **options
    )  # fmt: skip


def _png_by_hand(rng: random.Random) -> tuple[str, str, bytes]:
    depth, colours = rng.choice(
        [(d, 0) for d in (1, 2, 4, 8, 16)] + [(d, c) for d in (8, 16) for c in (2, 4, 6)]
    )
    channels = {0: 1, 2: 3, 4: 2, 6: 4}[colours]
    width, height = rng.randrange(1, 30), rng.randrange(1, 30)
    noise = np.random.default_rng(rng.randrange(2**32))
    bits = noise.integers(0, 2, (height, -(-width * channels * depth // 8) * 8), dtype=np.uint8)
    chunks = []
    if colours in (0, 2) and rng.random() < 0.5:
        key = [rng.randrange(1 << depth) for _ in range(channels)]
        if depth == 16:  # noise never meets a key of 16 bits
            key = [65535] * channels
            bits[: height // 2] = 1
        chunks.append((b"tRNS", struct.pack(f">{channels}H", *key)))
    # Levels of 16 bits are rounded here and cut there, which a curve would enlarge in the shadows.
    kind, more = rng.choice(_NUMBERS) if depth < 16 else _NUMBERS[0]
    return kind, f"depth {depth} colours {colours} {[*chunks, *more]}", png(
        width, height, depth, colours, np.packbits(bits, axis=1), *more, *chunks
    )  # fmt: skip


def _points(*values: float) -> tuple[bytes, bytes]:
    return b"cHRM", struct.pack(">8I", *(round(value * 100_000) for value in values))


def _gamma(value: int) -> tuple[bytes, bytes]:
    return b"gAMA", struct.pack(">I", value)


_NUMBERS: tuple[tuple[str, list[tuple[bytes, bytes]]], ...] = (
    ("", []),
    ("gAMA", [_gamma(45455)]),
    ("gAMA", [_gamma(43000)]),
    ("gAMA", [_gamma(55556)]),
    ("gAMA", [_gamma(100_000)]),
    ("gAMA and cHRM", [_gamma(45455), _points(0.3127, 0.329, 0.64, 0.33, 0.3, 0.6, 0.15, 0.06)]),
    ("gAMA and cHRM", [_gamma(55556), _points(0.3127, 0.329, 0.68, 0.32, 0.265, 0.69, 0.15, 0.06)]),
    ("cHRM", [_points(0.3127, 0.329, 0.68, 0.32, 0.265, 0.69, 0.15, 0.06)]),
    ("sRGB", [(b"sRGB", b"\0"), _gamma(100_000)]),
    *((f"cICP {p} {t}", [(b"cICP", bytes([p, t, 0, 1]))]) for p in (1, 9, 12) for t in (1, 4, 13)),
)


def _apng(rng: random.Random) -> tuple[str, str, bytes]:
    image = _scene(rng, alpha=True)
    others = [Image.new("RGBA", image.size, (rng.randrange(256), 9, 200, 128)) for _ in range(2)]
    first = rng.random() < 0.5
    options = {"default_image": first, "disposal": rng.randrange(3), "blend": rng.randrange(2)}
    content = saved(image, "PNG", save_all=True, append_images=others, **options)
    return "", f"{options}", content


def _jpeg(rng: random.Random) -> tuple[str, str, bytes]:
    mode = rng.choice(("RGB", "RGB", "L", "CMYK"))
    (profile, colours), (turn, exif) = _colours(rng), _turn(rng)
    options: dict[str, Any] = {
        "quality": rng.choice((30, 75, 95, 100)), "progressive": rng.random() < 0.3,
        "subsampling": rng.randrange(3),
    }  # fmt: skip
    if rng.random() < 0.3:
        options["xmp"] = _XMP % rng.randrange(1, 9)
    content = saved(_scene(rng).convert(mode), "JPEG", **options, **colours, **exif)
    return f"{mode} {profile}", f"{mode} {turn} {profile} {options}", content


def _webp(rng: random.Random) -> tuple[str, str, bytes]:
    alpha, lossless = rng.random() < 0.5, rng.random() < 0.5
    (profile, colours), (turn, exif) = _colours(rng), _turn(rng)
    image = _scene(rng, alpha)
    options: dict[str, Any] = {"lossless": lossless, "quality": rng.choice((40, 90))}
    if rng.random() < 0.3:
        options |= {"save_all": True, "append_images": [Image.new("RGB", image.size, "red")]}
    content = saved(image, "WEBP", **options, **colours, **exif)
    return f"{'lossless' if lossless else 'lossy'} {profile}", f"alpha {alpha} {turn}", content


def _avif(rng: random.Random) -> tuple[str, str, bytes]:
    (profile, colours), (turn, exif) = _colours(rng), _turn(rng)
    if profile == "damaged":  # which Chromium refuses in an AVIF, and only there
        profile, colours = "no profile", {}
    subsampling = rng.choice(("4:4:4", "4:2:0", "4:2:2"))
    # Alpha between 0 and 255 Chromium 156 reads in the limited range, libavif in the full one.
    image, alpha = _scene(rng), rng.random() < 0.5
    if alpha:
        image.putalpha(0)
    content = saved(
        image, "AVIF", quality=rng.choice((60, 100)), speed=10, subsampling=subsampling, **colours,
        **exif,
    )  # fmt: skip
    if not colours and rng.random() < 0.5:  # colours by numbers
        at = content.find(b"colrnclx") + 8
        primaries, transfer = rng.choice((1, 2, 9, 12)), rng.choice((1, 2, 4, 13))
        content = content[:at] + struct.pack(">HH", primaries, transfer) + content[at + 4 :]
        return "by numbers", f"{primaries} {transfer} {turn}", content
    return profile, f"alpha {alpha} {turn} {profile} {subsampling}", content


def _gif(rng: random.Random) -> tuple[str, str, bytes]:
    image = _scene(rng).quantize(rng.choice((2, 7, 256)))
    options: dict[str, Any] = {"optimize": False, "interlace": rng.randrange(2)}
    if rng.random() < 0.5:
        options["transparency"] = image.getpixel((0, 0))
    if rng.random() < 0.3:
        options |= {"save_all": True, "append_images": [Image.new("RGB", image.size, "red")]}
    content = saved(image, "GIF", **options)
    if rng.random() < 0.5 and "save_all" not in options:  # on a larger canvas
        width, height = image.size
        left, top = rng.randrange(5), rng.randrange(5)
        at = content.rindex(b"," + struct.pack("<HHHH", 0, 0, width, height))
        canvas = struct.pack("<HH", width + 5, height + 5)
        place = struct.pack("<HH", left, top)
        content = content[:6] + canvas + content[10 : at + 1] + place + content[at + 5 :]
    return "", f"{[*options]}", content


def _bmp(rng: random.Random) -> tuple[str, str, bytes]:
    mode = rng.choice(("RGB", "RGBA", "L", "P", "1"))
    image = _scene(rng, alpha=mode == "RGBA")
    image = image.quantize(30) if mode == "P" else image.convert(mode)
    return mode, mode, saved(image, "BMP")


def _tiff(rng: random.Random) -> tuple[str, str, bytes]:
    mode = rng.choice(("RGB", "RGBA", "L", "P", "1", "CMYK", "YCbCr"))
    turn = rng.choice((1, *range(1, 9)))
    image = _scene(rng, alpha=mode == "RGBA")
    image = image.quantize(30) if mode == "P" else image.convert(mode)
    packed = rng.choice((None, "tiff_lzw", "tiff_adobe_deflate"))
    content = saved(image, "TIFF", compression=packed, tiffinfo={274: turn})
    return mode, f"{mode} {packed} {turn}", content


def _tiff_by_hand(rng: random.Random) -> tuple[str, str, bytes]:
    order, bits = rng.choice("<>"), rng.choice((8, 16))
    photometric = rng.choice((0, 1, 2))
    extra = rng.choice((None, 1, 2)) if photometric == 2 else None
    channels = (3 if photometric == 2 else 1) + (extra is not None)
    noise = np.random.default_rng(rng.randrange(2**32))
    values = noise.integers(0, 1 << bits, (rng.randrange(1, 20), rng.randrange(1, 20), channels))
    if extra == 1:
        values[..., :3] = values[..., :3] * (values[..., 3:] / ((1 << bits) - 1))
    turn, big = rng.randrange(1, 9), order == "<" and rng.random() < 0.3
    content = tiff(values, order, photometric, bits, extra, big, {274: (3, [turn])})
    words = f"{order} {bits} photometric {photometric} extra {extra} turn {turn} big {big}"
    return f"photometric {photometric}, {bits} bits, extra {extra}", words, content


def _jpeg2000(rng: random.Random) -> tuple[str, str, bytes]:
    mode = rng.choice(("RGB", "RGBA", "L", "LA"))
    image = _scene(rng, alpha="A" in mode).convert(mode)
    return mode, mode, saved(image, "JPEG2000", irreversible=False)
