"""The Errors page: which images it counts and shows for which address."""

from __future__ import annotations

import csv
import io
import re
from dataclasses import replace
from html import unescape
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from dashboard.gallery import tiles
from dashboard.review import notes
from dashboard.selection import orders, rows
from dashboard.selection.filters import BY_PARAMETER
from dashboard.selection.image_filter import REVIEWS, SHOWN, ImageFilter
from dashboard.shared import tables
from dashboard.shared.escape import literal
from dashboard.views.errors import address, data, images_csv
from dashboard.views.errors.prefetch import FirstPages
from engine.analysis.categories import CATEGORIES, category_rows
from engine.data.properties import measure
from engine.runs.verdicts import Verdict, save_verdict
from tests.support.pages import errors, sentence

APP = Path(__file__).resolve().parents[2] / "dashboard" / "app.py"


def parameters(app: AppTest) -> dict[str, Any]:
    read = dict(app.query_params)
    read.pop("run")
    return {name: value[0] if isinstance(value, list) else value for name, value in read.items()}


def test_every_category_counts_its_images(make_run):
    run = make_run(n=200)
    predictions = run.predictions()
    for category in CATEGORIES:
        app = errors(show=category)
        assert not app.exception
        count = len(category_rows(category, predictions.y_true, predictions.probabilities))
        assert sentence(app).startswith(f"**{count}** of 200 validation images")
        assert parameters(app) == {"show": category}


def test_the_filter_is_the_address(make_run):
    run = make_run(n=300)
    table = tables.table(run.name)
    p = table.predictions
    want = (p.y_true == 0) & (table.y_pred == 1) & (table.score >= 0.6) & (table.score < 0.95)
    address = {"true": "cat", "predicted": "dog", "p": "0.6-0.95"}
    app = errors(**address)
    assert sentence(app) == f"**{want.sum()}** of 300 validation images: highest loss first"
    chips = [unescape(app.button(key=f"without_{name}").label) for name in address]
    assert chips == ["true cat", "predicted dog", "P(dog) 0.6 to below 0.95"]
    assert app.selectbox(key="filter_true").value == "cat"
    assert app.slider[0].value == (0.6, 0.95)

    app.text_input[0].set_value("00000").run()
    assert not app.exception
    assert parameters(app) == {**address, "text": "00000"}
    named = np.array(["00000" in name for name in p.ids.to_pylist()])
    assert sentence(app).startswith(f"**{(want & named).sum()}** of 300")
    app.button(key="without_p").click().run()
    kept = (p.y_true == 0) & (table.y_pred == 1) & named
    assert parameters(app) == {"true": "cat", "predicted": "dog", "text": "00000"}
    assert sentence(app).startswith(f"**{kept.sum()}** of 300")
    app.button(key="clear").click().run()
    assert parameters(app) == {"show": "all"}
    assert sentence(app).startswith("**300** of 300")


def test_an_image_on_the_border_of_two_ranges_is_in_one_of_them(make_run):
    table = replace(tables.table(make_run(n=20).name), score=np.array([0.2, 0.5, 1.0]))
    keep = BY_PARAMETER["p"].keep
    assert keep(table, "0-0.5").tolist() == [True, False, False]
    assert keep(table, "0.5-1").tolist() == [False, True, True]
    assert keep(table, "0.5-0.5").tolist() == [False, True, False]


def test_without_an_address_the_page_opens_on_the_errors(make_run):
    run = make_run(n=200)
    p = run.predictions()
    wrong = int((p.y_true != p.y_pred).sum())
    app = errors()
    assert sentence(app) == f"**{wrong}** of 200 validation images: most confident first"
    assert parameters(app) == {}
    labels = app.segmented_control(key="filter_show").options
    assert labels[:6] == [
        "All 200", f"Random correct {200 - wrong}", f"Random incorrect {wrong}",
        f"Most confident correct {200 - wrong}", f"Most confident incorrect {wrong}",
        "Most uncertain 200",
    ]  # fmt: skip
    assert labels[6:] == ["Suspects", "Reviewed 0"]  # the suspects were never searched for
    app = errors(true="cat")  # a link that names something and no category means all of it
    cats = int((p.y_true == 0).sum())
    assert sentence(app).startswith(f"**{cats}** of 200 validation images")
    assert app.segmented_control(key="filter_show").options[0] == f"All {cats}"


