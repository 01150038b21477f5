"""Verdicts: the last word stands, taking back is the identity, any text and any kill survive."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from engine.errors import UserError
from engine.runs.verdict_effects import amended, applied, identical_images
from engine.runs.verdicts import (
    BOTH,
    CAUSES,
    FINE,
    HARD,
    NEITHER,
    VERDICTS,
    WRONG,
    Verdict,
    Verdicts,
    load_verdicts,
    save_verdict,
    undo_verdict,
    verdicts_path,
)
from tests.support.paths import ROOT

A, B, C = (hashlib.sha256(name).hexdigest() for name in (b"a", b"b", b"c"))
ANY_TEXT = st.text(st.characters(codec=None), max_size=30)
WORDS = st.one_of(
    st.builds(
        Verdict, st.sampled_from([A, B]), st.sampled_from([v for v in VERDICTS if v != WRONG]),
        cause=st.sampled_from(["", *CAUSES]), path=ANY_TEXT, reviewer=ANY_TEXT.filter(bool),
    ),
    st.builds(
        Verdict, st.sampled_from([A, B]), st.just(WRONG), ANY_TEXT.filter(bool), path=ANY_TEXT,
        reviewer=ANY_TEXT.filter(bool),
    ),
)  # fmt: skip
IN_ONE_FOLDER = settings(
    max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


LABELS = ("", "cat", "dog")
KEYS = st.tuples(st.sampled_from([A, B]), st.sampled_from(LABELS))


@IN_ONE_FOLDER
@given(st.lists(st.one_of(st.tuples(WORDS, st.sampled_from(LABELS)), KEYS), max_size=10))
def test_what_stands_is_what_a_stack_for_each_image_and_label_holds(workspace, steps):
    verdicts_path().unlink(missing_ok=True)
    stacks: dict[tuple[str, str], list[Verdict | None]] = {}

    def top(sha256: str, label: str) -> Verdict | None:
        own = stacks.get((sha256, label))
        return own[-1] if own else (stacks.get((sha256, "")) or [None])[-1]

    for what, label in steps:
        if isinstance(what, Verdict):
            said = save_verdict(replace(what, given=label))
            stacks.setdefault((said.sha256, label), []).append(said)
            continue
        before = top(what, label)
        assert undo_verdict(what, label) == before
        if before is not None:
            own = stacks.setdefault((what, label), [])
            own.pop() if own else own.append(None)  # one without a label fits no more here
    known = load_verdicts()
    for sha256 in (A, B):
        for label in LABELS:
            assert known.of(sha256, label) == top(sha256, label)
    assert len(known) == sum(bool(stack and stack[-1]) for stack in stacks.values())


def test_of_identical_images_each_label_has_its_own_verdict():
    cat = save_verdict(Verdict(A, WRONG, "dog", given="cat"))
    dog = save_verdict(Verdict(A, FINE, given="dog"))
    assert load_verdicts().standing == {(A, "cat"): cat, (A, "dog"): dog}
    labels, single = applied(["cat", "dog"], [A, A], ("cat", "dog"), load_verdicts())
    assert labels == ["dog", "dog"] and single == [True, True]
    undo_verdict(A, "dog")
    assert load_verdicts().standing == {(A, "cat"): cat}


def test_a_verdict_of_an_earlier_version_fits_any_label_and_is_undone_for_one():
    values = {"sha256": A, "verdict": HARD, "label": "", "cause": "scale", "path": "x.jpg"}
    verdicts_path().parent.mkdir(parents=True)
    verdicts_path().write_text(json.dumps(values | {"reviewer": "Ada", "time": "now"}) + "\n")
    old = load_verdicts().of(A, "cat")
    assert old and old.cause == "scale" and load_verdicts().of(A, "dog") == old
    assert undo_verdict(A, "cat") == old
    assert load_verdicts().of(A, "cat") is None and load_verdicts().of(A, "dog") == old


def test_twins_have_the_label_that_the_data_give_them():
    rows = [
        ("a", A, "dog", "cat"),
        ("b", A, "dog", None),
        ("c", B, "dog", None),
        ("d", A, None, None),
    ]
    images = pd.DataFrame(rows, columns=["id", "sha256", "label", "given"]).assign(
        split="train", path="x.jpg"
    )
    assert [(twin.id, twin.given) for twin in identical_images(images, "b")] == [("a", "cat")]
    assert [(twin.id, twin.given) for twin in identical_images(images, "a")] == [("b", "dog")]
    assert identical_images(images, "c") == identical_images(images, "d") == []


@IN_ONE_FOLDER
@given(WORDS)
def test_any_text_comes_back_as_it_was_and_taking_back_is_the_identity(workspace, verdict):
    before = load_verdicts()
    kept = save_verdict(verdict)
    assert replace(kept, time="") == verdict and kept.time
    assert load_verdicts().of(verdict.sha256, "") == kept
    undo_verdict(verdict.sha256)
    assert load_verdicts() == before
    assert all(json.loads(line) for line in verdicts_path().read_bytes().splitlines())


def test_a_verdict_says_only_what_a_verdict_can_say():
    for bad in (
        Verdict("../../etc", FINE), Verdict(A.upper(), FINE), Verdict(A, "wrong"),
        Verdict(A, WRONG), Verdict(A, BOTH, "cat"), Verdict(A, HARD, cause="bad luck"),
    ):  # fmt: skip
        with pytest.raises(UserError):
            save_verdict(bad)
    assert not verdicts_path().exists()


def test_the_reviewer_is_named_by_the_environment_else_the_user(monkeypatch):
    monkeypatch.setenv("SECONDLOOK_REVIEWER", "Ada")
    assert save_verdict(Verdict(A, FINE)).reviewer == "Ada"
    assert save_verdict(Verdict(A, FINE, reviewer="Grace")).reviewer == "Grace"


def test_half_a_line_and_foreign_lines_are_passed_over(workspace):
    first = save_verdict(Verdict(A, HARD, cause="scale"))
    whole = verdicts_path().read_bytes()
    strange = b'{"sha256": 3}\nnull\n[[[\n{"undo": true}\n{"sha256": ["x"], "undo": true}\n\xff\n'
    deep = b"[" * 100_000 + b"\n"
    verdicts_path().write_bytes(whole + strange + deep + whole[: len(whole) // 2])
    assert load_verdicts().standing == {(A, ""): first}
    second = save_verdict(Verdict(B, FINE))  # begins on a line of its own
    assert load_verdicts().standing == {(A, ""): first, (B, ""): second}
    for cut in range(len(whole)):
        verdicts_path().write_bytes(whole[:cut])
        assert len(load_verdicts()) == (cut == len(whole) - 1)


def test_killed_while_writing_every_verdict_that_was_kept_is_there(workspace):
    script = """
