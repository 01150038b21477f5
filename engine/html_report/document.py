"""Composes the page from plain values and thumbnails by a template."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any

import jinja2

from engine.analysis.clip_report import ClipReport
from engine.analysis.intervals import image_count_text
from engine.analysis.report import Report
from engine.analysis.slice_text import described
from engine.analysis.slices import Slice
from engine.html_report import charts
from engine.html_report.galleries import section
from engine.text import plain

MATRIX_UP_TO, SLICES_SHOWN = 12, 10


def _one_line(value: object) -> object:
    return plain(value) if isinstance(value, str) and not hasattr(value, "__html__") else value


ENVIRONMENT = jinja2.Environment(
    loader=jinja2.FileSystemLoader(Path(__file__).parent),
    autoescape=True,  # what comes from files and people stays text
    finalize=_one_line,
    undefined=jinja2.StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
    keep_trailing_newline=True,
)


@dataclass(frozen=True)
class Page:
    """The content of the page.

    Attributes
    ----------
    run, title, facts : the run's name, its display name, and further facts by name
    report, clip : the reports on the run and on its clip bounds
    slices : highest loss first, None if the images could not be measured
    thumbnails : JPEG bytes by path; an image without a thumbnail is shown as unreadable
    measured : number of images in the slices, None if all
    precision : sentence on the precision and its effect, '' if float32
    """

    run: str
    title: str
    facts: Mapping[str, str]
    report: Report
    clip: ClipReport
    slices: Sequence[Slice] | None
    thumbnails: Mapping[str, bytes]
    measured: int | None = None
    precision: str = ""


@dataclass(frozen=True)
class SliceLine:
    """A slice as a row of the table; positions in percent of the scale."""

    name: str
    significant: bool
    n: str
    errors: str
    error_range: str
    log_loss: str
    dot: float
    low: float
    width: float
    rest: float


def document(page: Page) -> str:
    """Return the page as one HTML document."""
    report = page.report
    many = len(report.class_names) > MATRIX_UP_TO
    return ENVIRONMENT.get_template("page.html").render(
        run=page.run,
        title=page.title or page.run,
        facts=[(name, value) for name, value in page.facts.items() if value],
        precision=page.precision,
        figures=figures(report),
        sections={part.name: section(report, part.name, page.thumbnails)
                  for part in report.categories},
        class_names=report.class_names,
        matrix=None if many else charts.matrix_rows(report.class_names, report.confusion_matrix),
        pairs=[(p.label, p.predicted, f"{p.count:,}") for p in report.most_confused],
        curve=charts.clip_curve(page.clip),
        bounds=bounds_table(page.clip),
        bounds_sentence=bounds_sentence(page.clip),
        slices=weak_slices(page.slices or (), page.measured),
    )  # fmt: skip


def framed(html: str) -> str:
    """Return a page in an iframe, so that its styles do not change a notebook's."""
    return (
        f'<iframe title="Report" sandbox srcdoc="{escape(html, quote=True)}" style="display:block;'
        "box-sizing:border-box;"
        'width:100%;height:720px;border:1px solid #8884;border-radius:6px"></iframe>'
    )


def figures(report: Report) -> list[tuple[str, str, str]]:
    """Return the scores: name, value and a note."""
    errors = int(report.confusion_matrix.sum() - report.confusion_matrix.trace())
    (a_low, a_high), (l_low, l_high) = report.accuracy_interval, report.log_loss_interval
    expected, most = report.calibration_error_expected
    calibrated = f"calibrated models: about {expected:.2%}, rarely over {most:.2%}"
    return [
        ("Log loss", f"{report.log_loss:.4f}", f"95 %: {l_low:.4f} to {l_high:.4f}"),
        ("Accuracy", f"{report.accuracy:.2%}", f"95 %: {a_low:.2%} to {a_high:.2%}"),
        ("Incorrect", f"{errors:,}", f"of {image_count_text(report.n, report.n_groups)}"),
        ("Calibration error", f"{report.calibration_error:.2%}", calibrated),
    ]


def bounds_table(found: ClipReport) -> list[tuple[str, str, str, str]]:
    """Return the log loss without bounds, at the chosen and at the best ones."""
    rows = [("none", "", "", f"{found.log_loss_before:.5f}")]
    chosen = ("chosen", found.lower, found.upper, found.log_loss_after)
    symmetric, independent = found.best_symmetric, found.best_independent
    for name, lower, upper, loss in (
        chosen,
        ("best symmetric", symmetric.lower, symmetric.upper, symmetric.log_loss),
        ("best pair", independent.lower, independent.upper, independent.log_loss),
    ):
        rows.append((name, f"{lower:.5g}", f"{upper:.5g}", f"{loss:.5f}"))
    return rows


def bounds_sentence(found: ClipReport) -> str:
    """Return a sentence on the bounds that are as good as the best."""
    low, high = found.interval
    return f"Symmetric bounds from {low:.3g} to {high:.3g} are as good as the best within noise."


def weak_slices(found: Sequence[Slice], measured: int | None) -> dict[str, Any] | None:
    """Return the rows, the scale and the sentence of the slices; None where there are none."""
    if not found:
        return None
    shown = found[:SLICES_SHOWN]
    most = charts.scale_of(shown)
    rows = []
    for one in shown:
        dot, low, high, rest = charts.places(one, most)
        error_low, error_high = one.error_interval
        rows.append(
            SliceLine(
                name=described(one), significant=one.stands_out, n=f"{one.n:,}",
                errors=f"{one.error_rate:.1%}", error_range=f"{error_low:.1%} to {error_high:.1%}",
                log_loss=f"{one.log_loss:.4f}", dot=dot, low=low, width=high - low, rest=rest,
            )
        )  # fmt: skip
    marked = sum(one.stands_out for one in found)
    return {
        "rows": rows,
        "most": f"{most:g}",
        "marked": f"{marked:,}" if marked else "None",
        "of": f"{len(found):,}",
        "measured": None if measured is None else f"{measured:,}",
    }
