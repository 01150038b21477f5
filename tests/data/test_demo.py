from __future__ import annotations

import csv
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from engine.data import demo
from engine.data.demo import DemoSummary, draw_demo
from engine.data.drawing.image import draw_image
from engine.errors import UserError

KINDS = {
    "occlusion",
    "deformation",
    "background-clutter",
    "darkness",
    "blur",
    "wrong-label",
    "both-animals",
    "neither",
    "near-duplicate",
    "undecodable",
}


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> DemoSummary:
    return draw_demo(tmp_path_factory.mktemp("drawn") / "demo", train=40, test=30, seed=3)


def _planted(folder: Path) -> list[dict[str, str]]:
    with open(folder / "planted.csv", encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def _contents(folder: Path) -> dict[str, bytes]:
    files = (path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


def _pixels(path: Path) -> np.ndarray:
    with Image.open(path) as image:
        return np.asarray(image.convert("RGB").resize((64, 48)), dtype=float)


def _decodes(path: Path) -> bool:
    try:
        with Image.open(path) as image:
            image.load()
    except OSError:
        return False
    return True


def test_layout_is_that_of_the_competition(drawn: DemoSummary) -> None:
    train = {path.name for path in (drawn.folder / "train").iterdir()}
    test = {path.name for path in (drawn.folder / "test").iterdir()}
    assert train == {f"{name}.{number}.jpg" for name in ("cat", "dog") for number in range(20)}
    assert test == {f"{number}.jpg" for number in range(1, 31)}
    sample = (drawn.folder / "sample_submission.csv").read_bytes().decode().split("\n")
    assert sample == ["id,label", *(f"{number},0.5" for number in range(1, 31)), ""]


def test_images_are_jpegs_of_about_500_by_375(drawn: DemoSummary) -> None:
    sizes = []
    for path in sorted((drawn.folder / "test").iterdir()):
        with Image.open(path) as image:
            assert (image.format, image.mode) == ("JPEG", "RGB")
            sizes.append(image.size)
    assert all(440 <= max(size) <= 540 and 330 <= min(size) <= 410 for size in sizes)
    assert len(set(sizes)) > 15
    assert any(height > width for width, height in sizes)


def test_planted_table_names_files_that_exist(drawn: DemoSummary) -> None:
    rows = _planted(drawn.folder)
    assert all(row["kind"] in KINDS and (drawn.folder / row["path"]).is_file() for row in rows)
    assert len({row["path"] for row in rows}) == len(rows)
    assert Counter(row["kind"] for row in rows) == drawn.planted


def test_exactly_the_named_image_does_not_decode(drawn: DemoSummary) -> None:
    broken = [
        path.relative_to(drawn.folder).as_posix()
        for path in sorted(drawn.folder.rglob("*.jpg"))
        if not _decodes(path)
    ]
    named = [row["path"] for row in _planted(drawn.folder) if row["kind"] == "undecodable"]
    assert broken == named and len(named) == 1 and named[0].startswith("train/")


@pytest.mark.parametrize("seed", [0, 7])
def test_every_kind_is_planted_at_the_default_size(seed: int) -> None:
    images = demo._plan(1200, 300, seed)
    train = Counter(image.kind for image in images[:1200])
    test = Counter(image.kind for image in images[1200:])
    assert set(train) - {""} == KINDS - {"near-duplicate"}
    assert set(test) - {""} == KINDS - {"wrong-label", "undecodable"}
    assert train["undecodable"] == 1
    assert 0.09 <= 1 - train[""] / 1200 <= 0.11 and 0.09 <= 1 - test[""] / 300 <= 0.11
    assert 22 <= train["wrong-label"] <= 24
    assert set(demo.KINDS) == KINDS


def test_wrong_labels_draw_the_animal_the_name_does_not_say() -> None:
    for image in demo._plan(1200, 300, 0)[:1200]:
        says = image.path.removeprefix("train/").split(".")[0]
        assert (image.animal != says) == (image.kind == "wrong-label")


def test_near_duplicates_look_like_their_plain_source_but_are_other_bytes(
    tmp_path: Path,
) -> None:
    folder = draw_demo(tmp_path / "demo", train=24, test=30).folder
    rows = _planted(folder)
    pairs = [(row["path"], row["detail"]) for row in rows if row["kind"] == "near-duplicate"]
    others = {row["path"] for row in rows}
    assert pairs
    for path, source in pairs:
        assert path.startswith("test/") and source.startswith("train/") and source not in others
        assert (folder / path).read_bytes() != (folder / source).read_bytes()
        with Image.open(folder / path) as copy, Image.open(folder / source) as original:
            assert copy.size == original.size
        copy_pixels = _pixels(folder / path).ravel()
        alike = np.corrcoef(copy_pixels, _pixels(folder / source).ravel())[0, 1]
        strangers = [
            np.corrcoef(copy_pixels, _pixels(folder / f"train/{name}.{number}.jpg").ravel())[0, 1]
            for name in ("cat", "dog")
            for number in range(12)
            if f"train/{name}.{number}.jpg" not in others | {source}
        ]
        assert alike > 0.9 and alike > max(strangers)


def test_planted_darkness_and_blur_are_there_to_see(tmp_path: Path) -> None:
    light, sharpness = {}, {}
    for kind in ("", "darkness", "blur"):
        image = draw_image(np.random.default_rng(5), "cat", kind, "leaves")
        grey = np.asarray(image.convert("L"), dtype=float)
        light[kind], sharpness[kind] = grey.mean(), np.abs(np.diff(grey)).mean()
    assert light["darkness"] < light[""] / 3
    assert sharpness["blur"] < sharpness[""] / 3


def test_same_seed_gives_same_bytes_and_another_seed_does_not(
    drawn: DemoSummary, tmp_path: Path
) -> None:
    again = draw_demo(tmp_path / "again", train=40, test=30, seed=3)
    other = draw_demo(tmp_path / "other", train=20, test=1, seed=4)
    assert _contents(again.folder) == _contents(drawn.folder)
    images = _contents(drawn.folder)
    assert all(
        content != images[path]
        for path, content in _contents(other.folder).items()
        if path.startswith("train/")
    )


def test_an_image_does_not_depend_on_how_many_there_are(drawn: DemoSummary, tmp_path: Path) -> None:
    fewer = draw_demo(tmp_path / "fewer", train=20, test=5, seed=3)
    copies = {row["path"] for row in _planted(fewer.folder) if row["kind"] == "near-duplicate"}
    more = _contents(drawn.folder)
    for path, content in _contents(fewer.folder).items():
        if path.endswith(".jpg") and path not in copies:
            assert content == more[path]


def test_the_same_demo_again_is_left_as_it_is(drawn: DemoSummary) -> None:
    def never(done: int, total: int) -> None:
        raise AssertionError("drew again")

    before = {path: path.stat().st_mtime_ns for path in drawn.folder.rglob("*")}
    assert draw_demo(drawn.folder, train=40, test=30, seed=3, progress=never) == drawn
    assert before == {path: path.stat().st_mtime_ns for path in drawn.folder.rglob("*")}


@pytest.mark.parametrize("change", [{"train": 42}, {"test": 31}, {"seed": 4}])
def test_another_demo_is_refused_in_the_same_folder(
    drawn: DemoSummary, change: dict[str, int]
) -> None:
    wanted = {"train": 40, "test": 30, "seed": 3} | change
    with pytest.raises(UserError, match="demo is not empty"):
        draw_demo(drawn.folder, **wanted)


def test_a_demo_with_an_image_missing_is_not_taken_as_whole(tmp_path: Path) -> None:
    folder = draw_demo(tmp_path / "demo", train=20, test=1).folder
    (folder / "train" / "cat.3.jpg").unlink()
    with pytest.raises(UserError, match="is not empty"):
        draw_demo(folder, train=20, test=1)


def test_a_foreign_folder_is_refused_and_kept(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "letter.txt").write_text("dear")
    (tmp_path / "file").write_text("a file")
    for name in ("mine", "file"):
        with pytest.raises(UserError, match=str(tmp_path / name)):
            draw_demo(tmp_path / name, train=20, test=1)
    assert _contents(tmp_path) == {"mine/letter.txt": b"dear", "file": b"a file"}


def test_an_empty_folder_and_missing_parents_are_used(tmp_path: Path) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    draw_demo(empty, train=20, test=1)
    draw_demo(tmp_path / "a" / "b", train=20, test=1)
    assert (empty / "demo.json").is_file() and (tmp_path / "a" / "b" / "demo.json").is_file()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "empty"]


@pytest.mark.parametrize("error", [KeyboardInterrupt, RuntimeError])
def test_nothing_is_left_behind_when_interrupted(
    tmp_path: Path, error: type[BaseException]
) -> None:
    def stop(done: int, total: int) -> None:
        raise error

    with pytest.raises(error):
        draw_demo(tmp_path / "demo", train=20, test=4, progress=stop)
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_is_refused_and_nothing_is_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*args: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(demo, "_write_tables", full)
    with pytest.raises(UserError, match="No space left on device"):
        draw_demo(tmp_path / "demo", train=20, test=1)
    assert list(tmp_path.iterdir()) == []


def test_progress_rises_to_the_total(tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []
    draw_demo(tmp_path / "demo", train=20, test=3, progress=lambda *step: seen.append(step))
    done = [step[0] for step in seen]
    assert done == sorted(set(done)) and seen[-1] == (23, 23)


@pytest.mark.parametrize(
    ("numbers", "said"),
    [({"train": 19}, "train=19"), ({"test": 0}, "test=0"), ({"seed": -1}, "seed=-1")],
)
def test_numbers_out_of_range_name_their_argument(
    tmp_path: Path, numbers: dict[str, int], said: str
) -> None:
    with pytest.raises(UserError, match=said):
        draw_demo(tmp_path / "demo", **numbers)
    assert list(tmp_path.iterdir()) == []


def test_a_worker_imports_neither_torch_nor_pandas() -> None:
    code = "import sys, engine.data.demo; print({'torch', 'pandas', 'pyarrow'} & set(sys.modules))"
    root = Path(__file__).parents[2]
    command = [sys.executable, "-W", "error", "-c", code]
    shown = subprocess.run(
        command, capture_output=True, text=True, cwd=root, env=os.environ, check=True
    )
    assert shown.stdout.strip() == "set()"
