"""A zip is unpacked whole, once and inside its folder, or refused with nothing left behind."""

from __future__ import annotations

import errno
import os
import random
import stat
import struct
import threading
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest

from engine.data import archives
from engine.data.archives import unpack
from engine.errors import UserError
from tests.support.tiny_images import image_bytes


@pytest.fixture
def kept(workspace: Path):
    """Return a function that lists what unpacking left in the workspace, locks aside."""

    def names() -> list[str]:
        folder = workspace / "cache" / "archives"
        if not folder.exists():
            return []
        return sorted(path.name for path in folder.iterdir() if path.suffix != ".lock")

    return names


def zipped(path: Path, members: dict[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> Path:
    with zipfile.ZipFile(path, "w", method) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return path


def refusal(archive: Path) -> str:
    with pytest.raises(UserError) as caught:
        unpack(archive)
    message = str(caught.value)
    assert str(archive) in message and "\n" not in message and message.endswith(".")
    return message


def contents(folder: Path) -> dict[str, bytes]:
    files = (path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


def declare(archive: Path, size: int) -> None:
    """Overwrite the unpacked size of the only member, in both of its headers."""
    content = bytearray(archive.read_bytes())
    for signature, offset in ((b"PK\x03\x04", 22), (b"PK\x01\x02", 24)):
        at = content.index(signature) + offset
        content[at : at + 4] = struct.pack("<I", size)
    archive.write_bytes(content)


def test_what_was_packed_is_unpacked(tmp_path, workspace, kept):
    members = {"train/cat.0.jpg": b"a" * 1000, "train/é/ü.jpg": b"", "readme": os.urandom(5000)}
    archive = zipped(tmp_path / "a.zip", members)
    before = archive.read_bytes(), archive.stat().st_mtime_ns
    folder = unpack(archive)
    assert contents(folder) == members
    assert folder.is_relative_to(workspace)
    assert kept() == [folder.name]
    assert (archive.read_bytes(), archive.stat().st_mtime_ns) == before


def test_an_archive_is_unpacked_once_and_known_by_its_content(tmp_path, monkeypatch):
    archive = zipped(tmp_path / "a.zip", {"x": b"1"})
    folder = unpack(archive)
    other = unpack(zipped(tmp_path / "b.zip", {"x": b"2"}))
    monkeypatch.setattr(zipfile, "ZipFile", None)  # opening it again would fail
    assert unpack(archive) == folder
    renamed = archive.rename(tmp_path / "renamed.zip")
    assert unpack(renamed) == folder
    assert other != folder
    assert contents(other) == {"x": b"2"}


def test_at_the_same_time_one_unpacks_and_the_others_wait(tmp_path, monkeypatch):
    archive = zipped(tmp_path / "a.zip", {f"{n}.jpg": os.urandom(20_000) for n in range(20)})
    unpacked: list[Path] = []
    whole = archives._unpack_to
    monkeypatch.setattr(
        archives, "_unpack_to", lambda *given: (unpacked.append(given[1]), whole(*given))
    )
    found: list[int] = []
    threads = [
        threading.Thread(target=lambda: found.append(len(contents(unpack(archive)))))
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [20] * 4
    assert len(unpacked) == 1


@pytest.mark.parametrize(
    "name", ["../evil", "a/../../evil", "/etc/evil", "..\\evil", "C:\\evil", "C:/evil", "a/.."]
)
def test_a_name_that_leaves_the_folder_is_refused(tmp_path, kept, name):
    archive = zipped(tmp_path / "a.zip", {"good.jpg": b"x", name: b"evil"})
    assert repr(name) in refusal(archive)
    assert kept() == []
    assert not list(tmp_path.rglob("evil"))


def test_a_link_is_refused(tmp_path, kept):
    link = zipfile.ZipInfo("link.jpg")
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr(link, "/etc/passwd")
    assert "'link.jpg' is a link" in refusal(tmp_path / "a.zip")
    assert kept() == []


@pytest.mark.filterwarnings("ignore:Duplicate name")
@pytest.mark.parametrize("second", ["a/x.jpg", "a/X.JPG", "A/x.jpg", "a/./x.jpg", "a//x.jpg"])
def test_two_names_that_are_one_file_are_refused(tmp_path, kept, second):
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("a/x.jpg", b"1")
        archive.writestr(second, b"2")
    assert "was not unpacked" in refusal(tmp_path / "a.zip").replace("could not be", "was not")
    assert kept() == []


def test_a_file_that_is_also_a_folder_is_refused(tmp_path, kept):
    refusal(zipped(tmp_path / "a.zip", {"a": b"1", "a/b": b"2"}))
    assert kept() == []


@pytest.mark.parametrize("length", [0, 10, 200, -30, -1])
def test_a_truncated_archive_is_refused(tmp_path, kept, length):
    archive = zipped(tmp_path / "a.zip", {f"{n}.jpg": os.urandom(200) for n in range(5)})
    archive.write_bytes(archive.read_bytes()[:length])
    assert "damaged" in refusal(archive)
    assert kept() == []


def test_a_wrong_checksum_is_refused(tmp_path, kept):
    archive = zipped(
        tmp_path / "a.zip", {"1.jpg": b"good", "2.jpg": b"image" * 9}, zipfile.ZIP_STORED
    )
    archive.write_bytes(archive.read_bytes().replace(b"imageima", b"imagEima", 1))
    assert "damaged" in refusal(archive)
    assert kept() == []


def test_changed_bytes_end_in_a_folder_or_a_refusal(tmp_path, kept):
    good = zipped(tmp_path / "a.zip", {f"é{n}.jpg": b"a" * 60 for n in range(3)}).read_bytes()
    drawn = random.Random(0)
    refused = 0
    for _ in range(150):
        content = bytearray(good)
        content[drawn.randrange(len(good))] = drawn.randrange(256)
        (tmp_path / "a.zip").write_bytes(content)
        try:
            unpack(tmp_path / "a.zip")
        except UserError as refusal:
            refused += 1
            assert "a.zip" in str(refusal)
    assert refused > 50
    assert not [name for name in kept() if name.startswith(".")]


def test_a_declared_bomb_is_refused_before_anything_is_written(tmp_path, kept, monkeypatch):
    archive = zipped(tmp_path / "a.zip", {"1.jpg": b"x"})
    declare(archive, 3_000_000_000)
    monkeypatch.setattr(archives, "_extract", None)  # writing would fail
    assert "3,000,000,000 bytes" in refusal(archive)
    assert kept() == []


def test_the_ratio_counts_only_above_a_hundred_megabytes(tmp_path):
    # A folder of flat drawings packs well and is no bomb.
    archive = zipped(tmp_path / "a.zip", {"1.bmp": bytes(2_000_000)})
    assert archive.stat().st_size * archives.MAX_RATIO < 2_000_000
    assert (unpack(archive) / "1.bmp").stat().st_size == 2_000_000


def test_a_bomb_that_declares_little_is_refused(tmp_path, kept):
    archive = zipped(tmp_path / "a.zip", {"1.jpg": bytes(5_000_000)})
    declare(archive, 10)
    refusal(archive)
    assert kept() == []


def test_more_bytes_than_declared_are_not_written(tmp_path, kept, monkeypatch):
    # Python's reader stops at the declared size; this holds even for one that does not.
    archive = zipped(tmp_path / "a.zip", {"1.jpg": bytes(5_000_000)})
    checked = archives._checked

    def little(*given):
        members = checked(*given)
        members[0] = replace(members[0], size=1000)
        return members

    monkeypatch.setattr(archives, "_checked", little)
    open_ = zipfile.ZipFile.open

    def endless(self, member, *given):
        file = open_(self, member, *given)
        file._left = 5_000_000
        return file

    monkeypatch.setattr(zipfile.ZipFile, "open", endless)
    assert "larger than its table of contents says" in refusal(archive)
    assert kept() == []


def test_encrypted_missing_and_foreign_files_are_refused(tmp_path, kept):
    archive = zipped(tmp_path / "locked.zip", {"1.jpg": b"x"})
    content = bytearray(archive.read_bytes())
    for signature, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        content[content.index(signature) + offset] |= 1
    archive.write_bytes(content)
    assert "encrypted" in refusal(archive)
    (tmp_path / "text.zip").write_text("no zip")
    assert "damaged" in refusal(tmp_path / "text.zip")
    assert "could not be read" in refusal(tmp_path / "nowhere.zip")
    assert kept() == []


def test_a_full_disk_leaves_nothing(tmp_path, kept, monkeypatch):
    archive = zipped(tmp_path / "a.zip", {"1.jpg": b"x" * 100, "2.jpg": b"y" * 100})
    extract, done = archives._extract, []

    def fill(*given):
        if done:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        done.append(extract(*given))
        return done[0]

    monkeypatch.setattr(archives, "_extract", fill)
    assert "No space left" in refusal(archive)
    assert kept() == []


def test_what_a_killed_process_left_is_no_obstacle(tmp_path, kept, workspace):
    archive = zipped(tmp_path / "a.zip", {"1.jpg": b"x"})
    folder = unpack(archive)
    stale = folder.rename(folder.parent / f".{folder.name}.part")
    (stale / "2.jpg").write_bytes(b"half")
    assert contents(unpack(archive)) == {"1.jpg": b"x"}
    assert kept() == [folder.name]


def test_a_damaged_lzma_member_is_refused_with_the_reason(tmp_path, workspace):
    archive = tmp_path / "data.zip"
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_LZMA) as packed:
        packed.writestr("train/cat.0.jpg", image_bytes("cat") * 20)
    content = bytearray(archive.read_bytes())
    at = content.index(b"cat.0.jpg") + 40
    content[at : at + 60] = bytes(60)
    archive.write_bytes(content)
    with pytest.raises(UserError, match="is damaged and was not unpacked"):
        unpack(archive)
    assert not list(workspace.rglob("*.jpg"))
