"""Finds the folders of splits and classes, by their names and content."""

from __future__ import annotations

from dataclasses import dataclass

from engine.data.folder_tree import (
    Part,
    Tree,
    are_classes,
    class_folders,
    follow_single_folders,
    leaf,
)
from engine.data.split_words import Split, is_generic, is_plain, split_of, words
from engine.errors import UserError, first_ten

_NO_CLASSES = frozenset(
    "mask masks annotation annotations label labels segmentation groundtruth gt".split()
)


@dataclass(frozen=True)
class FolderPlan:
    """The parts of a data folder, whether folder names gave them, and warnings."""

    parts: tuple[Part, ...]
    named: bool
    passed_over: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()


def plan_folders(tree: Tree, folder: str = "") -> FolderPlan:
    """Find the parts of a data folder.

    Raises
    ------
    UserError
        When it is ambiguous whether a folder is a split or a class.
    """
    inside = tree.below.get(folder, [])
    roles = {name: role for name in inside if (role := split_of(leaf(name)))}
    others = [name for name in inside if name not in roles]
    notes = [name for name in inside if _holds_notes(leaf(name))]
    images = [name for name in inside if name not in notes]
    if notes and len(images) == 1 and is_generic(leaf(images[0])) and not tree.direct.get(folder):
        return _without(tree, plan_folders(tree, images[0]), notes)
    if roles:
        return _with_splits(tree, folder, roles, others)
    if not tree.direct.get(folder) and len(inside) == 1 and tree.below.get(inside[0]):
        return plan_folders(tree, inside[0])
    above = [name for name in inside if _has_splits(tree, name)]
    if len(above) == 1 and not any(tree.below.get(name) for name in others if name not in above):
        plan = plan_folders(tree, above[0])
        return _without(tree, plan, [name for name in inside if name not in above])
    if len(above) > 1 and above == inside:
        return _classes_above_splits(tree, folder, inside)
    return FolderPlan((Part("train", folder),), named=False)


def _with_splits(tree: Tree, folder: str, roles: dict[str, Split], others: list[str]) -> FolderPlan:
    found = set(roles.values())
    parts = tuple(Part(role, name) for name, role in roles.items())
    odd = [name for name in roles if not is_plain(leaf(name))]
    if not others and not tree.direct.get(folder):
        if odd and len(odd) == len(roles) > 1 and len(found) == 1 and _all_flat(tree, list(roles)):
            return FolderPlan((Part("train", folder),), False, warnings=(_as_class(tree, odd),))
        return FolderPlan(_one_valid(tree, parts), named=True)
    if "train" not in found:
        return _beside_classes(tree, folder, parts, others)
    train = [part for part in parts if part.split == "train"]
    structured = any(
        len(tree.below.get(follow_single_folders(tree, part).folder, [])) > 1 for part in train
    )
    if others and not structured and _all_flat(tree, [*others, *(part.folder for part in train)]):
        if len(odd) == len(roles):
            return FolderPlan((Part("train", folder),), False, warnings=(_as_class(tree, odd),))
        if len(others) > 1:
            raise UserError(
                f"{tree.shown(folder)} holds the folder {leaf(train[0].folder)!r} beside "
                f"{first_ten([leaf(name) for name in others])}, and all of these hold only images: "
                f"{leaf(train[0].folder)!r} may be a split or a class. Put class folders into a "
                "folder named 'train', or give a table with the columns path and label (--labels "
                "FILE)."
            )
    return _without(tree, FolderPlan(_one_valid(tree, parts), named=True), others, folder)


