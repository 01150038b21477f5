"""The folders that hold images, and the folders of each split."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path

from engine.data.split_words import Split, is_generic, split_of, words
from engine.data.survey import Survey
from engine.errors import UserError, first_ten


@dataclass(frozen=True)
class Part:
    """One folder of a split.

    Attributes
    ----------
    split : the split of its images
    folder : its name below the root
    label : the class of all its images, if the folder above it is the class
    without : folders in it that belong to other parts
    """

    split: Split
    folder: str
    label: str | None = None
    without: frozenset[str] = frozenset()


@dataclass
class Tree:
    """Folders that hold images, at any depth."""

    root: Path
    direct: dict[str, int] = field(default_factory=dict)
    below: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    total: dict[str, int] = field(default_factory=lambda: defaultdict(int))

    def shown(self, folder: str) -> str:
        """Return a folder as it is shown in a message."""
        return str(self.root / folder) if folder else str(self.root)


def tree_of(found: Survey) -> Tree:
    """Return the folders of a survey that hold images."""
    tree = Tree(found.root)
    for folder in sorted(found.folders):
        n = len(found.folders[folder])
        tree.direct[folder] = n
        tree.total[folder] += n
        while folder:
            above = folder.rpartition("/")[0]
            if folder not in tree.below[above]:
                tree.below[above].append(folder)
            tree.total[above] += n
            folder = above
    return tree


def follow_single_folders(tree: Tree, part: Part) -> Part:
    """Follow folders that hold a single folder: the same name twice, or only ``images``."""
    folder = part.folder
    while not tree.direct.get(folder):
        inside = [name for name in tree.below.get(folder, []) if name not in part.without]
        if len(inside) != 1:
            break
        name = leaf(inside[0])
        same = words(name) == words(leaf(folder)) or split_of(name) == part.split
        if not (same or is_generic(name) or tree.below.get(inside[0])):
            break
        folder = inside[0]
    return Part(part.split, folder, part.label, part.without)


def class_folders(tree: Tree, part: Part) -> list[str]:
    """Return the names of the folders in a settled part that may be classes."""
    inside = [name for name in tree.below.get(part.folder, []) if name not in part.without]
    return [leaf(name) for name in inside]


def are_classes(names: list[str]) -> bool:
    """Return whether these folder names may be names of classes."""
    return bool(names) and not all(is_generic(name) for name in names)


def check_classes(tree: Tree, part: Part) -> None:
    """Raise an error if each class folder holds the same folders: both levels may be classes.

    Raises
    ------
    UserError
        When they do.
    """
    inside = [name for name in tree.below.get(part.folder, []) if name not in part.without]
    deeper = [frozenset(map(leaf, tree.below[name])) for name in inside if tree.below.get(name)]
    shared = frozenset.intersection(*deeper) if deeper else frozenset()
    repeated = len(deeper) > 1 and len(deeper) == len(inside) and _overlap(deeper)
    if repeated and not all(is_generic(name) for name in shared):
        outer, inner = (
            first_ten([leaf(name) for name in inside]),
            sorted(frozenset.union(*deeper)),
        )
        raise UserError(
            f"{tree.shown(part.folder)} holds the folders {outer}, and these hold the same folders "
            f"{first_ten(inner)}: either may be the classes. Give the folder of one of them, or a "
            "table with the columns path and label (--labels FILE)."
        )


def nested(tree: Tree, part: Part) -> list[str]:
    """Return the folders within the class folders, [] where one of these holds images itself."""
    inside = [name for name in tree.below.get(part.folder, []) if name not in part.without]
    deeper = [[leaf(deep) for deep in tree.below.get(name, [])] for name in inside]
    if any(tree.direct.get(name) for name in inside) or not all(deeper):
        return []
    return [name for names in deeper for name in names if not is_generic(name)]


def _overlap(sets: list[frozenset[str]]) -> bool:
    every = frozenset.union(*sets)
    return len(every) > 1 and sum(map(len, sets)) >= 1.5 * len(every)


def leaf(folder: str) -> str:
    """Return a folder's own name."""
    return folder.rpartition("/")[2]
