"""`report`: metrics, the confusion matrix and the five categories."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.text import Text

from engine.cli.console import columns, console, literal, print_result
from engine.cli.options import AsJson, OnScored, RunName
from engine.cli.predict import draw_predicted, predicted_values
from engine.cli.progress import watching


def report(
    run: RunName,
    n: Annotated[int, typer.Option(min=1, help="Number of images per category.")] = 4,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the random categories.")] = 0,
    html: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Also write the report as one HTML file.")
    ] = None,
    on: OnScored = None,
    as_json: AsJson = False,
) -> None:
    """Show metrics, the confusion matrix and the five categories of a run's labelled images."""
    from engine.data.sealing import SEALED
    from engine.library.run_list import opened
    from engine.runs.sealed_images import sealed_images

    found = opened(run).report(n, seed, on.value if on else None)
    value = {"run": found.run.name, "on": found.split, **found.as_json()}
    value["network"] = found.run.config.network
    value["precision"] = found.run.config.precision_sentence
    value["predicted"] = predicted_values(found.run)
    options = found.run.config.options
    value["class_weight"] = options.class_weight if options else "none"
    if found.split == SEALED:
        value["left_out"] = len(sealed_images(found.run)) - found.n
    if html is not None:
        with watching() as watcher:
            value["html"] = str(found.write_html(html, watcher.progress))
    print_result(as_json, value, _draw)


def _draw(value: dict[str, Any]) -> None:
    """Print the metrics, the confusion matrix and the categories."""
    from engine.analysis.intervals import image_count_text

    out = console()
    names = value["class_names"]
    images = image_count_text(value["n"], value["n_groups"])
    out.print(Text.assemble(("run ", "dim"), (value["run"], "bold"), f"   {images}"))
    out.print(literal(value["network"]), style="dim")
    if value["precision"]:
        out.print(literal(value["precision"]), style="dim")
    if value["on"] == "sealed":
        out.print(
            "The fit and its choices did not use these images. If you choose by this score, it "
            "becomes as optimistic as the others.",
            style="dim",
        )
        if left := value["left_out"]:
            out.print(f"{left:,} sealed images cannot be decoded and are left out", style="yellow")
    for key, title in (("accuracy", "accuracy"), ("log_loss", "log loss")):
        low, high = value[f"{key}_interval"]
        out.print(f"{title:<18} [bold]{value[key]:.4f}[/]   95 % interval {low:.4f} to {high:.4f}")
    calibrated = value["calibration_error_if_calibrated"]
    out.print(
        f"{'calibration error':<18} {value['expected_calibration_error']:.4f}   calibrated "
        f"models: about {calibrated['mean']:.4f}, rarely over "
        f"{calibrated['percentile_95']:.4f}"
    )
    if value["class_weight"] != "none":
        out.print(
            f"class weights {value['class_weight']}: probabilities are not frequencies; "
            "a correction on the Clip page calibrates them"
        )

    if len(names) <= 12:
        matrix = columns("true \\ predicted", *names, "precision", "recall")
        for name, row in zip(names, value["confusion_matrix"], strict=True):
            scores = value["per_class"][name]
            matrix.add_row(
                literal(name), *(f"{count:,}" for count in row),
                _share(scores, "precision"), _share(scores, "recall"),
            )  # fmt: skip
        out.print(matrix)
    else:
        pairs = columns("true", "predicted", "images")
        for pair in value["most_confused"]:
            pairs.add_row(literal(pair["label"]), literal(pair["predicted"]), str(pair["count"]))
        out.print(pairs)
    for category, found in value["categories"].items():
        by_class = found if isinstance(found, dict) else {"": found}
        if len(by_class) > 12:
            every = [entry for images in by_class.values() for entry in images]
            every.sort(key=lambda entry: -entry["probabilities"][entry["predicted"]])
            by_class = {"of all classes": every[:12]}
        for name, images in by_class.items():
            _draw_images(out, f"{category} {name}".strip(), images)
    draw_predicted(out, value["predicted"])
    if "html" in value:
        out.print(literal(value["html"]), style="bold", soft_wrap=True)


def _draw_images(out: Console, title: str, images: list[dict[str, Any]]) -> None:
    table = columns(title, "true", "predicted", "p(predicted)", "log loss")
    for entry in images:
        p = entry["probabilities"][entry["predicted"]]
        loss = entry["log_loss"]
        table.add_row(
            literal(entry["path"]), literal(entry["label"] or "?"), literal(entry["predicted"]),
            f"{p:.4f}", "" if loss is None else f"{loss:.4f}",
        )  # fmt: skip
    out.print(table)


def _share(scores: dict[str, Any], name: str) -> str:
    if scores[name] is None:
        return ""
    low, high = scores[f"{name}_interval"]
    return f"{scores[name]:.4f} ({low:.3f} to {high:.3f})"
