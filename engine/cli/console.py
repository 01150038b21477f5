"""Prints results for people in a terminal; names from files are shown as literal text."""

from __future__ import annotations

from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from engine.runs.predicted import PredictedTable
from engine.text import plain


def demo(value: dict[str, Any]) -> None:
    """Print the counts of drawn images."""
    out = console()
    out.print(f"{value['train']:,} train and {value['test']:,} test images in", end=" ")
    out.print(literal(value["folder"]))
    table = columns("planted difficulty", "images")
    for kind, count in value["planted"].items():
        table.add_row(kind, f"{count:,}")
    out.print(table)
    out.print(
        Text("planted.csv lists the difficult images and what is wrong with each."), style="dim"
    )


def download(value: dict[str, Any]) -> None:
    """Print the downloaded files and their folder."""
    out = console()
    table = columns("file", "bytes")
    for file in value["files"]:
        table.add_row(literal(file["name"]), f"{file['bytes']:,}")
    out.print(table)
    if value["kept"]:
        out.print(f"{len(value['kept']):,} of them existed already", style="dim")
    out.print(literal(value["folder"]), style="bold", soft_wrap=True)
    out.print(literal(f"Next: second-look fit {value['folder']}"), style="dim")


def fit(value: dict[str, Any]) -> None:
    """Print a run's name, counts and scores."""
    out = console()
    n = value["n"]
    out.print(Text.assemble(("run ", "dim"), (value["run"], "bold")))
    out.print(
        f"{n['train']:,} train, {n['valid']:,} valid, {n['test']:,} test, "
        f"{n['quarantined']:,} quarantined"
    )
    if value["valid"]:
        out.print(
            f"valid accuracy [bold]{value['valid']['accuracy']:.4f}[/]   "
            f"valid log loss [bold]{value['valid']['log_loss']:.4f}[/]"
        )
    if folds := value.get("folds"):
        out.print(
            f"out of fold, all {folds['n']:,} in {folds['k']} folds: accuracy "
            f"[bold]{folds['accuracy']:.4f}[/]   log loss [bold]{folds['log_loss']:.4f}[/]"
        )
    if corrections := value.get("corrections"):
        _corrected(out, corrections, value.get("change"))
    if "seconds" in value:
        stages = ", ".join(f"{k} {v:.1f}" for k, v in value["seconds"].items() if k != "total")
        out.print(
            f"{value['forward_passes']:,} forward passes, {value['images_per_second']:,.0f} "
            f"images/s; {value['seconds']['total']:.1f} s ({stages})",
            style="dim",
        )
    if check := value.get("precision_check"):
        out.print(
            f"against float32, {check['images']:,} valid images: probabilities within "
            f"{check['largest_probability_change']:.2g}, log loss {check['log_loss_change']:+.2g}",
            style="dim",
        )
    for path, note in list(value.get("notes", {}).items())[:5]:
        out.print(literal(f"{path}: {note}"), style="yellow")
    for group in value.get("duplicates", [])[:5]:
        out.print(literal(f"identical: {', '.join(group['paths'][:4])}"), style="yellow")
    out.print(Text(f"Next: second-look report {value['run']}"), style="dim")


def _corrected(out: Console, made: dict[str, int], change: dict[str, Any] | None) -> None:
    out.print(f"by verdicts {made['relabelled']:,} relabelled, {made['dropped']:,} left out")
    if change is None:
        out.print("no run without verdicts to compare with; run the same fit without --verdicts")
        return
    low, high = change["interval"]
    result = "better" if low > 0 else "worse" if high < 0 else "no clear difference"
    out.print(
        f"on {change['n']:,} images with one fixed set of labels: log loss "
        f"{change['log_loss_before']:.4f} → [bold]{change['log_loss_after']:.4f}[/], gain "
        f"{change['difference']:+.4f}, 95 % {low:+.4f} to {high:+.4f} ({result})"
    )
    out.print(literal(f"against run {change['against']}, {change['split']}"), style="dim")


def predict(value: dict[str, Any]) -> None:
    """Print the counts and scores of new predictions."""
    out = console()
    out.print(
        f"{value['n']:,} predicted, {value['quarantined']:,} quarantined, "
        f"{value['forward_passes']:,} forward passes"
    )
    if value.get("log_loss") is not None:
        out.print(f"accuracy {value['accuracy']:.4f}   log loss {value['log_loss']:.4f}")
    out.print(literal(value["file"]), style="dim", soft_wrap=True)


