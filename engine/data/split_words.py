"""Finds the split that a name of a folder, a file or a table's cell means, in any case."""

from __future__ import annotations

import re
import unicodedata
from typing import Literal

Split = Literal["train", "valid", "test"]

_SPLITS: dict[Split, str] = {
    "train": "train training trn trainset trainingset traindata trainval trainvalid",
    "valid": "val valid validation validate dev valset validset validationset eval evaluation",
    "test": "test testing tst testset testdata pred predict prediction predictions inference "
    "unlabeled unlabelled",
}
_WORDS: dict[str, Split] = {word: split for split in _SPLITS for word in _SPLITS[split].split()}
_TOKEN = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[^\W\d_]+|[0-9]+")
# Words that say what kind of files a folder holds, or which part of them, and never a class.
_NEUTRAL = frozenset(
    "all data dataset datasets dir file files final folder full image images img imgs jpeg "
    "jpg main master new original part parts photo photos pic pics picture pictures png private "
    "processed public raw resized set sets small stage stg subset tif tiff version v archive batch "
    "input shard chunk".split()
)


def words(name: str) -> list[str]:
    """Return the words of a name, lower case: ``trainLabels_2`` gives train, labels, 2."""
    return [word.lower() for word in _TOKEN.findall(unicodedata.normalize("NFC", name))]


def split_of(name: str) -> Split | None:
    """Return the split that a name means, None if it means none or contradictory ones.

    Examples
    --------
    >>> split_of("seg_train"), split_of("PublicTest"), split_of("Validation"), split_of("test1")
    ('train', 'test', 'valid', 'test')
    >>> split_of("train_val2019"), split_of("train_test_split"), split_of("contest")
    ('train', None, None)
    """
    found = {_WORDS[word] for word in words(name) if word in _WORDS}
    if found == {"train", "valid"}:
        return "train"
    return found.pop() if len(found) == 1 else None


def is_plain(name: str) -> bool:
    """Return whether a name has only words for splits and files, as ``train_images``."""
    return all(word in _WORDS or word in _NEUTRAL or word.isdigit() for word in words(name))


def is_generic(name: str) -> bool:
    """Return whether a name has only words for files, as ``images`` or ``part_2``."""
    return all(word in _NEUTRAL or word.isdigit() for word in words(name)) and not name.isdigit()


def are_parts(names: list[str]) -> bool:
    """Return whether names differ only in their numbers, as ``images_1`` and ``images_2``."""
    return len(names) > 1 and len({re.sub(r"[\W_]*[0-9]+", "", name) for name in names}) == 1
