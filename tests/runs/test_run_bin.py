"""Deleted runs lie in a bin until they are restored or it is emptied; names and notes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from engine.analysis.reuse import runs_on_same_images
from engine.errors import UserError
from engine.runs.files import locked
from engine.runs.run import Run
from engine.runs.run_about import MOST_NOTE, read_about, write_about
from engine.runs.run_bin import delete_run, deleted_runs, empty_bin, restore_run
from engine.runs.run_list import list_runs, open_run
from engine.runs.run_results import LabelEditEffect, Scores
from tests.support.command_line import Engine
from tests.support.run_folders import run_with

HOSTILE = "<script>alert(1)</script> ![x](http://evil) \x1b[31m"


def made(state: str = "done", **config: object) -> Run:
    run = run_with("vgg16", {"class_names": ["cat", "dog"], **config})
    run.set_status(state)
    return run


def files(folder: Path) -> dict[str, bytes]:
    return {p.name: p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def test_a_deleted_run_is_not_listed_and_comes_back_whole(workspace: Path) -> None:
    run, other = made(), made()
    before = files(run.folder)
    assert delete_run(run.name).folder == workspace / "bin" / run.name
    assert [r.name for r in list_runs()] == [other.name]
    assert [r.name for r in deleted_runs()] == [run.name]
    with pytest.raises(UserError, match="is not a run"):
        open_run(run.name)
    assert restore_run(run.name[:-2]).name == run.name
    assert {r.name for r in list_runs()} == {run.name, other.name} and not deleted_runs()
    assert {name: files(run.folder)[name] for name in before} == before


@pytest.mark.parametrize("state", ["queued", "running"])
def test_a_run_that_is_written_stays(workspace: Path, state: str) -> None:
    run = made(state)
    with run.held():
        with pytest.raises(UserError, match="is being written"):
            delete_run(run.name)
    assert list_runs()


def test_a_run_stays_while_a_command_writes_beside_it(workspace: Path) -> None:
    run = made()
    with locked(run.folder / ".triage.lock"):
        with pytest.raises(UserError, match="is being written"):
            delete_run(run.name)
    delete_run(run.name)


def test_a_damaged_run_can_be_deleted_and_a_link_is_not_followed(
    workspace: Path, tmp_path: Path
) -> None:
    run = made()
    (run.folder / "config.json").write_text("{")
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "config.json").write_text("{}")
    (workspace / "runs" / "linked").symlink_to(outside)
    delete_run(run.name)
    with pytest.raises(UserError):
        delete_run("linked")
    assert empty_bin().runs == 1 and (outside / "config.json").exists()


def test_nothing_is_overwritten(workspace: Path) -> None:
    run = made()
    (workspace / "bin" / run.name).mkdir(parents=True)
    with pytest.raises(UserError, match="is already there"):
        delete_run(run.name)
    assert list_runs()


def test_the_bin_is_emptied_and_says_what_it_freed(workspace: Path) -> None:
    run = made()
    (run.folder / "model.safetensors").write_bytes(b"x" * 5000)
    delete_run(run.name)
    found = empty_bin()
    assert found.runs == 1 and found.bytes > 5000
    assert not (workspace / "bin" / run.name).exists() and empty_bin().runs == 0


def test_a_deleted_run_still_counts_among_those_that_were_compared(workspace: Path) -> None:
    first, second, third = (made(fingerprint="same") for _ in range(3))
    delete_run(second.name)
    delete_run(third.name)
    assert runs_on_same_images(first) == 3


def test_a_name_and_a_note_stand_beside_the_config(workspace: Path) -> None:
    run = made(name="first")
    config = (run.folder / "config.json").read_bytes()
    write_about(run.folder, name="  better\nname ", note="why\nit is better\n")
    assert (run.title, run.about.note) == ("better name", "why\nit is better")
    write_about(run.folder, note="")
    assert (run.title, run.about.note) == ("better name", "")
    write_about(run.folder, name="")
    assert run.title == run.name
    assert (run.folder / "config.json").read_bytes() == config


def test_what_is_too_long_or_damaged(workspace: Path) -> None:
    run = made(name="first")
    with pytest.raises(UserError, match="2,001 characters"):
        write_about(run.folder, note="x" * (MOST_NOTE + 1))
    (run.folder / "about.json").write_text('{"name": 5, "note": ["x"]}')
    assert run.title == "first" and not read_about(run.folder).note
    (run.folder / "about.json").write_text(json.dumps({"name": "n" * 9999, "note": "x" * 9999}))
    assert len(run.title) == 200 and len(run.about.note) == MOST_NOTE


def test_refits_and_blends_are_named_for_what_they_are(workspace: Path) -> None:
    effect = LabelEditEffect("20260301T123007Z-vgg16-abcdef", "valid", 9, 0, 0.2, 0.1, 0.1, (0, 1))
    refit = made()
    refit.update_config(label_edit_effect=effect)
    assert refit.title == "refit of 20260301T123007Z-vgg16-abcdef"
    assert made(blend={"members": [{}, {}]}).title == "blend of 2 runs"
    assert made(blend={"members": 3}).title == "blend"


def test_the_command_names_deletes_restores_and_empties(engine: Engine, workspace: Path) -> None:
    run = made()
    said = engine("runs", run.name, "--name", "mine", "--note", HOSTILE)
    assert said.code == 0 and "mine" in said.out and "\x1b" not in said.out
    (line,) = json.loads(engine("runs", "--json").out)
    assert (line["name"], line["note"]) == ("mine", HOSTILE)
    assert engine("runs", run.name, "--delete").code == 0
    assert json.loads(engine("runs", "--json").out) == []
    assert json.loads(engine("runs", "--deleted", "--json").out)[0]["run"] == run.name
    assert engine("runs", run.name, "--restore").code == 0
    assert json.loads(engine("runs", run.name, "--json").out)[0]["run"] == run.name
    assert "bin is empty" in engine("runs", "--deleted").out
    assert "the bin has no finished run" in engine("runs", "latest", "--restore").refusal
    assert f"runs {run.name} --restore` restores it" in engine("runs", run.name, "--delete").out
    assert "is restored" in engine("runs", run.name, "--restore").out
    engine("runs", run.name, "--delete")
    assert "1 deleted run." in engine("runs", "--empty-bin").out
    for wrong in (("--delete",), (run.name, "--clean"), (run.name, "--delete", "--restore")):
        assert engine("runs", *wrong).code == 2


def test_the_command_sorts_and_searches(engine: Engine, workspace: Path) -> None:
    for name, scores in (("Zebra", Scores(0.7, 0.5)), ("apple pie", Scores(0.9, 0.6)), ("b", None)):
        run = made(name=name)
        if scores:
            run.update_config(scores=scores)

    def names(*asked: str) -> list[str]:
        return [line["name"] for line in json.loads(engine("runs", *asked, "--json").out)]

    assert names() == names("--sort", "newest") == ["b", "apple pie", "Zebra"]
    assert names("--sort", "loss") == ["Zebra", "apple pie", "b"]
    assert names("--sort", "accuracy") == ["apple pie", "Zebra", "b"]
    assert names("--sort", "name") == ["apple pie", "b", "Zebra"]
    assert names("--search", "PIE app") == ["apple pie"]
    assert "No run has these words" in engine("runs", "--search", "none").out
    assert "choose newest, loss" in engine("runs", "--sort", "date").refusal
    assert engine("runs", "--sort", "loss", "--clean").code == 2
