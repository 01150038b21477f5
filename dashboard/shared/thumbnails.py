"""Images as data URIs for the browser: made in threads, cached in memory and prefetched."""

from __future__ import annotations

import base64
import time
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from engine.data.decode_turns import read_turn
from engine.data.formats import Unreadable
from engine.data.thumbnails import LARGE_SIDE, make_thumbnail, thumbnail
from engine.errors import UserError
from engine.runs.files import sha256_of
from engine.runs.opening import read_file

_NOW = ThreadPoolExecutor(8, thread_name_prefix="images")
_AHEAD = ThreadPoolExecutor(1, thread_name_prefix="images-ahead")
_KEPT_SMALL, _KEPT_LARGE = 3_000, 40  # about 50 MB and 15 MB
_PAUSE = 0.12  # seconds before prefetching, so that the requested images are sent first


@dataclass(frozen=True)
class ImageFile:
    """The path and checksum of an image, '' if it was never read."""

    path: Path
    sha256: str


_small: dict[ImageFile, str] = {}
_large: dict[ImageFile, str] = {}


def small(images: Sequence[ImageFile]) -> list[str]:
    """Return a thumbnail for each image, '' for one that cannot be read."""
    found = {image: _small.get(image) for image in images}
    missing = [image for image, uri in found.items() if uri is None]
    found.update(zip(missing, _NOW.map(_make_small, missing), strict=True))
    return [found[image] or "" for image in images]


def large(image: ImageFile) -> str:
    """Return the image at screen size, '' if it cannot be read."""
    return _large.get(image) or _make_large(image)


def prefetch(pages: Iterable[ImageFile], neighbours: Iterable[ImageFile] = ()) -> None:
    """Make images that will probably be requested next, in the background."""
    wanted = [image for image in pages if image not in _small]
    near = [image for image in neighbours if image not in _large]
    if wanted or near:
        _AHEAD.submit(_prefetch, wanted, near)


def _prefetch(wanted: list[ImageFile], near: list[ImageFile]) -> None:
    time.sleep(_PAUSE)
    for image in near:
        large(image)
    for image in wanted:
        if image not in _small:
            _make_small(image)


def _make_small(image: ImageFile) -> str:
    try:
        jpeg = thumbnail(image.path, image.sha256 or sha256_of(image.path))
    except (Unreadable, UserError, OSError):
        return ""
    return _keep(_small, _KEPT_SMALL, image, jpeg)


def _make_large(image: ImageFile) -> str:
    try:
        with read_turn(image.path):
            jpeg = make_thumbnail(read_file(image.path), LARGE_SIDE)
    except (Unreadable, OSError):
        return ""
    return _keep(_large, _KEPT_LARGE, image, jpeg)


def _keep(kept: dict[ImageFile, str], most: int, image: ImageFile, jpeg: bytes) -> str:
    uri = kept[image] = "data:image/jpeg;base64," + base64.b64encode(jpeg).decode("ascii")
    while len(kept) > most:
        kept.pop(next(iter(kept)), None)  # the oldest
    return uri
