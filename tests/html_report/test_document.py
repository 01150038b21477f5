"""The page to hand on: one file, the figures of the report, text harmless, images inside."""

from __future__ import annotations

import base64
import re
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

from engine.analysis.clip_report import Bounds, ClipReport
from engine.analysis.report import report
from engine.analysis.slices import Slice
from engine.data.thumbnails import thumbnail
from engine.errors import UserError
from engine.html_report.charts import clip_curve, places, scale_of
from engine.html_report.document import ENVIRONMENT, framed
from engine.html_report.galleries import classes_shown, shown_images
from engine.html_report.write import write_page
from engine.runs.run import Run
from tests.support.synthetic_runs import HOSTILE, synthetic_run

OURS = {
    "html", "head", "meta", "title", "style", "body", "main", "header", "section", "div", "p", "h1",
    "h2", "span", "strong", "small", "b", "i", "em", "figure", "figcaption", "img", "table", "tr",
    "th", "td", "svg", "line", "polyline", "footer",
}  # fmt: skip


class Read(HTMLParser):
    """Reads the tags, their attributes and the text of a page."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self.feed(page)
        self.text = " ".join(" ".join(self.words).split())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.words.append(data)

    @property
    def sources(self) -> list[str]:
        return [attributes["src"] or "" for tag, attributes in self.tags if tag == "img"]


def written(run: Run, tmp_path: Path, n: int = 4) -> str:
    file = tmp_path / "out" / "page.html"
    write_page(run, "valid", report(run.predictions("valid"), n), file)
    return file.read_text("utf-8")


def assert_alone(page: str) -> None:
    """Fail on anything that a browser would fetch or run, and on a tag that is not ours."""
    read = Read(page)
    assert {tag for tag, _ in read.tags} <= OURS
    names = {name for _, attributes in read.tags for name in attributes}
    assert not {name for name in names if name.startswith("on")} and not {"href", "srcset"} & names
    assert all(source.startswith("data:image/jpeg;base64,") for source in read.sources)
    style = page.split("<style>")[1].split("</style>")[0]
    assert not re.search(r"url\(|@import|https?:|expression", style)
    styles = [a["style"] or "" for _, a in read.tags if "style" in a]
    assert all(re.fullmatch(r"(--depth|left|top|width):[-0-9.]+%(;|$).*", s) for s in styles)
    assert not [s for s in styles if "(" in s]
    policy = [a["content"] for tag, a in read.tags if a.get("http-equiv")]
    assert policy == ["default-src 'none'; img-src data:; style-src 'unsafe-inline'"]


def test_its_figures_and_images_are_the_reports(tmp_path):
    run = synthetic_run(tmp_path, n=150, name="A run")
    page = written(run, tmp_path)
    assert_alone(page)
    read, found = Read(page), report(run.predictions("valid"))
    assert f"{found.log_loss:.4f}" in read.text and f"{found.accuracy:.2%}" in read.text
    for count in found.confusion_matrix.ravel().tolist():
        assert f"<b>{count:,}</b>" in page
    low, high = found.log_loss_interval
    assert f"95 %: {low:.4f} to {high:.4f}" in read.text
    images = [image for part in found.categories for image in part.images]
    assert images == shown_images(found) and len(read.sources) == len(images)
    sums = dict(zip(run.images["path"], run.images["sha256"], strict=True))
    expected = {thumbnail(run.data_root / image.path, sums[image.path]) for image in images}
    assert {base64.b64decode(source.split(",")[1]) for source in read.sources} == expected
    for image in images:
        assert image.id in read.text and f"loss {image.log_loss:.3f}" in read.text
    assert "Weak slices" in read.text and "Confusion matrix" in read.text
    assert len(page) < 2_000_000


def test_hostile_names_stay_text(tmp_path):
    run = synthetic_run(tmp_path, n=60, classes=9, hostile=True)
    page = written(run, tmp_path)
    assert_alone(page)
    read = Read(page)
    assert "<b>![x](http://evil.invalid/x.png)" in read.text  # the run's name, literally
    assert "<script>alert(1)</script>" in read.text and "<script" not in page
    assert "line�break" in read.text


@pytest.mark.parametrize("name", [*HOSTILE, "\x00\x1b[31m", "\u202egnp.exe", "\ud800", "</style>"])
def test_escaped_text_is_read_back_as_one_line(name):
    drawn = ENVIRONMENT.from_string("<p>{{ name }}</p>").render(name=name)
    read = Read(drawn)
    assert [tag for tag, _ in read.tags] == ["p"]
    assert "".join(read.words) == "".join(c if c.isprintable() else "�" for c in name)
    drawn.encode()


def test_many_classes_are_cut_to_those_that_err_most(tmp_path):
    run = synthetic_run(tmp_path, n=400, classes=120)
    found = report(run.predictions("valid"))
    shown = classes_shown(found)
    matrix = found.confusion_matrix
    wrong = dict(zip(found.class_names, matrix.sum(axis=1) - np.diag(matrix), strict=True))
    assert len(shown) == 8
    assert min(wrong[c] for c in shown) >= max(wrong[c] for c in wrong if c not in shown)
    page = written(run, tmp_path)
    assert_alone(page)
    assert 'class="matrix"' not in page and "predicted" in Read(page).text


def test_an_image_that_is_gone_is_said_to_be(tmp_path):
    run = synthetic_run(tmp_path, n=40)
    for path in run.data_root.glob("train/*.jpg"):
        path.unlink()
    page = written(run, tmp_path)
    assert Read(page).sources == [] and "cannot be read" in page
    assert_alone(page)


def test_it_is_written_whole_or_not_at_all(tmp_path):
    run = synthetic_run(tmp_path, n=40)
    file = tmp_path / "page.html"
    file.write_text("old")
    found = report(run.predictions("valid"))
    file.with_name("taken").write_text("")
    with pytest.raises(UserError, match="taken"):
        write_page(run, "valid", found, tmp_path / "taken" / "page.html")
    write_page(run, "valid", found, file)
    assert file.read_text("utf-8").endswith("</html>\n")
    assert sorted(p.name for p in tmp_path.glob("*.html*")) == ["page.html"]


def test_the_curve_lies_within_its_frame():
    bounds = np.geomspace(1e-6, 0.49, 50)
    best = Bounds(0.01, 0.99, 0.1)
    drawn = clip_curve(
        ClipReport(
            lower=0.0, upper=0.97, log_loss_before=0.5, log_loss_after=0.4, n=8, n_below=0,
            n_above=1, n_submitted=8, confident_error_cost=None, best_symmetric=best,
            best_independent=best,
            interval=(0, 0.1), gain_interval=(0, 0.1), sampled_rows=None, curve_bounds=bounds,
            curve_log_loss=0.1 + (np.log10(bounds) + 2) ** 2,
        )
    )  # fmt: skip
    numbers = np.array(drawn.points)
    assert ((numbers >= 0) & (numbers <= 100)).all() and (np.diff(numbers[:, 0]) > 0).all()
    assert len(drawn.chosen) == 1 and drawn.best is not None
    assert drawn.best[1] == pytest.approx(numbers[:, 1].max(), abs=1)


def test_in_a_notebook_the_page_keeps_to_its_frame():
    page = "<!doctype html><p title='a\"b'>&amp; <b>bold</b></p>"
    read = Read(framed(page))
    assert [tag for tag, _ in read.tags] == ["iframe"]
    attributes = read.tags[0][1]
    assert attributes["srcdoc"] == page and attributes["sandbox"] is None


def test_slices_lie_on_one_scale():
    made = [
        Slice(
            trait="bytes", bin=0, n_bins=1, true=None, low=1.0, high=2.0, name="", n=30, errors=3,
            error_rate=0.1, error_interval=(0.05, 0.2), log_loss=loss,
            log_loss_interval=(loss / 2, 9 * loss), rest=0.1, excess=0.0, p=1.0, p_adjusted=1.0,
        )
        for loss in (0.2, 0.31)
    ]  # fmt: skip
    most = scale_of(made)
    assert most == pytest.approx(0.7)
    assert places(made[0], most) == pytest.approx([100 * 2 / 7, 100 / 7, 100, 100 / 7])
    assert scale_of([Slice(**{**vars(made[0]), "log_loss": 0.0, "rest": 0.0})]) == 1