import os, signal
from engine.runs import verdicts
for i in range(100):
    verdicts.save_verdict(verdicts.Verdict(f"{i:064x}", "fine"))
    print(i, flush=True)
    if i == 20:
        write = os.write
        def half(handle, line):
            write(handle, line[:len(line) // 2])
            os.kill(os.getpid(), signal.SIGKILL)
        verdicts.os.write = half
"""
    killed = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, env=os.environ.copy(), capture_output=True
    )
    assert killed.returncode == -9
    kept = [int(line) for line in killed.stdout.split()]
    assert kept == list(range(21))
    assert not verdicts_path().read_bytes().endswith(b"\n")
    assert sorted(load_verdicts().standing) == [(f"{i:064x}", "") for i in kept]
    save_verdict(Verdict(A, FINE))
    assert len(load_verdicts()) == 22


def test_several_at_once_lose_nothing(workspace):
    names = [f"{i:064x}" for i in range(40)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda name: save_verdict(Verdict(name, FINE)), names))
    assert sorted(load_verdicts().standing) == [(name, "") for name in names]


def test_a_full_disk_keeps_what_was_there(workspace, monkeypatch):
    save_verdict(Verdict(A, FINE))
    before = verdicts_path().read_bytes()
    write = os.write

    def full(handle: int, line: bytes) -> int:
        if len(line) < 20:
            raise OSError(28, "No space left on device")
        return write(handle, line[:-10])

    monkeypatch.setattr("engine.runs.verdicts.os.write", full)
    with pytest.raises(UserError, match="No space left"):
        save_verdict(Verdict(B, FINE))
    assert verdicts_path().read_bytes() == before


def test_what_is_not_said_now_stays_as_it_was():
    image, others = Verdict(A, "", path="x.jpg"), ["dog"]
    assert amended(None, image, others, cause="scale").verdict == HARD
    wrong = amended(None, image, others, WRONG)
    assert (wrong.verdict, wrong.label) == (WRONG, "dog")  # of two classes, the other
    caused = amended(wrong, image, others, cause="scale")
    assert (caused.verdict, caused.label, caused.cause) == (WRONG, "dog", "scale")
    both = amended(caused, image, others, BOTH)
    assert (both.verdict, both.label, both.cause) == (BOTH, "", "scale")
    fox = amended(caused, image, ["dog", "fox"], label="fox")
    assert (fox.verdict, fox.label) == (WRONG, "fox")
    with pytest.raises(UserError, match="correct class"):
        amended(None, image, ["dog", "fox"], WRONG).checked()


def test_verdicts_applied_to_labels():
    said = [Verdict(A, WRONG, "dog"), Verdict(B, NEITHER), Verdict(C, HARD)]
    verdicts = Verdicts({(one.sha256, ""): one for one in said})
    labels, single = applied(["cat"] * 4, [A, B, C, "d"], ("cat", "dog"), verdicts)
    assert labels == ["dog", "cat", "cat", "cat"]
    assert single == [True, False, True, True]
    elsewhere = Verdicts(
        {(A, ""): Verdict(A, WRONG, "tulip")}
    )  # said of the same file in another data set
    assert applied(["cat"], [A], ("cat", "dog"), elsewhere) == (["cat"], [True])


def test_the_file_lies_beside_the_data(workspace: Path):
    save_verdict(Verdict(A, FINE))
    assert verdicts_path() == workspace / "verdicts" / "verdicts.jsonl"
