"""Composes the page, section by section, from plain values and thumbnails."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from engine.analysis.slice_text import described
from engine.analysis.slices import Slice
from engine.html_report import charts
from engine.html_report.text import share, table, text

MATRIX_UP_TO, CLASSES_SHOWN, SLICES_SHOWN = 12, 8, 10
_STYLE = Path(__file__).with_name("style.css")
_CATEGORIES = {
    "most-incorrect": (
        "Most confident incorrect",
        "Incorrectly predicted {}, most confident first",
    ),
    "most-uncertain": ("Most uncertain", "Smallest margin first"),
    "random-incorrect": ("Random incorrect", "Random sample of all incorrect images"),
    "most-correct": ("Most confident correct", "Correctly predicted {}, most confident first"),
    "random-correct": ("Random correct", "Random sample of all correct images"),
}


@dataclass(frozen=True)
class Page:
    """The content of the page.

    Attributes
    ----------
    run, title, facts : the run's name, its display name, and further facts by name
    report, clip : the values of `report` and `clip`
    slices : highest loss first, None if the images could not be measured
    thumbnails : JPEG bytes by path; an image without a thumbnail is shown as unreadable
    measured : number of images in the slices, None for all
    """

    run: str
    title: str
    facts: Mapping[str, str]
    report: dict[str, Any]
    clip: dict[str, Any]
    slices: Sequence[Slice] | None
    thumbnails: Mapping[str, bytes]
    measured: int | None = None


def document(page: Page) -> str:
    """Return the page as one HTML document."""
    title = text(page.title or page.run)
    facts = " · ".join(f"{text(name)} {text(value)}" for name, value in page.facts.items() if value)
    parts = [
        "<header><p class=quiet>Second Look</p>"
        f"<h1>{title}</h1><p class=quiet>{facts}</p></header>",
        _figures(page.report),
        _category(page, "most-incorrect"),
        f'<div class="groups">{_category(page, "most-uncertain")}'
        f"{_category(page, 'random-incorrect')}</div>",
        f'<div class="two">{_confusion(page.report)}{_clip(page.clip)}</div>',
        _slices(page.slices, page.measured),
        _category(page, "most-correct"),
        _category(page, "random-correct"),
        f"<footer>Run {text(page.run)}. Intervals are 95 % bootstrap intervals; log losses use the "
        "natural logarithm. This file makes no network requests.</footer>",
    ]
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta http-equiv="Content-Security-Policy" content="default-src \'none\'; '
        "img-src data:; style-src 'unsafe-inline'\">"
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        '<meta name="referrer" content="no-referrer">'
        '<meta name="color-scheme" content="light dark">'
        f"<title>{title}</title><style>{_STYLE.read_text('utf-8')}</style></head>"
        f"<body><main>{''.join(parts)}</main></body></html>\n"
    )


def classes_shown(report: dict[str, Any]) -> list[str]:
    """Return the classes whose images are shown: all if few, else those with the most errors."""
    names: list[str] = report["class_names"]
    if len(names) <= CLASSES_SHOWN:
        return names
    counts = report["confusion_matrix"]
    wrong = {
        name: sum(row) - row[i] for i, (name, row) in enumerate(zip(names, counts, strict=True))
    }
    return sorted(sorted(names, key=lambda name: (-wrong[name], name))[:CLASSES_SHOWN])


def shown_images(report: dict[str, Any]) -> list[dict[str, Any]]:
    """Return every image that the page shows; an image may occur more than once."""
    found: list[dict[str, Any]] = []
    for images in report["categories"].values():
        if isinstance(images, dict):
            for name in classes_shown(report):
                found += images[name]
        else:
            found += images
    return found


def _figures(report: dict[str, Any]) -> str:
    counts = report["confusion_matrix"]
    wrong = sum(map(sum, counts)) - sum(row[i] for i, row in enumerate(counts))
    (a_low, a_high), (l_low, l_high) = report["accuracy_interval"], report["log_loss_interval"]
    cells = [
        ("Log loss", f"{report['log_loss']:.4f}", f"95 %: {l_low:.4f} to {l_high:.4f}"),
        ("Accuracy", share(report["accuracy"]), f"95 %: {share(a_low)} to {share(a_high)}"),
        ("Incorrect", f"{wrong:,}", f"of {report['n']:,} labelled images"),
        ("Calibration error", share(report["expected_calibration_error"]), "lower is better"),
    ]
    return '<section class="figures">' + "".join(
        f"<div><span>{name}</span><strong>{value}</strong><small>{note}</small></div>"
        for name, value, note in cells
    ) + "</section>"  # fmt: skip


def _confusion(report: dict[str, Any]) -> str:
    names = report["class_names"]
    if len(names) <= MATRIX_UP_TO:
        drawn = charts.matrix(names, report["confusion_matrix"])
    else:
        drawn = table(
            ("true", "predicted", "images"),
            (
                (text(pair["label"]), text(pair["predicted"]), f"{pair['count']:,}")
                for pair in report["most_confused"]
            ),
            "pairs",
        )
    return f"<section><h2>Confusion matrix</h2>{drawn}</section>"


def _clip(found: dict[str, Any]) -> str:
    rows = [
        ("none", "", "", f"{found['log_loss_before']:.5f}"),
        ("chosen", *_pair(found), f"{found['log_loss_after']:.5f}"),
    ]
    for kind, word in (("best_symmetric", "best symmetric"), ("best_independent", "best pair")):
        rows.append((word, *_pair(found[kind]), f"{found[kind]['log_loss']:.5f}"))
    low, high = found["gain_interval"]
    if found["best_symmetric"]["lower"] == 0:
        sentence = "No symmetric bounds are better than no clipping."
    else:
        sentence = f"Gain of the best symmetric bounds: 95 % interval {low:+.5f} to {high:+.5f}"
        sentence += "." if low > 0 else ", which includes zero: no clear difference."
    return (
        f"<section><h2>Clip bounds</h2>{charts.clip_curve(found)}"
        f"{table(('bounds', 'lower', 'upper', 'log loss'), rows)}"
        f"<p class=quiet>{sentence}</p></section>"
    )


def _slices(found: Sequence[Slice] | None, measured: int | None) -> str:
    if not found:
        return ""
    shown = list(found[:SLICES_SHOWN])
    most = charts.scale_of(shown)
    rows = [
        (
            text(described(s)) + (' <b class="mark">significant</b>' if s.stands_out else ""),
            f"{s.n:,}",
            f"{s.error_rate:.1%} <small>{_range(s.error_interval)}</small>",
            f"{s.log_loss:.4f}",
            charts.interval(s, most),
        )
        for s in shown
    ]
    marked = sum(s.stands_out for s in found)
    summary = f"{marked:,} of {len(found):,} slices are significant" if marked else (
        f"None of {len(found):,} slices is significant"
    )  # fmt: skip
    drawn = f" Measured on a random sample of {measured:,} images." if measured else ""
    head = (
        "slice",
        "images",
        "incorrect",
        "log loss",
        f"<span class=scale>0<i>{most:g}</i></span>",
    )
    return (
        f"<section><h2>Weak slices</h2><p class=quiet>{summary} after correction for multiple "
        "testing. The dot is the slice's log loss with its interval, the tick that of the other "
        f"images.{drawn}</p>{table(head, rows, 'slices')}</section>"
    )


def _category(page: Page, category: str) -> str:
    found = page.report["categories"][category]
    name, order = _CATEGORIES[category]
    groups = (
        [(order.format(text(c)), found[c]) for c in classes_shown(page.report)]
        if isinstance(found, dict)
        else [(order, found)]
    )
    drawn = "".join(_gallery(page, caption, images) for caption, images in groups if images)
    inside = drawn or "<p class=quiet>There are none.</p>"
    if len(groups) > 1 and drawn:
        inside = f'<div class="groups">{drawn}</div>'
    return f"<section><h2>{name}</h2>{inside}</section>"


def _gallery(page: Page, caption: str, images: Sequence[dict[str, Any]]) -> str:
    tiles = "".join(_tile(page, image) for image in images)
    return f'<div><p class=quiet>{caption}</p><div class="gallery">{tiles}</div></div>'


def _tile(page: Page, shown: dict[str, Any]) -> str:
    jpeg = page.thumbnails.get(shown["path"])
    source = f"data:image/jpeg;base64,{b64encode(jpeg).decode('ascii')}" if jpeg else ""
    image = f'<img src="{source}" alt="">' if jpeg else "<span>cannot be read</span>"
    right = shown["label"] == shown["predicted"]
    label = text(shown["label"]) if right else (
        f"{text(shown['label'])} → <b>{text(shown['predicted'])}</b>"
    )  # fmt: skip
    mark = "✓ correct" if right else "✕ incorrect"
    p = shown["probabilities"][shown["predicted"]]
    shown_p = ">0.999" if 0.9995 <= p < 1 else f"{p:.3f}"
    return (
        f'<figure class="{"right" if right else "wrong"}"><div>{image}<em>{mark}</em></div>'
        f"<figcaption><span>{label}</span><small>{text(shown['id'])}</small>"
        f"<small class=wraps>p {text(shown_p)} · loss {shown['log_loss']:.3f}</small>"
        "</figcaption></figure>"
    )


def _pair(found: dict[str, Any]) -> tuple[str, str]:
    return f"{found['lower']:.5g}", f"{found['upper']:.5g}"


def _range(interval: tuple[float, float]) -> str:
    return f"{interval[0]:.1%} to {interval[1]:.1%}"