def _beside_classes(
    tree: Tree, folder: str, parts: tuple[Part, ...], others: list[str]
) -> FolderPlan:
    """Class folders beside ``test`` or ``valid``, or one folder of all that is not test."""
    if len(others) == 1 and not tree.direct.get(folder):
        (only,) = others
        if tree.below.get(only) or is_generic(leaf(only)):
            inner = plan_folders(tree, only)
            if not inner.named:
                return FolderPlan((Part("train", only), *_one_valid(tree, parts)), named=True)
    flat_valid = [p.folder for p in parts if p.split == "valid" and not tree.below.get(p.folder)]
    if flat_valid and others:
        raise UserError(
            f"{tree.shown(folder)} holds the folder {leaf(flat_valid[0])!r} beside "
            f"{first_ten([leaf(name) for name in others])}: {leaf(flat_valid[0])!r} may be a split "
            "or a class. Put class folders into a folder named 'train', or give a table with the "
            "columns path and label (--labels FILE)."
        )
    taken = frozenset(part.folder for part in parts)
    named = bool(others) or bool(tree.direct.get(folder))
    train = (Part("train", folder, without=taken),) if named else ()
    return FolderPlan((*train, *_one_valid(tree, parts)), named=True)


def _one_valid(tree: Tree, parts: tuple[Part, ...]) -> tuple[Part, ...]:
    """Use a labelled test folder as the valid split if another test folder has no labels."""
    if any(part.split == "valid" for part in parts):
        return parts
    tests = [part for part in parts if part.split == "test"]
    classed = [p for p in tests if are_classes(class_folders(tree, follow_single_folders(tree, p)))]
    if not classed or len(classed) == len(tests) or not any(p.split == "train" for p in parts):
        return parts
    return tuple(Part("valid", p.folder) if p in classed else p for p in parts)


def _classes_above_splits(tree: Tree, folder: str, inside: list[str]) -> FolderPlan:
    strange = [
        name for name in inside if set(words(leaf(name))) & _NO_CLASSES or is_generic(leaf(name))
    ]
    if strange:
        raise UserError(
            f"{tree.shown(folder)} holds the folders {first_ten([leaf(n) for n in inside])}, each "
            "with its own splits; give one of them."
        )
    classes = [set(map(leaf, tree.below[deep])) for name in inside for deep in tree.below[name]]
    if any(one and len(one) > 1 for one in classes):
        raise UserError(
            f"{tree.shown(folder)} holds {len(inside)} data sets, "
            f"{first_ten([leaf(name) for name in inside])}, each with splits and class folders of "
            "its own; give one of them."
        )
    parts = tuple(
        Part(role, deep, label=leaf(name))
        for name in inside
        for deep in tree.below[name]
        if (role := split_of(leaf(deep)))
    )
    return FolderPlan(parts, named=True)


def _holds_notes(name: str) -> bool:
    """Tell whether a name says nothing but that there are masks or annotations."""
    found = set(words(name))
    return bool(found & _NO_CLASSES) and is_generic(" ".join(found - _NO_CLASSES))


def _has_splits(tree: Tree, folder: str) -> bool:
    roles = [split_of(leaf(name)) for name in tree.below.get(folder, [])]
    return "train" in roles and (None not in roles or len(set(roles) - {None}) > 1)


def _without(
    tree: Tree, plan: FolderPlan, others: list[str], folder: str | None = None
) -> FolderPlan:
    left = list(others)
    n = sum(tree.total[name] for name in others)
    loose = tree.direct.get(folder, 0) if folder is not None else 0
    if not n + loose:
        return plan
    names = first_ten([leaf(name) for name in others])
    what = f"the folders {names}" if len(others) > 1 else f"the folder {names}"
    what = what if others else f"{tree.shown(folder or '')} itself"
    warning = (
        f"{n + loose:,} images in {what} are in none of the splits and are not read; give that "
        "folder as DATA, or a table with --labels, if they should be."
    )
    over = (*plan.passed_over, *left, *(["."] if loose else []))
    return FolderPlan(plan.parts, plan.named, over, (*plan.warnings, warning))


def _as_class(tree: Tree, names: list[str]) -> str:
    return f"The folder {first_ten([leaf(n) for n in names])} is read as a class, not as a split."


def _all_flat(tree: Tree, folders: list[str]) -> bool:
    return all(not tree.below.get(name) for name in folders)
