"""Bytes to upright RGB uint8; every refusal carries its reason."""

from __future__ import annotations

import numpy as np
import torch
import torchvision.io  # noqa: F401  loads torch.ops.image
from PIL import Image, ImageOps

from engine.data.headers import Unreadable, opened, orientation, reason_of, sniff, upright_size

# torchvision's decoders, as its Python wrappers call them: those warn at every call since 0.29.
_UNCHANGED, _RGB = 0, 3


def decode(content: bytes) -> torch.Tensor:
    """Decode a picture to an upright RGB tensor, uint8 of shape (3, height, width).

    JPEG and PNG are decoded by torchvision, the rest by Pillow. Grey, palette, CMYK and alpha
    become RGB; 16 bits are scaled to 8; of an animation the first frame is taken.

    Raises
    ------
    Unreadable
        When anything about the content is wrong: decoding is the only proof that it is good.
    """
    kind = sniff(content)
    width, height = upright_size(content)
    try:
        if kind == "JPEG":
            pixels = _decode_jpeg(content)
        elif kind == "PNG":
            pixels = _decode_png(content)
        else:
            pixels = _decode_pillow(content)
    except (RuntimeError, OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise Unreadable(reason_of(error)) from error
    if tuple(pixels.shape) != (3, height, width):
        raise Unreadable("its pixels do not match the size in its header")
    return pixels


def _decode_jpeg(content: bytes) -> torch.Tensor:
    # 0xFFD9 ends a JPEG and cannot occur inside its scan; a file cut short ends in a scan.
    if content.rfind(b"\xff\xd9") < content.rfind(b"\xff\xda"):
        raise Unreadable("the JPEG is cut short: its end marker is missing")
    pixels: torch.Tensor = torch.ops.image.decode_jpeg(
        _tensor(content), _RGB, _exif_is_sound(content)
    )
    return pixels


def _decode_png(content: bytes) -> torch.Tensor:
    sixteen_bits = content[24] == 16  # bits per sample, in the header chunk
    mode = _UNCHANGED if sixteen_bits else _RGB
    pixels: torch.Tensor = torch.ops.image.decode_png(_tensor(content), mode, True)
    if not sixteen_bits:
        return pixels
    pixels = ((pixels.to(torch.int32) + 128) // 257).to(torch.uint8)
    if pixels.shape[0] in (2, 4):  # the last channel is alpha
        pixels = pixels[:-1]
    return pixels.expand(3, -1, -1).contiguous()


def _decode_pillow(content: bytes) -> torch.Tensor:
    with opened(content) as image:
        if image.mode.startswith("F"):
            raise Unreadable(
                "pixels are floating-point numbers; save the picture with 8 or 16 bits"
            )
        upright = ImageOps.exif_transpose(image)
        if upright.mode.startswith("I"):
            sixteen = np.asarray(upright).astype(np.int64)
            if sixteen.min() < 0 or sixteen.max() > 65535:
                raise Unreadable("pixels have more than 16 bits; save the picture with 8 or 16")
            grey = ((sixteen + 128) // 257).astype(np.uint8)
            upright = Image.fromarray(grey)
        rgb = np.array(upright.convert("RGB"))
    return torch.from_numpy(rgb).permute(2, 0, 1).contiguous()


def _exif_is_sound(content: bytes) -> bool:
    if b"Exif" not in content[:65536]:
        return False
    with opened(content) as image:
        return orientation(image) in range(2, 9)


def _tensor(content: bytes) -> torch.Tensor:
    return torch.frombuffer(bytearray(content), dtype=torch.uint8)
