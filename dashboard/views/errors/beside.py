"""The second image of the viewer: the one that the shown image is compared with."""

from __future__ import annotations

from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

from dashboard.review.suspects import reasons
from dashboard.selection.filters import LIKE
from dashboard.selection.image_filter import SUSPECTS, ImageFilter
from dashboard.selection.similar import TEST, Reference, read_reference
from dashboard.shared import thumbnails
from dashboard.shared.cache import cached
from dashboard.shared.stamps import Stamp, stamp_of
from dashboard.shared.tables import Table
from dashboard.shared.thumbnails import ImageFile
from engine.analysis.suspects import counterpart
from engine.runs.images_table import read_images
from engine.runs.run_list import open_run


@dataclass(frozen=True)
class Beside:
    """The second image.

    Attributes
    ----------
    reference : its id, and whether it is a test image
    text : what it is, as plain text
    file : its file
    """

    reference: Reference
    text: str
    file: ImageFile

    def data(self) -> dict[str, str]:
        """Return the viewer's data."""
        return {"src": thumbnails.large(self.file), "text": self.text}


def beside_of(table: Table, image_filter: ImageFilter) -> Beside | None:
    """Return the image that the enlarged one is compared with, or None."""
    asked = read_reference(image_filter.where.get(LIKE, ""))
    if asked is None and image_filter.image and image_filter.show == SUSPECTS:
        return _repeated(table, image_filter.image)
    if asked is None or image_filter.image in (None, asked.id):
        return None
    return _found(table, pc.field("id") == asked.id, asked.kind == TEST, "Compared with")


def _repeated(table: Table, id: str) -> Beside | None:
    """Return the image that a leak or a near-duplicate is said to repeat, or None."""
    for reason in reasons(table.key[0]).get(id, []):
        if other := counterpart(reason):
            path, split = other
            same_path = (pc.field("path") == path) & (pc.field("split") == split)
            return _found(table, same_path, split == TEST, "Compare with")
    return None


def _found(table: Table, condition: pc.Expression, test: bool, why: str) -> Beside | None:
    run = open_run(table.key[0])
    is_test = pc.field("split") == "test"
    images = _images(run.name, stamp_of(run.folder / "images.parquet"))
    found = images.filter(condition & (is_test if test else ~is_test)).slice(0, 1).to_pylist()
    if not found or not found[0]["sha256"]:
        return None
    one = found[0]
    about = f"{one['split']}, labelled {one['label']}" if one["label"] else one["split"]
    return Beside(
        Reference(TEST if test else "labelled", one["id"]),
        f"{why} {one['id']} ({about})",
        ImageFile(run.data_root / one["path"], one["sha256"]),
    )


@cached(2)
def _images(name: str, stamp: Stamp) -> pa.Table:
    path = open_run(name).folder / "images.parquet"
    return read_images(path, ["split", "id", "path", "sha256", "label"])
