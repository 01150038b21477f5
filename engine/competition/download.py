"""Downloads a competition's files into a temporary folder and moves them once they are checked."""

from __future__ import annotations

import lzma
import os
import shutil
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from engine import portable
from engine.competition.kaggle import ask, competition_name
from engine.competition.kaggle_worker import MAX_FILES
from engine.errors import UserError, first_ten
from engine.runs.files import locked

_LIST_SECONDS, _STALLED_SECONDS = 60.0, 120.0
_MARKER = ".kaggle-partial"  # suffix of the client's marker beside an incomplete file
_DAMAGED = (
    zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError, NotImplementedError, RuntimeError,
)  # fmt: skip


@dataclass(frozen=True)
class Download:
    """The result of a download.

    Attributes
    ----------
    files : (name, bytes) of each file
    kept : names of the files that already existed
    """

    competition: str
    folder: Path
    files: tuple[tuple[str, int], ...]
    kept: tuple[str, ...]

    def summary(self) -> dict[str, Any]:
        """Return the result as plain values."""
        return {
            "competition": self.competition,
            "folder": str(self.folder),
            "files": [{"name": name, "bytes": size} for name, size in self.files],
            "bytes": sum(size for _, size in self.files),
            "kept": list(self.kept),
        }


def download(
    competition: str,
    to: Path | None = None,
    progress: Callable[[int, int], None] = lambda done, total: None,
    *,
    seconds: float = _STALLED_SECONDS,
) -> Download:
    """Download all files of a competition into a folder.

    Files are first downloaded into a hidden folder beside it. Once every file has the size that
    Kaggle lists and every zip is intact, they are moved into place. After a failure, the complete
    files stay in the hidden folder for the next attempt. A file that is already in place with the
    right size is not downloaded again.

    Parameters
    ----------
    to
        The target folder; by default a folder with the competition's name.
    progress
        Called with the bytes downloaded so far and in total.
    seconds
        Longest time without new data before the download is given up.

    Raises
    ------
    UserError
        If Kaggle refuses, a file arrives damaged, or a different file is already in its place.
    """
    name = competition_name(competition)
    folder = (Path(name) if to is None else to.expanduser()).absolute()
    listed = ask("files", name, seconds=min(seconds, _LIST_SECONDS))["files"]
    wanted = _checked_names(name, listed)
    with _clear_errors(folder):
        kept = _there_before(folder, wanted)
        folder.parent.mkdir(parents=True, exist_ok=True)
        staging = folder.parent / f".{folder.name}.download"
        with locked(folder.parent / f".{folder.name}.lock", wait=False) as mine:
            if not mine:
                raise UserError(f"{folder} is being downloaded by another process; wait for it.")
            missing = {file: size for file, size in wanted.items() if file not in kept}
            try:
                _fetch(name, missing, staging, progress, seconds)
                _put_in_place(staging / "whole", folder, list(missing))
            finally:
                _tidy(staging)
        (folder.parent / f".{folder.name}.lock").unlink(missing_ok=True)
    return Download(name, folder, tuple(wanted.items()), tuple(kept))


def _checked_names(competition: str, listed: list[dict[str, Any]]) -> dict[str, int]:
    if not listed:
        raise UserError(f"{competition} has no files to download.")
    if len(listed) > MAX_FILES:
        raise UserError(
            f"{competition} has more than {MAX_FILES:,} files; download it as one archive from "
            f"https://www.kaggle.com/competitions/{competition}/data."
        )
    for file in listed:
        parts = PurePosixPath(file["name"]).parts
        inside = parts and not set(parts) & {"..", "/"} and not parts[0].startswith("~")
        if not inside or set(file["name"]) & set("\\:\0\n"):
            raise UserError(
                f"{competition} lists {file['name']!r}, which would be written outside the folder; "
                f"download it from https://www.kaggle.com/competitions/{competition}/data."
            )
        if part := portable.unusable_name(file["name"]):
            raise UserError(
                f"{competition} lists {file['name']!r}, and {part!r} cannot be a file name on "
                "Windows; download it on another system."
            )
    names = {file["name"].casefold() for file in listed}
    if len(names) < len(listed):
        raise UserError(
            f"{competition} lists two files with the same name; download them from "
            f"https://www.kaggle.com/competitions/{competition}/data."
        )
    return {file["name"]: file["bytes"] for file in listed}


