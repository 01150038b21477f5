"""Images are copied into class folders; no name leads elsewhere, and nothing is overwritten."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from engine.errors import UserError
from engine.runs import image_export
from engine.runs.image_export import ImageCopy, export_images, safe_name


def image(folder: Path, name: str, class_name: str, content: bytes = b"") -> ImageCopy:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content or name.encode())
    return ImageCopy(path, hashlib.sha256(path.read_bytes()).hexdigest(), class_name)


def test_copies_lie_in_class_folders_and_equal_names_get_a_number(make_run, tmp_path):
    run = make_run(n=4, n_test=0)
    images = [
        image(tmp_path, "a/1.jpg", "cat"), image(tmp_path, "b/1.jpg", "cat"),
        image(tmp_path, "c/1.JPG", "cat"), image(tmp_path, "1.jpg", "../evil"),
        image(tmp_path, "2.jpg", ".._evil"),
    ]  # fmt: skip
    made = export_images(run, images)
    found = sorted(str(each.relative_to(made.folder)) for each in made.folder.rglob("*.[jJ]*"))
    assert found == ["_evil-2/2.jpg", "_evil/1.jpg", "cat/1-2.jpg", "cat/1-3.JPG", "cat/1.jpg"]
    assert made.folder.parent == run.folder / "exports" and (made.copied, made.left_out) == (5, 0)
    assert (made.folder / "cat" / "1-2.jpg").read_bytes() == b"b/1.jpg"
    assert export_images(run, images).folder != made.folder


def test_what_is_gone_changed_or_outside_is_left_out(make_run, tmp_path, monkeypatch):
    run = make_run(n=4, n_test=0)
    kept, changed = image(tmp_path, "kept.jpg", "cat"), image(tmp_path, "changed.jpg", "cat")
    changed.source.write_bytes(b"other")
    gone = ImageCopy(tmp_path / "gone.jpg", kept.sha256, "cat")
    made = export_images(run, [kept, changed, gone])
    assert (made.copied, made.left_out) == (1, 2)
    monkeypatch.setenv("SECONDLOOK_ROOTS", str(tmp_path / "elsewhere"))
    assert export_images(run, [kept]).left_out == 1
    monkeypatch.setattr(image_export, "MOST_IMAGES", 2)
    with pytest.raises(UserError, match="at most 2"):
        export_images(run, [kept, kept, kept])


@given(st.text(st.characters(codec=None), max_size=200))
@example("..")
@example("CON.jpg")
@example(" . ")
def test_a_safe_name_is_one_part_that_can_be_written(name):
    safe = safe_name(name)
    assert 0 < len(safe) <= 51 and not safe.startswith(".") and safe == Path(safe).name
    assert safe.isprintable() and not set(safe) & set('<>:"/\\|?*') and safe_name(safe) == safe
    safe.encode()
