"""Images like another one, and the distance to the training images, against brute force."""

from __future__ import annotations

from html import unescape

import numpy as np
import pytest

from dashboard.selection import rows, similar
from dashboard.selection.image_filter import REVIEWED, SUSPECTS, ImageFilter
from dashboard.shared import commands, tables
from dashboard.views.errors import data as errors_data
from dashboard.views.errors.beside import beside_of
from engine.errors import UserError
from engine.runs.directions import save_directions
from engine.runs.run import Run
from engine.runs.verdicts import Verdict, save_verdicts
from tests.support.pages import errors, sentence
from tests.support.run_folders import suspected


def placed(run: Run, seed: int = 0) -> dict[tuple[str, str], np.ndarray]:
    """Give the images of a run random positions; every third valid image becomes a train image."""
    images = run.images
    images.loc[images.index[images["split"] == "valid"][::3], "split"] = "train"
    run.save_tables(images, run.quarantine)
    values = np.random.default_rng(seed).normal(size=(len(images), 6)).astype(np.float16)
    splits, ids = images["split"].tolist(), images["id"].tolist()
    save_directions(run, splits, ids, values)
    run.update_config(head_sha256="0" * 64)
    unit = values.astype(np.float64)
    unit /= np.linalg.norm(unit, axis=1, keepdims=True)
    return dict(zip(zip(splits, ids, strict=True), unit, strict=True))


def at(places: dict[tuple[str, str], np.ndarray], id: str) -> np.ndarray:
    return places.get(("valid", id), places.get(("train", id)))


def test_the_nearest_images_are_those_of_brute_force(make_run):
    run = make_run(n=400, n_test=30)
    places, table = placed(run), tables.table(run.name)
    ids = table.predictions.ids.to_pylist()
    far = np.array([1 - places["test", "7"] @ at(places, id) for id in ids])
    where = {"like": "test:7"}
    found = rows.rows(table, ImageFilter(where=where))
    assert found.tolist() == np.argsort(far)[: similar.NEAREST].tolist()
    np.testing.assert_allclose(similar.distances(table, "test:7"), far, atol=1e-6)
    shown = errors_data.gallery_of(table, ImageFilter(where=where))
    assert errors_data.tiles(shown, 1)[0]["p"] == f"{far.min():.3f}"

    of_test = tables.table(run.name, "test")
    mine = rows.rows(of_test, ImageFilter(where=where))
    assert of_test.predictions.ids[int(mine[0])].as_py() == "7" and len(mine) == 30

    large = beside_of(table, ImageFilter(where=where, image=ids[0]))
    assert large and large.data()["src"].startswith("data:image/jpeg")
    assert large.text == "Compared with 7 (test)"
    assert beside_of(of_test, ImageFilter(where=where, image="7")) is None


def test_suspects_and_reviewed_images_are_also_nearest_first(make_run):
    run = make_run(n=60)
    placed(run)
    table, where = tables.table(run.name), {"like": "labelled:0000004"}
    chosen = [4, 31, 7, 50, 17, 43]
    suspected(run, [f"{row:07d}" for row in chosen])
    facts = tables.facts(table, np.array(chosen)).to_pylist()
    save_verdicts([Verdict(fact["sha256"], "fine", given=fact["given"]) for fact in facts])
    far = similar.distances(table, where["like"])
    nearest = sorted(chosen, key=far.__getitem__)
    assert nearest[0] == 4 and nearest not in (chosen, sorted(chosen))
    for show in (SUSPECTS, REVIEWED):
        assert errors_data.rows(table, ImageFilter(show, where)).tolist() == nearest
        by_id = errors_data.rows(table, ImageFilter(show, where, sort="id"))
        assert by_id.tolist() == sorted(chosen)
    assert sentence(errors(show=SUSPECTS, **where)).endswith("validation images: nearest first")


def test_the_distance_to_the_training_images_is_that_of_brute_force(make_run):
    run = make_run(n=120, n_test=20)
    places = placed(run, 1)
    train = np.array([v for (split, _), v in places.items() if split == "train"])
    for split in ("valid", "test"):
        table = tables.table(run.name, split)
        ids = table.predictions.ids.to_pylist()
        for row, far in enumerate(similar.training_distances(table)):
            own = places.get((split, ids[row]))
            if own is None:  # a train image: the nearest other one
                alike = np.sort(train @ places["train", ids[row]])[-2]
            else:
                alike = (train @ own).max()
            assert far == pytest.approx(1 - alike, abs=1e-6)
        shown = rows.rows(table, ImageFilter(sort="distance"))
        assert (np.diff(similar.training_distances(table)[shown]) <= 0).all()


def test_the_page_shows_what_is_like_an_image(make_run, monkeypatch):
    run = make_run(n=60)
    placed(run)
    app = errors(like="labelled:0000004")
    assert not app.exception and not app.error
    assert sentence(app) == "**60** of 60 validation images: nearest first"
    assert unescape(app.button(key="without_like").label) == "most like 0000004"
    app = errors(like="labelled:nobody")
    assert "no features of the image" in unescape(app.error[0].value)
    app.button(key="clear").click().run()
    assert "like" not in app.query_params and not app.error
    assert "is not an image" in unescape(errors(like="x:1").warning[0].value)


def test_a_run_of_an_earlier_version_makes_them(make_run, monkeypatch):
    run, started = make_run(n=30), []
    monkeypatch.setattr(commands, "start_command", started.append)
    table = tables.table(run.name)
    for _ in range(2):
        with pytest.raises(UserError, match="is being computed; they are shown"):
            similar.distances(table, "labelled:0000004")
    assert started == [["embed", run.name, "--method", "pca", "--json"]]
    assert not similar.has_training_distances(table)
