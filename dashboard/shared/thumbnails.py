"""Pictures for the browser as data URIs: made in threads, kept in memory, the next ones ahead."""

from __future__ import annotations

import base64
import time
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from engine.data.headers import Unreadable
from engine.data.thumbnails import LARGE_SIDE, make_thumbnail, thumbnail
from engine.errors import Refused
from engine.runs.files import sha256_of

_NOW = ThreadPoolExecutor(8, thread_name_prefix="pictures")
_AHEAD = ThreadPoolExecutor(1, thread_name_prefix="pictures-ahead")
_KEPT_SMALL, _KEPT_LARGE = 3_000, 40  # about 50 MB and 15 MB
_PAUSE = 0.12  # seconds: what was asked for reaches the browser before work ahead begins


@dataclass(frozen=True)
class Picture:
    """Where a picture lies, and its checksum, '' where it was never read."""

    path: Path
    sha256: str


_small: dict[Picture, str] = {}
_large: dict[Picture, str] = {}


def small(pictures: Sequence[Picture]) -> list[str]:
    """Return a thumbnail for each picture, '' for one that cannot be read."""
    found = {picture: _small.get(picture) for picture in pictures}
    missing = [picture for picture, uri in found.items() if uri is None]
    found.update(zip(missing, _NOW.map(_make_small, missing), strict=True))
    return [found[picture] or "" for picture in pictures]


def large(picture: Picture) -> str:
    """Return the picture at screen size, '' when it cannot be read."""
    return _large.get(picture) or _make_large(picture)


def prefetch(pages: Iterable[Picture], neighbours: Iterable[Picture] = ()) -> None:
    """Make what will probably be asked for next; returns at once."""
    wanted = [picture for picture in pages if picture not in _small]
    near = [picture for picture in neighbours if picture not in _large]
    if wanted or near:
        _AHEAD.submit(_prefetch, wanted, near)


def _prefetch(wanted: list[Picture], near: list[Picture]) -> None:
    time.sleep(_PAUSE)
    for picture in near:
        large(picture)
    for picture in wanted:
        if picture not in _small:
            _make_small(picture)


def _make_small(picture: Picture) -> str:
    try:
        jpeg = thumbnail(picture.path, picture.sha256 or sha256_of(picture.path))
    except (Unreadable, Refused, OSError):
        return ""
    return _keep(_small, _KEPT_SMALL, picture, jpeg)


def _make_large(picture: Picture) -> str:
    try:
        jpeg = make_thumbnail(picture.path.read_bytes(), LARGE_SIDE)
    except (Unreadable, OSError):
        return ""
    return _keep(_large, _KEPT_LARGE, picture, jpeg)


def _keep(kept: dict[Picture, str], most: int, picture: Picture, jpeg: bytes) -> str:
    uri = kept[picture] = "data:image/jpeg;base64," + base64.b64encode(jpeg).decode("ascii")
    while len(kept) > most:
        kept.pop(next(iter(kept)), None)  # the oldest
    return uri
