"""Texts of the Compare page: metrics with intervals, the table of agreement, and the blend."""

from __future__ import annotations

from dataclasses import replace

from markupsafe import Markup

from dashboard.shared.escape import literal, one_line
from dashboard.shared.html import rendered
from dashboard.shared.tables import RunSummary
from engine.analysis.compare import Comparison
from engine.competition.blend import PreparedBlend

Names = tuple[str, str]  # of the run and of the other one
_LONGEST = 40


def names_of(own: RunSummary, other: RunSummary) -> Names:
    """Return two names that tell the runs apart, without a display name their backbones."""
    unnamed = [run.title == run.name for run in (own, other)]
    if own.backbone != other.backbone or sum(unnamed) == 1:
        own, other = (
            replace(run, title=run.backbone) if run.title == run.name else run
            for run in (own, other)
        )
    titles = [one_line(run.title) for run in (own, other)]
    short = [title if len(title) <= _LONGEST else f"{title[: _LONGEST - 1]}…" for title in titles]
    return (own.name, other.name) if short[0] == short[1] else (short[0], short[1])


def verdict(found: Comparison, names: Names) -> Markup:
    """Return a sentence on which of the two runs is better."""
    difference, low, high = found.log_loss_difference
    if found.better is None:
        sentence = "No clear difference: these images do not show which run is better."
        if difference == 0:
            sentence = "No difference: both runs have the same log loss on these images."
    else:
        which = f"{names[found.better]} is better"
        least, most = sorted((abs(low), abs(high)))
        sentence = (
            f"{which}: its log loss is {abs(difference):.4f} lower (95 % interval {least:.4f} to "
            f"{most:.4f})."
        )
    return rendered(__file__, "verdict", sentence=sentence)


def figures(found: Comparison) -> list[tuple[str, ...]]:
    """Return rows of metric, both runs' values, difference and interval."""
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


def four(found: Comparison, names: Names) -> dict[str, str]:
    """Return what the four groups of images are, by group, as safe Markdown."""
    own, other = map(literal, names)
    return {
        "both-right": f"**{len(found.both_right):,}** Both correct",
        "fixed": f"**{len(found.fixed):,}** Fixed: only {own} is correct",
        "broken": f"**{len(found.broken):,}** Broken: only {other} is correct",
        "both-wrong": f"**{len(found.both_wrong):,}** Both incorrect",
    }


def significance(found: Comparison, names: Names) -> Markup:
    """Return the McNemar test, the agreement of the predictions and the images left out."""
    n = len(found.fixed) + len(found.broken)
    test = "mid-p" if found.mcnemar_exact else "chi-square"
    p = "< 0.0001" if found.mcnemar_p < 1e-4 else f"= {found.mcnemar_p:.3g}"
    sentence = "Both runs are correct on the same images. "
    if n:
        are = "is" if len(found.fixed) == 1 else "are"
        sentence = (
            f"Of {n:,} image{'s' * (n != 1)} that only one run predicts correctly, "
            f"{len(found.fixed):,} {are} correct in {names[0]} "
            f"(McNemar test, {test}: p {p}). "
        )
    sentence += f"Their predictions are equal for {found.agreement:.2%} of {found.n:,} images"
    sentence += "." if found.kappa is None else f", Cohen’s kappa {found.kappa:.3f}."
    for why, count in found.left_out.items():
        are = "image is" if count == 1 else "images are"
        sentence += f" {count:,} {are} left out: {why}."
    return rendered(__file__, "note", sentence=sentence)


def blended(prepared: PreparedBlend, names: Names) -> Markup:
    """Return the gain of the blend of both runs with its interval."""
    found = prepared.found
    gain, low, high = found.gain
    best = names[found.best]
    if found.weights.max() > 0.995:
        alone = names[int(found.weights.argmax())]
        sentence = f"The best blend is {alone} alone:"
        return rendered(
            __file__, "blended", sentence=sentence, conclusion="blending does not help."
        )
    weights = f"{found.weights[0]:.0%} of {names[0]} and {found.weights[1]:.0%} of {names[1]}"
    weights += f", of their {found.pool.kind}"
    if found.pays:
        change = f"lowers the log loss of {best} by {gain:.4f} (95 %: {low:.4f} to {high:.4f})"
        conclusion = "The gain is significant."
    elif high < 0:
        change = f"raises the log loss of {best} by {-gain:.4f} (95 %: {-high:.4f} to {-low:.4f})"
        conclusion = f"Keep {best}."
    else:
        change = (
            f"changes the log loss of {best} by {-gain:+.4f} (95 %: {-high:+.4f} to {-low:+.4f})"
        )
        conclusion = "No clear difference: these images do not show whether blending helps."
    least, most = found.weight_ranges[0]
    as_good = (
        "These images do not show which weights are best."
        if most - least > 0.95
        else f"From {least:.0%} to {most:.0%} of {names[0]} is as good within noise."
    )
    sentence = (
        f"The best blend is {weights}. {as_good} Cross-validated, the blend {change}, to "
        f"{found.cross_validated:.4f}."
    )
    return rendered(__file__, "blended", sentence=sentence, conclusion=conclusion)


def no_other(only: bool) -> str:
    """Return why there is nothing to compare with; ``only`` is whether there is no other run."""
    why = "This is your only run." if only else "No other run has the same classes."
    return (
        f"{why} Compare says which of two models is better and whether that is noise, shows the "
        "images on which they differ, and blends them: fit a second model on the same images."
    )
