"""Texts of the Compare page: metrics with intervals, the table of agreement, and the blend."""

from __future__ import annotations

from dashboard.shared.escape import literal_html
from engine.analysis.compare import Comparison
from engine.competition.blend import PreparedBlend

STYLE = """<style>
.sl-four {display: grid; grid-template-columns: auto minmax(0, 1fr) minmax(0, 1fr); gap: 4px;
  font-size: .93rem;}
.sl-four > span {font-size: .85rem; opacity: .68; padding: 3px 6px; align-self: center;}
.sl-four > span.top {text-align: center;}
.sl-four > div {border-radius: 5px; padding: 16px 8px; text-align: center;
  background: color-mix(in srgb, currentColor 6%, transparent);}
.sl-four > div.one {background: color-mix(in srgb, currentColor 13%, transparent);}
.sl-four > div.bad {background: color-mix(in srgb, var(--sl-accent) 22%, transparent);}
.sl-four b {display: block; font-size: 1.45rem; font-weight: 550; line-height: 1.2;}
.sl-four small {opacity: .75;}
.sl-verdict {font-size: 1.02rem; font-weight: 600; margin: 2px 0 0; max-width: 60rem;
  overflow-wrap: anywhere;}
</style>"""


def verdict(found: Comparison) -> str:
    """Return a sentence on which of the two runs is better."""
    difference, low, high = found.log_loss_difference
    if found.better is None:
        sentence = "No clear difference: these images do not show which run is better."
        if difference == 0:
            sentence = "No difference: both runs have the same log loss on these images."
    else:
        which = "This run is better" if found.better == 0 else "The other run is better"
        least = min(abs(low), abs(high))
        sentence = (
            f"{which}: its log loss is {abs(difference):.4f} lower (95 % confidence: at least "
            f"{least:.4f})."
        )
    return f'{STYLE}<p class="sl-verdict">{sentence}</p>'


def figures(found: Comparison) -> list[tuple[str, ...]]:
    """Return rows of metric, this run, other run, difference and interval."""
    rows = []
    for name, values, difference, form in (
        ("Log loss", found.log_loss, found.log_loss_difference, "{:.4f}"),
        ("Accuracy", found.accuracy, found.accuracy_difference, "{:.2%}"),
    ):
        signed = form.replace(":", ":+")
        low, high = (signed.format(end) for end in difference[1:])
        interval = f"{low.rstrip('%')} to {high}"
        rows.append((name, *map(form.format, values), signed.format(difference[0]), interval))
    return rows


def four(found: Comparison) -> str:
    """Return the 2 × 2 table of correct and incorrect images in both runs."""
    cells = (
        ("", "Both correct", len(found.both_right)),
        ("one", "Fixed: only this run is correct", len(found.fixed)),
        ("bad", "Broken: only the other run is correct", len(found.broken)),
        ("", "Both incorrect", len(found.both_wrong)),
    )
    drawn = [
        f'<div class="{kind}"><b>{n:,}</b><small>{words}</small></div>' for kind, words, n in cells
    ]
    return (
        '<div class="sl-four"><span></span><span class="top">other run correct</span>'
        '<span class="top">other run incorrect</span>'
        f"<span>this run correct</span>{drawn[0]}{drawn[1]}"
        f"<span>this run incorrect</span>{drawn[2]}{drawn[3]}</div>"
    )


def chance(found: Comparison) -> str:
    """Return the McNemar test, the agreement of the predictions and the images left out."""
    n = len(found.fixed) + len(found.broken)
    test = "exact binomial" if found.mcnemar_exact else "chi-square with continuity correction"
    p = found.mcnemar_p
    sentence = "Both runs are correct on the same images. "
    if n:
        sentence = (
            f"Of {n:,} images that only one run predicts correctly, {len(found.fixed):,} are "
            f"correct in this run (McNemar test, {test}: p = {p:.3g}). "
        )
    sentence += f"Their predictions are equal for {found.agreement:.2%} of {found.n:,} images"
    sentence += "." if found.kappa is None else f", Cohen’s kappa {found.kappa:.3f}."
    for why, count in found.left_out.items():
        sentence += f" {count:,} left out: {why}."
    return f'<p class="sl-dim sl-text">{literal_html(sentence)}</p>'


def blended(prepared: PreparedBlend) -> str:
    """Return the gain of the blend of both runs with its interval."""
    found = prepared.found
    gain, low, high = found.gain
    best = "this run" if found.best == 0 else "the other run"
    if found.weights.max() > 0.995:
        alone = ("this run", "the other run")[int(found.weights.argmax())]
        return f"The best blend is {alone} alone: <b>blending does not help.</b>"
    weights = f"{found.weights[0]:.0%} of this run and {found.weights[1]:.0%} of the other"
    if found.pays:
        word = f"lowers the log loss of {best} by {gain:.4f}"
        judged = "The gain is significant."
    elif high < 0:
        word = f"has a log loss {-gain:.4f} higher than {best} alone"
        judged = f"Keep {best}."
    else:
        word = f"changes the log loss of {best} by {-gain:+.4f}"
        judged = "No clear difference: these images do not show whether blending helps."
    return (
        f"The best blend is {weights}. Cross-validated, it {word}, with a log loss of "
        f"{found.cross_validated:.4f} (95 %: {low:+.4f} to {high:+.4f}). <b>{judged}</b>"
    )
