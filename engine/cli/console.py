"""Prints results for people in a terminal; names from files are shown as literal text."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from engine.text import plain


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


def print_result(as_json: bool, value: Any, draw: Callable[[Any], None]) -> None:
    """Print a command's result: one JSON document for a program, or drawn for a person."""
    if as_json:
        print(json.dumps(value, ensure_ascii=True, allow_nan=False))
    else:
        draw(value)


def literal(text: str) -> Text:
    """Return text that is not interpreted as markup."""
    return Text(plain(text))