def test_orders(make_run):
    run = make_run(n=80, classes=3)
    table = tables.table(run.name)
    p = run.predictions()
    top = np.sort(p.probabilities, axis=1)
    image = tables.facts(table, np.arange(80))
    grey = {}
    for path in set(image["path"].to_pylist()):
        grey[path] = measure((run.data_root / path).read_bytes())[0]
    oracle = {
        "loss": np.log(p.probabilities[np.arange(80), p.y_true]),
        "confidence": -top[:, -1],
        "margin": top[:, -1] - top[:, -2],
        "id": np.arange(80),
        "size": np.zeros(80),
        "bytes": -np.array(image["bytes"].to_pylist()),
        "brightness": -np.array([grey[path] for path in image["path"].to_pylist()]),
    }
    wrong = np.flatnonzero(p.y_true != p.y_pred)
    for name, keys in oracle.items():
        shown = rows.rows(table, ImageFilter(show="most-incorrect", sort=name))
        assert shown.tolist() == wrong[np.argsort(keys[wrong], kind="stable")].tolist(), name
    assert set(orders.BY_NAME) - set(orders.orders_of(table)) == {"p", "p-up", "distance"}


def test_the_order_is_in_the_address(make_run):
    make_run(n=60)
    app = errors()
    app.selectbox(key="filter_sort").set_value("brightness-up").run()
    assert not app.exception
    assert parameters(app) == {"sort": "brightness-up"}
    assert sentence(app).endswith("images: darkest first")
    app = errors(show="random-correct", sort="id")
    assert sentence(app).endswith("images: by id")
    assert "Shuffle again" not in [button.label for button in app.button]


def test_the_label_of_another_categorys_order_is_no_order(monkeypatch):
    """The browser sends it where the category has changed since the list was drawn."""
    label, written = "Default (most confident first)", []
    monkeypatch.setattr(address, "write_filter", written.append)
    monkeypatch.setattr("streamlit.session_state", {"filter_sort": label, "filter_show": "all"})
    address.filter_changed()
    assert written == [ImageFilter("all")]


def test_a_search_finds_file_names_classes_and_verdicts(make_run):
    run = make_run(n=80, classes=4, distinct=80)
    table, p = tables.table(run.name), run.predictions()
    image = tables.facts(table, np.array([9])).to_pylist()[0]
    save_verdict(Verdict(image["sha256"], "neither", cause="viewpoint", given=image["given"]))

    def found(text: str) -> list[int]:
        return np.flatnonzero(BY_PARAMETER["text"].keep(table, text)).tolist()

    paths, hare = p.paths.to_pylist(), p.class_names.index("hare")
    assert found("IMAGE.7") == [row for row, path in enumerate(paths) if "image.7" in path]
    assert found("hare") == np.flatnonzero((p.y_true == hare) | (p.y_pred == hare)).tolist()
    assert found("neither") == found("VIEWpoint") == [9]
    assert found("neither 0000009") == [9] and found("neither 0000008") == []
    assert found("train/image.1.jpg 0000001") == [1]


def test_shuffling_again_is_another_order_of_the_same_images(make_run):
    run = make_run(n=300)
    app = errors(show="random-incorrect")
    next(b for b in app.button if b.label == "Shuffle again").click().run()
    assert parameters(app) == {"show": "random-incorrect", "seed": "1"}
    table = tables.table(run.name)
    first, second = (
        rows.rows(table, ImageFilter(show="random-incorrect", seed=seed)) for seed in (0, 1)
    )
    assert sorted(first) == sorted(second)
    assert list(first) != list(second)


@pytest.mark.parametrize(
    "address",
    [
        {"show": "<script>", "true": "wolf", "p": "0.9-0.1", "page": "-3", "seed": "x"},
        {"page": "999999999"},
        {"p": "nan-1", "picture": "no such image"},
        {"page": "٣", "id": "x" * 9000},
    ],
)
def test_an_absurd_address_shows_something_sensible(make_run, address):
    make_run(n=60)
    app = errors(**address)
    assert not app.exception
    assert not app.error