def _there_before(folder: Path, wanted: dict[str, int]) -> list[str]:
    there = [file for file in wanted if os.path.lexists(folder / file)]
    other = [f for f in there if not _is_whole(folder / f, wanted[f])]
    if other:
        raise UserError(
            f"{folder} already has {first_ten(other)}, but with another size than on Kaggle; move "
            "it away or choose another folder to download to."
        )
    return there


def _fetch(
    competition: str,
    wanted: dict[str, int],
    staging: Path,
    progress: Callable[[int, int], None],
    seconds: float,
) -> None:
    """Download the missing files into the staging folder, and delete the damaged ones there."""
    whole, part = staging / "whole", staging / "part"
    shutil.rmtree(part, ignore_errors=True)
    for old in [path for path in whole.rglob("*") if path.is_file()]:
        if old.relative_to(whole).as_posix() not in wanted:  # no longer in Kaggle's list
            old.unlink()
    total = sum(wanted.values())
    names = [file for file in wanted if not _is_whole(whole / file, wanted[file])]
    before = total - sum(wanted[file] for file in names)

    def arrived() -> int:
        count = _bytes_in(part)
        progress(min(before + count, total), total)
        return count

    if not names:
        return
    free = shutil.disk_usage(staging.parent).free
    if total - before > free:
        raise UserError(
            f"{staging.parent} has {free:,} bytes free but {total - before:,} are needed; free "
            "some space or choose another folder to download to."
        )
    refusal: UserError | None = None
    try:
        ask(
            "download", competition, seconds=seconds, arrived=arrived, names=names,
            folder=str(part),
        )  # fmt: skip
    except UserError as error:
        refusal = error
    damaged = []
    for index, file in enumerate(names):
        got = _arrived_file(part / str(index), file, wanted[file])
        if got is None or not _is_whole(got, wanted[file]):
            damaged.append(file)
            continue
        (whole / file).parent.mkdir(parents=True, exist_ok=True)
        _sync(got)
        os.replace(got, whole / file)
    if refusal:
        raise refusal
    if damaged:
        raise UserError(
            f"{competition}: {first_ten(damaged)} arrived damaged or incomplete, so nothing was "
            "moved into place; start the download again, the complete files are kept."
        )
    progress(total, total)


def _arrived_file(folder: Path, file: str, size: int) -> Path | None:
    """Return the one file in a folder; if Kaggle sent it as a zip, its unpacked content."""
    files = [f for f in folder.glob("*") if f.is_file() and not f.name.endswith(_MARKER)]
    if len(files) != 1:
        return None
    got = files[0]
    if got.stat().st_size == size or not zipfile.is_zipfile(got):
        return got
    try:
        with zipfile.ZipFile(got) as source:
            members = source.infolist()
            if len(members) != 1 or members[0].file_size != size:
                return got
            with source.open(members[0]) as packed, open(folder / "unpacked", "xb") as out:
                shutil.copyfileobj(packed, out, 2**20)
        return folder / "unpacked"
    except _DAMAGED:
        return None


def _is_whole(path: Path, size: int) -> bool:
    """Return whether a file has the given size and, if it is a zip, has no damaged member."""
    if not path.is_file() or path.stat().st_size != size:
        return False
    if path.suffix.lower() != ".zip":
        return True
    try:
        with zipfile.ZipFile(path) as source:
            return source.testzip() is None
    except _DAMAGED:
        return False


def _put_in_place(whole: Path, folder: Path, names: list[str]) -> None:
    if not os.path.lexists(folder):
        os.replace(whole, folder)
        return
    for file in names:
        (folder / file).parent.mkdir(parents=True, exist_ok=True)
        os.replace(whole / file, folder / file)


def _tidy(staging: Path) -> None:
    shutil.rmtree(staging / "part", ignore_errors=True)
    if not _bytes_in(staging / "whole"):
        shutil.rmtree(staging, ignore_errors=True)


def _bytes_in(folder: Path) -> int:
    count = 0
    for path in folder.rglob("*"):
        try:
            count += path.stat().st_size if path.is_file() else 0
        except OSError:  # renamed between listing and reading
            continue
    return count


def _sync(path: Path) -> None:
    with open(path, "rb+") as file:
        os.fsync(file.fileno())


@contextmanager
def _clear_errors(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise UserError(f"{folder} could not be written ({error.strerror or error}).") from error
