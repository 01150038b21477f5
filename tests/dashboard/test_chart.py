"""The table behind a chart as CSV, and every chart of a page with its button."""

from __future__ import annotations

import csv
import io

import numpy as np
import plotly.graph_objects as go

from dashboard.shared.chart import csv_of
from dashboard.shared.plot_style import plain
from tests.support.pages import opened


def rows(content: bytes) -> list[list[str]]:
    return list(csv.reader(io.StringIO(content.decode())))


def test_the_points_of_a_figure_are_its_table():
    figure = go.Figure()
    figure.add_scatter(name=plain("a & b"), x=np.array([1.0, 2.0]), y=[0.5, 0.25])
    figure.add_bar(x=[1], y=[3])
    figure.update_xaxes(title_text=plain("P(<b>)"))
    assert rows(csv_of(figure)) == [
        ["series", "P(<b>)", "y"], ["a & b", "1.0", "0.5"], ["a & b", "2.0", "0.25"],
        ["series 2", "1", "3"],
    ]  # fmt: skip
    assert rows(csv_of(figure, {"from": [0, 1], "n": [5, 6]})) == [
        ["from", "n"], ["0", "5"], ["1", "6"],
    ]  # fmt: skip


def test_every_chart_can_be_downloaded(make_run):
    run = make_run(n=60)
    for page, count in (("overview", 5), ("clip", 2), ("submit", 1)):
        app = opened(page, run)
        assert not app.exception
        charts = [each for each in app.get("plotly_chart")]
        buttons = [each for each in app.get("download_button") if each.key.endswith("_csv")]
        assert len(charts) == len(buttons) == count
