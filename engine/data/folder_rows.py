"""Every image of a data folder with its split, and the label that its folder or name gives."""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np

from engine.data.folder_tree import (
    Part,
    Tree,
    are_classes,
    check_classes,
    class_folders,
    follow_single_folders,
    nested,
)
from engine.data.folders import FolderPlan, plan_folders
from engine.data.label_sources import FolderLabels
from engine.data.survey import Survey
from engine.errors import UserError, first_ten

_NUMBERED = re.compile(r"(?P<label>.+)\.\d+\.[^.]+")  # cat.0.jpg


@dataclass(frozen=True)
class FolderRows:
    """The images of all parts: name, path, split and path within the part (see `Part`)."""

    plan: FolderPlan
    parts: list[Part]
    names: list[str]
    paths: list[str]
    inside: list[str]
    split: np.ndarray
    folder: np.ndarray  # the outermost folder inside the part, None for images in none
    flat: np.ndarray  # whether the part has no folders
    outside: int

    @classmethod
    def of(cls, found: Survey, planned: tuple[Tree, FolderPlan]) -> FolderRows:
        """Return the images of a survey that lie in one of the planned parts."""
        tree, plan = planned
        parts = [follow_single_folders(tree, part) for part in plan.parts]
        names: list[str] = []
        paths: list[str] = []
        inside: list[str] = []
        split: list[str] = []
        folder: list[str | None] = []
        flat: list[bool] = []
        outside = 0
        for name in sorted(found.folders):
            files = found.folders[name]
            part = _part_of(name, parts)
            if part is None:
                outside += len(files)
                continue
            below = name[len(part.folder) :].lstrip("/")
            before = f"{below}/" if below else ""
            if part.label is not None:
                before = f"{part.label}/{before}"
            above = f"{name}/" if name else ""
            names += [above + file for file in files]
            paths += [found.places[name] + file for file in files]
            inside += [before + file for file in files]
            split += [part.split] * len(files)
            folder += [part.label or below.partition("/")[0] or None] * len(files)
            flat += [not class_folders(tree, part) and part.label is None] * len(files)
        splits, folders = np.array(split, dtype=object), np.array(folder, dtype=object)
        return cls(
            plan, parts, names, paths, inside, splits, folders, np.array(flat, dtype=bool), outside
        )


def _part_of(folder: str, parts: list[Part]) -> Part | None:
    """Return the innermost part that a folder lies in."""

    def lies_in(above: str) -> bool:
        return not above or folder == above or folder.startswith(f"{above}/")

    around = [
        part
        for part in parts
        if lies_in(part.folder) and not any(lies_in(name) for name in part.without)
    ]
    return max(around, key=lambda part: len(part.folder), default=None)


def planned_parts(tree: Tree, class_names: tuple[str, ...]) -> tuple[Tree, FolderPlan]:
    """Return the parts that are read; for prediction those of test, or all as one part."""
    if not class_names:
        return tree, plan_folders(tree)
    folders = {name.rpartition("/")[2] for name in tree.below.get("", [])}
    if folders & set(class_names):
        return tree, FolderPlan((Part("test", ""),), named=False)
    plan = plan_folders(tree)
    tests = tuple(part for part in plan.parts if part.split == "test")
    if tests:
        return tree, FolderPlan(tests, named=True)
    if len(plan.parts) == 1 and not plan.named:
        return tree, FolderPlan((Part("test", plan.parts[0].folder),), named=False)
    return tree, plan


def folder_labels(tree: Tree, rows: FolderRows, class_names: tuple[str, ...]) -> FolderLabels:
    """Return the label that folders or file names give to each image.

    Raises
    ------
    UserError
        When there are both class folders and files named after their class, or each class folder
        holds the same folders.
    """
    learnt = [part for part in rows.parts if part.split == "train"] or rows.parts
    folders = sorted({name for part in learnt for name in class_folders(tree, part)})
    inner = [name for part in learnt for name in nested(tree, part)]
    # Folders a, b, c … with folders of their own only keep a folder from growing too large.
    shards = bool(inner) and len(folders) > 1 and all(len(name) <= 2 for name in folders)
    by_folder = (are_classes(folders) and not shards) or any(part.label for part in learnt)
    if by_folder and not class_names:
        for part in learnt:
            check_classes(tree, part)
    named = np.array([_named_class(name) for name in rows.names], dtype=object)
    test = rows.split == "test"
    loose = np.array([folder is None for folder in rows.folder], dtype=bool)
    if by_folder:
        mixed = loose & ~test & np.array([label is not None for label in named])
        if mixed.any() and not class_names:
            where = tree.shown(learnt[0].folder)
            first = rows.names[int(np.flatnonzero(mixed)[0])].rpartition("/")[2]
            raise UserError(
                f"{where} holds class folders ({first_ten(folders)}) and {mixed.sum():,} files "
                f"named for a class, such as {first}: the classes would be mixed. Move these files "
                "into the class folders, or give a table with the columns path and label "
                "(--labels FILE)."
            )
        warnings = (_outer(folders, inner),) if len(folders) > 1 and inner else ()
        return FolderLabels("folders", rows.folder, folders, warnings)
    if class_names:
        named = np.array([label if label in class_names else None for label in named], dtype=object)
        usable = rows.flat if not rows.plan.named else np.zeros(len(named), dtype=bool)
    else:
        usable = ~test
    named[~usable] = None
    return FolderLabels("file names", np.where(test & ~usable, rows.folder, named), folders)


def _outer(folders: list[str], inner: list[str]) -> str:
    return (
        f"The folders {first_ten(folders)} are read as the classes, although they hold folders of "
        f"their own: {first_ten(sorted(inner))}. If those are the classes, give a table with the "
        "columns path and label (--labels FILE)."
    )


def _named_class(name: str) -> str | None:
    match = _NUMBERED.fullmatch(name.rpartition("/")[2])
    return match["label"] if match else None