def test_an_empty_filter_says_so(make_run):
    make_run(n=60)
    app = errors(id="nothing has this id")
    assert "No image passes" in app.info[0].value
    assert sentence(app).startswith("**0** of 60")
    app.button(key="without_id").click().run()
    assert sentence(app).startswith("**60** of 60")


def test_without_a_run_it_says_how_to_make_one(home):
    app = errors()
    assert not app.exception
    assert "no finished run yet" in app.markdown[0].value


@pytest.mark.parametrize("classes", [5, 120])
def test_many_classes(make_run, classes):
    run = make_run(n=400, classes=classes, quarantined=3)
    app = errors(true=run.class_names[1])
    assert not app.exception
    count = int((run.predictions().y_true == 1).sum())
    assert sentence(app).startswith(f"**{count}** of 400")


def test_a_large_image_turns_to_its_page_and_knows_its_neighbours(make_run):
    run = make_run(n=120)
    table = tables.table(run.name)
    order = rows.rows(table, ImageFilter())
    ids = [table.predictions.ids[int(row)].as_py() for row in order]
    app = errors(picture=ids[50])
    assert not app.exception
    shown = tiles.large_of(table, order, 50)
    assert (shown["id"], shown["before"], shown["after"]) == (ids[50], ids[49], ids[51])
    assert (shown["first"], shown["last"]) == (ids[0], ids[-1])
    assert shown["where"] == "51 of 120"
    assert shown["src"].startswith("data:image/jpeg;base64,")
    assert tiles.large_of(table, order, 0)["before"] is None


def test_a_prefetched_category_has_another_name_where_it_would_show_something_else(make_run):
    table = tables.table(make_run(n=80, distinct=80).name)
    first = FirstPages(table, ImageFilter("most-uncertain"), dict.fromkeys(SHOWN, 9))
    name = dict(zip(first.counts, first.names, strict=True))
    assert [show for show in first.counts if not name[show]] == list(REVIEWS)
    for show in ("all", "most-correct"):
        shown = data.gallery_of(table, ImageFilter(show))
        assert first.shown_as(shown, show) == name[show]
        assert first.gallery(name[show]).tag(1) == shown.tag(1)
    same = ImageFilter("suspects", {"kind": "label"}, page=2, image="7")
    assert replace(first, image_filter=same).names == first.names
    others = (
        ImageFilter(where={"true": "cat"}), ImageFilter(sort="id"), ImageFilter(seed=1),
        ImageFilter(where={"slice": "brightness:0"}), ImageFilter(where={"text": "cat"}),
    )  # fmt: skip
    names = [replace(first, image_filter=other).names[0] for other in others]
    image = tables.facts(table, np.array([0])).to_pylist()[0]
    save_verdict(Verdict(image["sha256"], "hard", given=image["given"]))
    names.append(first.names[0])
    notes.change(table, np.array([1]), lambda note: note.with_tag("night"))
    assert len({name["all"], first.names[0], *names}) == len(names) + 2


def test_a_lost_image_still_has_a_tile(make_run):
    run = make_run(n=20, images=False)
    table = tables.table(run.name)
    shown = tiles.tiles_of(table, np.arange(20))
    assert [tile["src"] for tile in shown] == [""] * 20
    assert not errors().exception


def test_the_csv_is_the_filter_in_order_and_no_formula(make_run):
    run = make_run(n=80, classes=3, hostile=True)
    table = tables.table(run.name)
    order = rows.rows(table, ImageFilter())
    read = list(csv.DictReader(io.StringIO(images_csv.csv_of(table, order).decode(), newline="")))
    ids = [table.predictions.ids[int(row)].as_py() for row in order]
    assert [row["id"].removeprefix("'") for row in read] == ids
    assert any(name.startswith("=HYPERLINK") for name in ids)
    for row in read:
        for name in ("id", "path", "label", "predicted"):
            assert not row[name].startswith(("=", "+", "-", "@", "\t", "\r", "\n"))
    losses = [float(row["log_loss"]) for row in read]
    assert losses == sorted(losses, reverse=True)
    assert np.mean(losses) == pytest.approx(run.config.scores.log_loss)


