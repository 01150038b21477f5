"""Unpack a zip safely, once, into the workspace's cache."""

from __future__ import annotations

import os
import shutil
import stat
import zipfile
import zlib
from pathlib import Path, PurePosixPath

from engine import portable
from engine.errors import UserError
from engine.runs.files import locked, sha256_of, workspace

MAX_BYTES = 500 * 2**30
MAX_RATIO = 100


def unpack(archive: Path) -> Path:
    """Return a folder with the archive's content, unpacked now or found again by its checksum.

    Raises
    ------
    UserError
        When the archive is damaged, holds a link, a name that leaves its folder, two names that
        are one file, or far more bytes than its own size explains.
    """
    folder = workspace() / "cache" / "archives" / sha256_of(archive)[:16]
    if folder.is_dir():
        return folder
    with locked(folder.with_suffix(".lock")):
        if not folder.is_dir():
            _unpack_to(archive, folder)
    return folder


def _unpack_to(archive: Path, folder: Path) -> None:
    temporary = folder.parent / f".{folder.name}.part"
    try:
        shutil.rmtree(temporary, ignore_errors=True)  # of a process that was killed
        temporary.mkdir()
        with zipfile.ZipFile(archive) as source:
            members = _checked(archive, source)
            budget = sum(member.file_size for member in members)
            for member in members:
                budget -= _extract(source, member, temporary / member.filename, budget, archive)
        os.replace(temporary, folder)
    except (zipfile.BadZipFile, zlib.error, EOFError, ValueError, RuntimeError) as error:
        raise UserError(f"{archive} is damaged and was not unpacked ({error}).") from error
    except OSError as error:
        raise UserError(f"{archive} could not be unpacked ({error.strerror or error}).") from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _checked(archive: Path, source: zipfile.ZipFile) -> list[zipfile.ZipInfo]:
    members = [member for member in source.infolist() if not member.is_dir()]
    seen: set[str] = set()
    for member in members:
        name = member.filename
        path = PurePosixPath(name)
        if path.is_absolute() or ".." in path.parts or "\\" in name or ":" in name or "\0" in name:
            raise UserError(f"{archive} was not unpacked: {name!r} would leave its folder.")
        if stat.S_ISLNK(member.external_attr >> 16):
            raise UserError(f"{archive} was not unpacked: {name!r} is a link.")
        if part := portable.unusable_name(name):
            raise UserError(
                f"{archive} was not unpacked: {part!r} in {name!r} cannot be a file name on "
                "Windows; rename it."
            )
        if name.casefold() in seen:
            raise UserError(f"{archive} was not unpacked: {name!r} occurs twice.")
        seen.add(name.casefold())
    total = sum(member.file_size for member in members)
    if total > min(MAX_BYTES, MAX_RATIO * max(archive.stat().st_size, 2**20)):
        raise UserError(f"{archive} was not unpacked: it would grow to {total:,} bytes.")
    return members


def _extract(
    source: zipfile.ZipFile, member: zipfile.ZipInfo, target: Path, budget: int, archive: Path
) -> int:
    target.parent.mkdir(parents=True, exist_ok=True)
    written = 0
    with source.open(member) as packed, open(target, "xb") as file:
        while block := packed.read(2**20):
            written += len(block)
            if written > budget:
                raise UserError(f"{archive} was not unpacked: it holds more than it declares.")
            file.write(block)
    return written
