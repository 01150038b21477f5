"""Unpack a zip or tar safely, once, into the workspace's cache."""

from __future__ import annotations

import hashlib
import lzma
import os
import shutil
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath
from typing import IO, BinaryIO

from engine import portable
from engine.errors import UserError
from engine.runs.files import locked, workspace
from engine.runs.opening import is_folder, open_regular

MAX_BYTES = 500 * 2**30
MAX_RATIO = 100


@dataclass(frozen=True)
class _Member:
    """A file in an archive: its name, its declared size, whether it is one, and its content."""

    name: str
    size: int
    is_file: bool
    open: Callable[[], IO[bytes]]


def unpack(archive: Path) -> Path:
    """Return a folder with the content of a zip or tar, unpacked now or earlier (by its checksum).

    Raises
    ------
    UserError
        When the archive is damaged, or holds a link, a device, a name outside of its folder, two
        names for one file, or far more bytes than its own size allows.
    """
    try:
        with open_regular(archive) as file:
            checksum = hashlib.file_digest(file, "sha256").hexdigest()
            folder = workspace() / "cache" / "archives" / checksum[:16]
            if is_folder(folder):
                return folder
            with locked(folder.with_suffix(".lock")):
                if not is_folder(folder):
                    _unpack_to(archive, file, folder)
            return folder
    except OSError as error:
        raise UserError(f"{archive} could not be read ({error.strerror}).") from error


def _unpack_to(archive: Path, file: BinaryIO, folder: Path) -> None:
    temporary = folder.parent / f".{folder.name}.part"
    try:
        shutil.rmtree(temporary, ignore_errors=True)  # of a process that was killed
        temporary.mkdir()
        with ExitStack() as stack:
            members = _checked(
                archive, os.fstat(file.fileno()).st_size, _members(archive, file, stack)
            )
            budget = sum(member.size for member in members)
            for member in members:
                budget -= _extract(member, temporary / member.name, budget, archive)
        os.replace(temporary, folder)
    except (
        zipfile.BadZipFile,
        tarfile.TarError,
        zlib.error,
        lzma.LZMAError,
        EOFError,
        ValueError,
        RuntimeError,
    ) as error:
        raise UserError(f"{archive} is damaged and was not unpacked ({error}).") from error
    except OSError as error:
        raise UserError(f"{archive} could not be unpacked ({error.strerror or error}).") from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _members(archive: Path, file: BinaryIO, stack: ExitStack) -> list[_Member]:
    """Return all but the folders in an archive, which stays open as long as the stack."""
    if archive.suffix.lower() == ".tar":
        file.seek(0)
        tar = stack.enter_context(tarfile.open(fileobj=file, mode="r:"))

        def content(info: tarfile.TarInfo) -> IO[bytes]:
            packed = tar.extractfile(info)
            if packed is None:
                raise tarfile.ReadError(f"{info.name!r} has no content")
            return packed

        return [
            _Member(info.name.removeprefix("./"), info.size, info.isfile(), partial(content, info))
            for info in tar.getmembers()
            if not info.isdir()
        ]
    packed = stack.enter_context(zipfile.ZipFile(file))
    return [
        _Member(
            info.filename,
            info.file_size,
            not stat.S_ISLNK(info.external_attr >> 16),
            partial(packed.open, info),
        )
        for info in packed.infolist()
        if not info.is_dir()
    ]


def _checked(archive: Path, size: int, members: list[_Member]) -> list[_Member]:
    seen: set[str] = set()
    for member in members:
        name = member.name
        path = PurePosixPath(name)
        if path.is_absolute() or ".." in path.parts or "\\" in name or ":" in name or "\0" in name:
            raise UserError(
                f"{archive} was not unpacked: {name!r} would be written outside its folder; get a "
                "sound copy."
            )
        if not member.is_file:
            raise UserError(
                f"{archive} was not unpacked: {name!r} is a link or a device; if you trust the "
                "archive, unpack it yourself and give the folder."
            )
        if part := portable.unusable_name(name):
            raise UserError(
                f"{archive} was not unpacked: {part!r} in {name!r} cannot be a file name on "
                "Windows; rename it."
            )
        if name.casefold() in seen:
            raise UserError(f"{archive} was not unpacked: {name!r} occurs twice; rename one.")
        seen.add(name.casefold())
    total = sum(member.size for member in members)
    if total > min(MAX_BYTES, MAX_RATIO * max(size, 2**20)):
        raise UserError(
            f"{archive} was not unpacked: it would grow to {total:,} bytes; if you trust it, "
            "unpack it yourself and give the folder."
        )
    return members


def _extract(member: _Member, target: Path, budget: int, archive: Path) -> int:
    target.parent.mkdir(parents=True, exist_ok=True)
    written = 0
    with member.open() as packed, open(target, "xb") as file:
        while block := packed.read(2**20):
            written += len(block)
            if written > budget:
                raise UserError(
                    f"{archive} was not unpacked: it is larger than its table of contents says; "
                    "download it again."
                )
            file.write(block)
    return written