@pytest.mark.parametrize("text", ["*a*", "![x](http://e.x/i.png)", "<b>", ":red[x]", "$x$", "a\nb"])
def test_literal_text_holds_nothing_that_markdown_reads(text):
    shown = literal(text)
    assert not set("*![]()<>:$\n") & set(shown.replace("&#", "").replace(";", ""))


def test_who_comes_back_finds_the_filter_as_it_was_left(make_run):
    make_run(n=60)
    app = errors(show="most-incorrect", true="cat")
    app.switch_page("views/overview/page.py").run()
    for name in ("show", "true"):  # the browser's menu leaves them behind
        del app.query_params[name]
    app.switch_page("views/errors/page.py").run()
    assert parameters(app) == {"show": "most-incorrect", "true": "cat"}


@pytest.mark.parametrize(
    ("parameter", "value", "said"),
    [
        ("show", "foo", "choose from all, random-correct"),
        ("true", "zebra", "this run has no class of this name"),
        ("predicted", "zebra", "this run has no class of this name"),
        ("p", "9-3", "a range such as 0.2-0.8"),
        ("map", "nonsense", "not an area of the map"),
        ("sort", "weight", "choose from loss, loss-up"),
        ("seed", "foo", "a seed is a whole number"),
        ("page", "foo", "there is only page 1"),
        ("page", "0", "there is only page 1"),
        ("page", "7", "there is only page 1"),
        ("picture", "nope", "no image here has that id"),
        ("image", "nope", "no image here has that id"),
    ],
)
def test_what_the_run_does_not_have_is_said_and_can_be_removed(make_run, parameter, value, said):
    make_run(n=8, distinct=8)
    app = errors(**{parameter: value})
    assert not app.exception and len(app.warning) == 1
    words = unescape(app.warning[0].value)
    assert words.startswith(f"{parameter}={value} in the address is not used: ") and said in words
    app.button(key=f"remove_{parameter}").click().run()
    assert not app.warning and parameter not in app.query_params


def test_an_image_that_the_filter_leaves_out_is_said(make_run):
    make_run(n=8, distinct=8)
    app = errors(id="0000001", picture="0000002")
    assert "the filter excludes that image" in app.warning[0].value
    assert not errors(id="0000001", image="0000001").warning


def test_moved_images_are_said_and_found_again(make_run, tmp_path):
    run = make_run(n=8, n_test=4, distinct=8)
    old = run.data_root
    old.rename(tmp_path / "moved")
    table = tables.table(run.name)
    tile = tiles.tiles_of(table, np.array([0]))[0]
    assert tile["src"] == "" and tile["unreadable"] == str(old / table.predictions.paths[0].as_py())
    app = errors()
    assert not app.exception and literal(str(old)) in app.warning[0].value
    field = app.text_input(key=f"relocate_{run.name}")
    field.set_value(str(tmp_path)).run()  # one folder too high, with other folders beside it
    assert not app.exception and not app.warning
    assert "12 of 12 images" in unescape(app.success[0].value)
    assert tiles.tiles_of(table, np.array([0]))[0]["src"]


def test_a_folder_without_the_images_is_refused(make_run, tmp_path):
    run = make_run(n=8, distinct=8)
    run.data_root.rename(tmp_path / "moved")
    app = errors()
    app.text_input(key=f"relocate_{run.name}").set_value(str(tmp_path / "nowhere")).run()
    app.button(key="relocate").click().run()
    assert "is not a folder" in app.error[0].value and app.warning


@pytest.mark.parametrize("text", ["http://a.b", "HTTPS://a.b", "www.a.b", "me@a.b", "x http://a"])
def test_no_text_of_a_stranger_becomes_a_link(text):
    shown = unescape(literal(text))
    assert not re.search(r"(?i)https?://|www\.|[\w.+-]+@[\w-]", shown)
    assert shown.replace("\u2060", "") == text
