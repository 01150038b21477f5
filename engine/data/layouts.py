"""Lists the images of a data folder or table, with label, split and id."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path

import pandas as pd
import pyarrow as pa

from engine.data.archives import unpack
from engine.data.file_kinds import kind_of, what_to_do
from engine.data.folder_rows import FolderRows, folder_labels, planned_parts
from engine.data.folder_tree import tree_of
from engine.data.label_decision import decide
from engine.data.label_sources import read_tables
from engine.data.label_tables import ColumnChoice
from engine.data.listing import Found, LabelSource, Listing, Origin
from engine.data.sample_files import find_samples, is_sample
from engine.data.survey import Survey, survey
from engine.data.table_listing import list_table
from engine.errors import UserError
from engine.runs.fit_options import FitOptions


@dataclass(frozen=True)
class DataSource:
    """The data to read, and the user's options for reading them.

    Attributes
    ----------
    data : a folder, a label table, or a zip or tar of a folder
    labels : the label table to use instead of those in ``data``
    columns : the columns that the user named
    test : a folder of test images, instead of those found in ``data``
    """

    data: Path
    labels: Path | None = None
    columns: ColumnChoice = ColumnChoice()
    test: Path | None = None

    @classmethod
    def chosen(cls, options: FitOptions) -> DataSource:
        """Return the data source that the options of a fit describe."""
        return cls(
            options.path,
            None if options.labels is None else Path(options.labels),
            ColumnChoice(options.id_column, options.label_column, options.group),
            None if options.test is None else Path(options.test),
        )


def find_images(source: Path | DataSource, class_names: tuple[str, ...] = ()) -> Listing:
    """List the images of a data folder or table with split, label and id.

    Archives that hold a split are unpacked into the workspace's cache first. With ``class_names``
    (for prediction) all images get the split ``test``; only those in test folders are listed, if
    there are any, and a label is kept only if it is one of these classes.

    Raises
    ------
    UserError
        When the data do not exist, cannot be listed, hold no image, or are ambiguous.
    """
    source = source if isinstance(source, DataSource) else DataSource(source)
    data = _existing(source.data)
    source = replace(source, data=data)
    if data.is_file() and kind_of(data.name) == "table":
        return _with_test(list_table(data, source.columns, to_predict=bool(class_names)), source)
    root = data
    if data.is_file() and kind_of(data.name) == "archive":
        root = unpack(data)
    elif data.is_file() and kind_of(data.name) == "foreign":
        raise UserError(
            f"{data} cannot be read directly; {what_to_do(data.name)}, and give the folder."
        )
    if not root.is_dir():
        raise UserError(f"{data} cannot be read; give a folder, a CSV, a zip or a tar.")
    found = survey(root)
    listing = _of_folder(found, source, class_names)
    return _with_test(listing, source) if not class_names else listing


def test_images(source: Path | DataSource, class_names: tuple[str, ...]) -> Listing:
    """List the test images of data that a run was fitted on, as the fit found them.

    Raises
    ------
    UserError
        As `find_images`.
    """
    try:
        listing = find_images(source)
    except UserError:  # the labelled images may be gone meanwhile
        return find_images(source, class_names)
    images = listing.images[listing.images["split"] == "test"].reset_index(drop=True)
    return replace(listing, images=images) if len(images) else find_images(source, class_names)


def all_images(folder: Path) -> Listing:
    """List every image below a folder of any layout, without labels.

    Raises
    ------
    UserError
        When the folder cannot be listed.
    """
    folder = folder.absolute()
    if not folder.is_dir():
        raise UserError(f"{folder} is not a folder; give the one that holds the images.")
    found = survey(folder)
    names, paths = found.images()
    origin = Origin(LabelSource("none"), ignored=found.ignored)
    return Listing(folder, Found.plain(names, paths, "test").table(), origin)


def _existing(data: Path) -> Path:
    data = data.absolute()
    try:
        data.stat()
    except FileNotFoundError as error:
        raise UserError(
            f"{data} does not exist; give a folder of images, a CSV or a zip."
        ) from error
    except (OSError, ValueError) as error:  # a name may hold a null byte
        reason = getattr(error, "strerror", None) or error
        raise UserError(f"{data} cannot be read ({reason}).") from error
    return data


def _of_folder(found: Survey, source: DataSource, class_names: tuple[str, ...]) -> Listing:
    tree = tree_of(found)
    if not tree.total.get(""):
        raise UserError(f"{source.data} holds no images{_instead(found)}.")
    inside = [file for file in found.tables.values() if is_sample(file.name)]
    beside = find_samples(found.root, source.data, source.data.parent)
    samples = tuple(dict.fromkeys([*inside, *beside]))
    rows = FolderRows.of(found, planned_parts(tree, class_names))
    names = pa.array([name.encode("utf-8", "replace").decode() for name in rows.names], pa.string())
    tables = read_tables(found, names, samples, source.labels, source.columns, rows.split == "test")
    mine = folder_labels(tree, rows, class_names)
    labels = decide(tables, mine, rows.split, named=rows.plan.named)
    test_folders = tuple(
        dict.fromkeys(part.folder or "." for part in rows.parts if part.split == "test")
    )
    table = Found(
        rows.inside, rows.paths, labels.split, labels.label, labels.group, labels.fold
    ).table(to_predict=bool(class_names))
    if class_names:
        known = table["label"].isin(class_names)
        table["label"] = table["label"].where(known, None)
    outer = mine.warnings if labels.source.source == mine.source else ()
    ignored = Counter(found.ignored) + Counter(labels.ignored)
    if rows.outside:
        ignored["images outside the splits"] += rows.outside
    if labels.dropped.any():
        table = table[
            ~table["path"].isin({p for p, d in zip(rows.paths, labels.dropped, strict=True) if d})
        ]
        table = table.reset_index(drop=True)
    origin = Origin(
        labels.source,
        labels.split_source or ("folders" if rows.plan.named else "none"),
        labels.suggested,
        test_folders,
        samples,
        dict(ignored),
        (*rows.plan.warnings, *outer, *labels.warnings, *_named(found)),
        tuple(f"{name} is not read: {what_to_do(name)}" for name in sorted(found.foreign)[:5]),
        dict(found.first_ignored),
    )
    return Listing(found.root, table, origin)


def _with_test(listing: Listing, source: DataSource) -> Listing:
    """Take the test images of the folder that a person named instead of those found."""
    if source.test is None:
        return listing
    folder = _existing(source.test)
    if not folder.is_dir():
        raise UserError(
            "is not a folder; give the folder of the test images.", option="test", value=folder
        )
    there = find_images(folder, ("",))
    before = folder.as_posix()
    inside = folder.is_relative_to(listing.root)
    shown = folder.relative_to(listing.root).as_posix() if inside else before
    images = there.images.assign(
        path=[
            f"{shown}/{path}" if not path.startswith("/") else path for path in there.images["path"]
        ]
    )
    kept = listing.images[listing.images["split"] != "test"]
    same = kept["path"].isin(set(images["path"]))
    warnings = list(listing.origin.warnings)
    if replaced := int((listing.images["split"] == "test").sum()):
        warnings.append(
            f"{replaced:,} test images of {source.data} are replaced by those of --test."
        )
    samples = dict.fromkeys([*listing.origin.samples, *find_samples(folder, folder.parent)])
    origin = replace(
        listing.origin, test_folders=(shown,), warnings=tuple(warnings), samples=tuple(samples)
    )
    table = pd.concat([kept[~same], images]).sort_values(["split", "id"], ignore_index=True)
    return Listing(listing.root, table, origin)


def _instead(found: Survey) -> str:
    """Say what there is in place of images."""
    if found.foreign:
        first = sorted(found.foreign)[0]
        more = f" and {len(found.foreign) - 1:,} more" if len(found.foreign) > 1 else ""
        return f"; it holds {first}{more}, which is not read: {what_to_do(first)}"
    if found.tables:
        return f"; it holds the table {sorted(found.tables)[0]}, and no image files beside it"
    return "; the README lists what can be read"


def _named(found: Survey) -> list[str]:
    """Name archives and tables of other forms, which may hold images or labels."""
    packed = [name for name in found.foreign if kind_of(name) == "archive" or _is_packed(name)]
    return [f"{name} is not read; {what_to_do(name)}." for name in packed[:5]]


def _is_packed(name: str) -> bool:
    return name.lower().endswith((".7z", ".rar", ".gz", ".tgz", ".bz2", ".xz", ".001", ".txt"))
