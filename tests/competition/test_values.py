"""Written values: within the bounds, in order, and without losing digits."""

from __future__ import annotations

from decimal import Decimal

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from engine.competition.cells import probability_cells
from engine.competition.submission_csv import to_csv
from engine.errors import UserError
from tests.support.submission_tables import check, failed, table, table_of_three, values_of


@pytest.mark.parametrize(
    ("lower", "upper"), [(0.5, 0.5), (0.9, 0.1), (-0.1, 1), (0, 1.1), (np.nan, 1)]
)
def test_bounds_that_are_none_are_refused(lower, upper):
    with pytest.raises(UserError, match="^(lower|upper)=|^The lower bound .* must be smaller"):
        check(table({"1": 0.5}), lower=lower, upper=upper)


def test_a_probability_that_float32_rounded_to_one_is_clipped():
    p = float(np.float32(1 - 1e-9))
    assert p == 1.0
    assert values_of(check(table({"1": p}), upper=1 - 1e-7)) == [["0.9999999"]]


@pytest.mark.parametrize(
    ("p", "lower", "text"),
    [
        (0.0, 1e-7, "0.0000001"),
        (1.0, 1e-7, "0.9999999"),
        (1.23456789e-4, 1e-7, "0.000123457"),
        (1 - 1.23456789e-4, 1e-7, "0.999876543"),
        (0.446119999, 0.025, "0.44612"),
        (0.0, 0.0251234567, "0.0251235"),
        (0.0, 0.0251234321, "0.0251234321"),
        (0.0, 0.0, "0.00000"),
        (1.0, 0.0, "1.00000"),
        (1e-30, 0.0, "0." + "0" * 29 + "1"),
    ],
)
def test_values_have_the_digits_they_need_and_no_exponent(p, lower, text):
    submission = check(table({"1": p}), lower=lower, upper=1 - lower)
    assert values_of(submission) == [[text]] and submission.ok


@given(
    st.lists(st.floats(0, 1), min_size=1, max_size=30),
    st.floats(0, 0.4),
    st.floats(0.6, 1),
    st.booleans(),
)
@example([0.0, 1.0], 0.02512345678, 0.97512345678, True)
def test_written_values_keep_bounds_order_and_six_digits(values, lower, upper, other):
    predictions = table({f"{i:02}": p for i, p in enumerate(values)})
    submission = check(predictions, lower=lower, upper=upper, positive=int(not other))
    assert submission.ok
    texts = values_of(submission)[0]
    written = [Decimal(text) for text in texts]
    assert all(set(text) <= set("0123456789.") for text in texts)
    assert all(len(text.partition(".")[2]) >= 5 for text in texts)
    kept = predictions.probabilities[:, int(not other)].clip(lower, upper)
    assert all(lower <= float(value) <= upper for value in written)
    for value, p in zip(written, kept.tolist(), strict=True):
        for exact, shown in ((Decimal(p), value), (1 - Decimal(p), 1 - value)):
            assert abs(shown - exact) <= Decimal("5.1e-6") * exact
    in_order = np.argsort(kept, kind="stable")
    assert all(written[a] <= written[b] for a, b in zip(in_order[:-1], in_order[1:], strict=True))


@given(st.lists(st.lists(st.floats(0, 1), min_size=3, max_size=3), min_size=1, max_size=9))
def test_many_classes_are_clipped_and_renormalised(rows):
    p = np.array(rows) + 1e-9
    p /= p.sum(axis=1, keepdims=True)
    ids = [f"{i}" for i in range(len(p))]
    submission = check(table_of_three(dict(zip(ids, map(tuple, p), strict=True))), lower=0.01)
    limited = p.clip(0.01, 1)
    expected = limited / limited.sum(axis=1, keepdims=True)
    written = np.array(values_of(submission), dtype=float).T
    np.testing.assert_allclose(written, expected, rtol=5.1e-6)
    assert submission.ok


def test_the_bounds_check_sees_a_value_written_past_its_bound(monkeypatch):
    rounded = lambda values, lower, upper: pa.array([f",{v:.5f}" for v in values.flat])  # noqa: E731
    monkeypatch.setattr("engine.competition.values.probability_cells", rounded)
    submission = check(table({"1": 0.0, "2": 0.5}), lower=1e-7, upper=1 - 1e-7)
    assert failed(submission) == ["bounds"] and submission.checks[4].ids == ("1",)


@given(
    st.lists(
        st.floats(0, 1)
        | st.integers(0, 2 * 10**6).map(lambda half: half / (2 * 10**6))  # ties
        | st.floats(0, 1e-3).map(lambda gap: 1 - gap),
        max_size=30,
    )
)
@example([0.0, 1.0, 5e-324, 1e-18, 1e-19, 1 - 2**-53, 0.25, 0.0000025, 0.1234565])
def test_values_are_written_as_python_rounds_them(values):
    def written(p: float) -> str:
        near = min(p, 1 - p)
        decimals = 5 - int(np.floor(np.log10(near))) if near > 0 else 5
        return f"{p:.{decimals}f}".rstrip("0").ljust(7, "0")

    cells = probability_cells(np.array([values]).T, np.zeros(1), np.ones(1)).to_pylist()
    assert cells == ["," + written(p) for p in values]


def test_blocks_of_rows_make_one_file(monkeypatch, sample):
    ids = [f"{n}" for n in range(23)]
    drawn = np.random.default_rng(0).random(23)
    predictions = table(dict(zip(ids, drawn, strict=True)))
    asked = sample("id,label\n" + "".join(f"{id},0\n" for id in [*ids[::-1], "lost", "none"]))
    options = {"quarantined": [("lost", "test/lost.jpg")], "base_rate": np.array([0.25, 0.75])}
    whole = check(predictions, asked, **options)
    monkeypatch.setattr("engine.competition.submission._BLOCK_VALUES", 8)
    parts = check(predictions, asked, **options)
    assert to_csv(parts) == to_csv(whole) and parts.checks == whole.checks
    assert values_of(parts)[0][-2:] == ["0.75000", ""] and len(parts.lines) == 7
