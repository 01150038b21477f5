"""Properties of images: measured right, once, by content, whatever lies in the folder."""

from __future__ import annotations

import hashlib
import io
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from PIL import Image, ImageFilter
from scipy.ndimage import laplace

from engine.data import properties
from engine.data.formats import Unreadable
from engine.data.properties import (
    facts_of,
    image_properties,
    measure,
    properties_path,
    unmeasured,
)
from engine.errors import UserError
from engine.runs.run import Run
from engine.runs.verdicts import Verdict, save_verdict
from tests.support.run_folders import run_with


def encoded(levels: np.ndarray, format: str = "PNG", **options: object) -> bytes:
    out = io.BytesIO()
    Image.fromarray(levels).save(out, format, **options)
    return out.getvalue()


def grain(seed: int = 0, size: tuple[int, int] = (60, 80)) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, size, dtype=np.uint8)


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """A run of four labelled images: two good ones, one broken, one gone; and one to test."""
    root = tmp_path / "images"
    root.mkdir()
    contents = {"a": encoded(grain(1)), "b": encoded(np.full((40, 20), 51, np.uint8)), "c": b"no"}
    rows = []
    for name in ("a", "b", "c", "gone", "t"):
        content = contents.get(name, name.encode())
        if name in contents:
            (root / f"{name}.png").write_bytes(content)
        rows.append(
            {
                "id": name, "path": f"{name}.png", "split": "test" if name == "t" else "valid",
                "label": "x", "width": 80, "height": 60, "bytes": len(content),
                "sha256": hashlib.sha256(content).hexdigest(),
            }
        )  # fmt: skip
    made = run_with("vgg16", {"root": str(root), "data": str(root), "class_names": ["x", "y"]})
    made.save_tables(
        pd.DataFrame(rows), pd.DataFrame(columns=["path", "reason", "id", "split", "label"])
    )
    return made


def ids(*names: str) -> pa.StringArray:
    return pa.array(names, pa.string())


def test_an_image_is_measured_as_numpy_and_scipy_do():
    levels = grain()
    brightness, contrast, sharpness = measure(encoded(levels))
    grey = levels / 255
    assert brightness == pytest.approx(grey.mean(), abs=1e-5)
    assert contrast == pytest.approx(grey.std(), abs=1e-5)
    assert sharpness == pytest.approx(laplace(grey)[1:-1, 1:-1].var(), rel=1e-4)


def test_what_the_figures_mean():
    dark, bright = measure(encoded(np.zeros((30, 30), np.uint8))), measure(
        encoded(np.full((30, 30), 255, np.uint8))
    )  # fmt: skip
    assert dark == (0, 0, 0) and bright == pytest.approx((1, 0, 0))
    sharp = Image.fromarray(grain(size=(300, 400)))
    blurred = sharp.filter(ImageFilter.GaussianBlur(2))
    assert measure(encoded(np.asarray(blurred)))[2] < measure(encoded(np.asarray(sharp)))[2] / 10
    assert measure(encoded(np.zeros((2, 900), np.uint8)))[2] == 0


def test_size_and_turning_change_little():
    smooth = Image.fromarray(grain(size=(30, 40))).resize((800, 600), Image.Resampling.BICUBIC)
    whole = measure(encoded(np.asarray(smooth), "JPEG", quality=95))
    exif = Image.Exif()
    exif[0x0112] = 6
    out = io.BytesIO()
    smooth.save(out, "JPEG", quality=95, exif=exif)
    assert measure(out.getvalue()) == whole
    half = measure(encoded(np.asarray(smooth.resize((400, 300))), "JPEG", quality=95))
    assert half == pytest.approx(whole, rel=0.05)


@pytest.mark.parametrize("content", [b"", b"text", encoded(grain(), "JPEG")[:200]])
def test_what_cannot_be_decoded_is_unreadable(content):
    with pytest.raises(Unreadable):
        measure(content)


def test_each_image_is_measured_once_and_found_by_its_content(run, monkeypatch):
    found = image_properties(run, "valid", ids("a", "b", "c", "gone", "unknown"))
    assert found["brightness"].tolist() == pytest.approx(
        [grain(1).mean() / 255, 0.2, np.nan, np.nan, np.nan], abs=1e-5, nan_ok=True
    )
    assert found["pixels"].tolist() == pytest.approx([4800] * 4 + [np.nan], nan_ok=True)
    assert found["aspect"].tolist()[0] == 80 / 60
    assert found["bytes"].tolist()[2] == 2 and found["cause"].isna().all()
    (run.data_root / "a.png").rename(run.data_root / "z.png")
    monkeypatch.setattr(properties, "measure", lambda content: pytest.fail("measured again"))
    again = image_properties(run, "valid", ids("b", "a"))
    assert again["brightness"].tolist() == found["brightness"][[1, 0]].tolist()


def test_an_image_that_has_changed_since_is_not_measured(run):
    (run.data_root / "a.png").write_bytes(encoded(grain(9)))
    found = image_properties(run, "valid", ids("a", "b"))
    assert np.isnan(found["sharpness"][0]) and found["sharpness"][1] == 0
    assert unmeasured(facts_of(run, "valid", ids("a", "b"))) == {
        hashlib.sha256(encoded(grain(1))).hexdigest()
    }


def test_a_damaged_cache_is_made_again(run):
    first = image_properties(run, "valid", ids("a", "b"))
    properties_path().write_bytes(b"nothing")
    pd.testing.assert_frame_equal(image_properties(run, "valid", ids("a", "b")), first)


def test_parts_are_kept_as_they_are_done_and_join_those_of_others(run, monkeypatch):
    monkeypatch.setattr(properties, "_AT_ONCE", 1)
    told = []
    facts = facts_of(run, "valid", ids("a", "b"))
    only_b = {facts["sha256"][1]}
    properties.measure_all(run.data_root, facts, only_b)
    image_properties(run, "valid", ids("a", "b"), lambda *step: told.append(step))
    assert told == [("measure", 1, 1)]  # only what was missing
    assert not unmeasured(facts)


def test_a_cause_comes_from_the_verdict(run):
    sha256 = facts_of(run, "valid", ids("b"))["sha256"][0]
    save_verdict(Verdict(sha256, "hard", cause="scale"))
    cause = image_properties(run, "valid", ids("a", "b"))["cause"]
    assert cause.isna().tolist() == [True, False] and cause[1] == "scale"


def test_test_images_are_no_labelled_ones(run):
    assert facts_of(run, "folds", ids("a", "t"))["sha256"].notna().tolist() == [True, False]


def test_a_damaged_images_table_is_named(run):
    images = run.images.drop(columns="sha256")
    run.save_tables(images, run.quarantine)
    with pytest.raises(UserError, match="images.parquet"):
        facts_of(run, "valid", ids("a"))