def report(value: dict[str, Any]) -> None:
    """Print the metrics, the confusion matrix and the categories."""
    out = console()
    names = value["class_names"]
    out.print(Text.assemble(("run ", "dim"), (value["run"], "bold"), f"   n = {value['n']:,}"))
    for key, title in (("accuracy", "accuracy"), ("log_loss", "log loss")):
        low, high = value[f"{key}_interval"]
        out.print(f"{title:<18} [bold]{value[key]:.4f}[/]   95 % interval {low:.4f} to {high:.4f}")
    out.print(f"{'calibration error':<18} {value['expected_calibration_error']:.4f}")

    if len(names) <= 12:
        matrix = columns("true \\ predicted", *names, "precision", "recall")
        for name, row in zip(names, value["confusion_matrix"], strict=True):
            scores = value["per_class"][name]
            matrix.add_row(
                literal(name), *(f"{count:,}" for count in row),
                _share(scores["precision"]), _share(scores["recall"]),
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
            _images(out, f"{category} {name}".strip(), images)
    _predicted(out, value["predicted"])
    if "html" in value:
        out.print(literal(value["html"]), style="bold", soft_wrap=True)


def clip(value: dict[str, Any]) -> None:
    """Print the effect of the bounds."""
    out = console()
    before, after = value["log_loss_before"], value["log_loss_after"]
    out.print(
        f"bounds {value['lower']:g} to {value['upper']:g}: log loss {before:.5f} → "
        f"[bold]{after:.5f}[/] ({after - before:+.5f})"
    )
    touched, cost = value["touched"], value["wrong_cost"]
    out.print(
        f"predictions changed by clipping: {touched['below']:,} below, {touched['above']:,} above, "
        f"of {touched['of']:,}"
    )
    if cost["log_loss"] is not None:
        out.print(
            f"one confident error among {cost['n']:,} images adds {cost['log_loss']:.6f} to the "
            "log loss at these bounds"
        )
    table = columns("best on this validation set", "lower", "upper", "log loss")
    for kind in ("symmetric", "independent"):
        best = value[f"best_{kind}"]
        table.add_row(
            kind, f"{best['lower']:.5f}", f"{best['upper']:.5f}", f"{best['log_loss']:.5f}"
        )
    out.print(table)
    low, high = value["interval"]
    gain_low, gain_high = value["gain_interval"]
    out.print(f"best symmetric bound, 95 % bootstrap interval: {low:.5f} to {high:.5f}")
    if value["best_symmetric"]["lower"] == 0:
        out.print("on this validation set, no symmetric bounds are better than no clipping")
        return
    verdict = "better" if gain_low > 0 else "no clear difference: zero lies inside"
    out.print(f"gain over no clipping: {gain_low:+.5f} to {gain_high:+.5f} ({verdict})")


def submit(value: dict[str, Any]) -> None:
    """Print the checks and the path of the file."""
    out = console()
    for check in value["checks"]:
        mark = {True: "[green]passed[/]", False: "[red]failed[/]"}.get(
            check["passed"], "[yellow]open[/]  "
        )
        out.print(f"{mark}  {check['name']:<16}", literal(check["message"]), soft_wrap=True)
    out.print(f"{value['rows']:,} rows, P within {value['lower']:g} to {value['upper']:g}")
    out.print(literal(value["file"]), style="bold", soft_wrap=True)
    if sent := value["kaggle"]:
        _sent(out, sent)


def _sent(out: Console, sent: dict[str, Any]) -> None:
    was = "sent" if sent["new"] else "had been sent before, not sent again"
    out.print(literal(f"Kaggle: {sent['competition']}, submission {sent['ref']} {was}"))
    if sent["score"] is None:
        out.print("not scored yet; run the same command again to check the score", style="dim")
        return
    expected = sent["valid_log_loss"]
    beside = ""
    if expected is not None:
        beside = f"   valid log loss {expected:.5f}   gap {sent['score'] - expected:+.5f}"
    out.print(f"public score [bold]{sent['score']:.5f}[/]{beside}")


def runs(value: list[dict[str, Any]]) -> None:
    """Print the table of runs."""
    out = console()
    if not value:
        out.print("No runs yet; start with: second-look demo demo --fit")
        return
    table = columns("run", "name", "status", "accuracy", "log loss")
    for line in value:
        table.add_row(
            literal(line["run"]), literal(line["name"] or ""), line["status"],
            *("" if line[key] is None else f"{line[key]:.4f}" for key in ("accuracy", "log_loss")),
        )  # fmt: skip
    out.print(table)
    for line in value:
        if line["predicted"]:
            out.print(literal(line["run"]), style="dim")
            _predicted(out, line["predicted"])


def _predicted(out: Console, tables: list[dict[str, Any]]) -> None:
    for table in tables:
        text = f"predicted: {PredictedTable(**table).line}"
        out.print(literal(text), style="dim", soft_wrap=True)


def swept(value: dict[str, int]) -> None:
    """Print what ``runs --clean`` removed."""
    out = console()
    out.print(
        f"Freed {value['bytes'] / 1e6:,.1f} MB: caches of earlier decoding rules "
        f"({value['caches']:,}) and temporary files ({value['temporary']:,})."
    )
    if value["in_use"]:
        out.print(f"{value['in_use']} are in use and were left; clean again later.")


def _images(out: Console, title: str, images: list[dict[str, Any]]) -> None:
    table = columns(title, "true", "predicted", "p(predicted)", "log loss")
    for entry in images:
        p = entry["probabilities"][entry["predicted"]]
        loss = entry["log_loss"]
        table.add_row(
            literal(entry["path"]), literal(entry["label"] or "?"), literal(entry["predicted"]),
            f"{p:.4f}", "" if loss is None else f"{loss:.4f}",
        )  # fmt: skip
    out.print(table)


def console() -> Console:
    """Return the console that prints results."""
    return Console(highlight=False)


def columns(*titles: str) -> Table:
    """Return an empty table whose first column is text and whose other columns hold figures."""
    table = Table(box=None, header_style="dim", pad_edge=False, padding=(0, 3, 0, 0))
    for index, title in enumerate(titles):
        number = index > 0 and title not in ("true", "predicted", "name", "status")
        table.add_column(literal(title), justify="right" if number else "left")
    return table


def literal(text: str) -> Text:
    """Return text that is not interpreted as markup."""
    return Text(plain(text))


def _share(value: float | None) -> str:
    return "" if value is None else f"{value:.4f}"
