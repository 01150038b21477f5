from __future__ import annotations

import hashlib
import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import asdict, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from engine.analysis.metrics import log_loss
from engine.cli.main import main
from engine.competition.credentials import has_credentials, scrub
from engine.competition.download import download
from engine.competition.kaggle import ask, competition_name
from engine.competition.prepare import prepare_submission
from engine.competition.records import list_submissions, write_submission
from engine.competition.sending import (
    check_sending,
    send_submission,
    sent_submissions,
    wait_for_score,
)
from engine.errors import UserError
from engine.runs.run import Run
from engine.runs.run_bin import delete_run, restore_run
from tests.support.kaggle_stand_in import (
    COMPETITION,
    TOKEN,
    USER,
    StandIn,
    reach,
    without_credentials,
    zip_of,
)
from tests.support.submission_tables import clipped
from tests.support.synthetic_runs import synthetic_run

pytest.importorskip("kaggle")
ROOT = Path(__file__).resolve().parents[2]
RULES = (403, "You must accept this competition's rules before you'll be able to submit.")
LIMIT = (403, "You have reached the maximum number of submissions for today.")


@pytest.fixture
def nobody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    return without_credentials(tmp_path / "home", monkeypatch)


@pytest.fixture
def kaggle(nobody: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[StandIn]:
    with StandIn() as stand_in:
        reach(stand_in, tmp_path / "shim", monkeypatch)
        yield stand_in


@pytest.fixture
def run(tmp_path: Path) -> Run:
    return synthetic_run(tmp_path, n=40, n_test=6, images=False)


def written(run: Run, lower: float = 0.1, upper: float = 0.9) -> Path:
    submission = prepare_submission(run, clipped(lower, upper))
    return write_submission(
        run.folder / "submissions", submission, run=run.name, now=datetime.now(UTC)
    )


def said(action: Any, *arguments: Any, **options: Any) -> str:
    with pytest.raises(UserError) as refused:
        action(*arguments, **options)
    text = str(refused.value)
    assert TOKEN not in text and "s3cr3t" not in text and "\n" not in text
    return text


def workers() -> list[tuple[int, int]]:
    """Return (parent, number) of the workers that run."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):  # it ended meanwhile
            if b"kaggle_worker" in (process / "cmdline").read_bytes():
                parent = (process / "stat").read_text().rpartition(")")[2].split()[1]
                found.append((int(parent), int(process.name)))
    return found


def until(true: Callable[[], bool], seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, "did not happen in time"
        time.sleep(0.02)


def tree(folder: Path) -> set[str]:
    return {str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file()}


# Downloads


def test_three_files_arrive_whole_and_leave_nothing_beside(kaggle: StandIn, tmp_path: Path) -> None:
    kaggle.page = 2  # the listing comes in two parts
    seen: list[tuple[int, int]] = []
    place = tmp_path / "place"
    done = download(COMPETITION, place / "redux", lambda *at: seen.append(at))
    assert {p.name: p.read_bytes() for p in (place / "redux").iterdir()} == kaggle.files
    assert tree(place) == {f"redux/{name}" for name in kaggle.files}
    total = sum(map(len, kaggle.files.values()))
    assert done.summary()["bytes"] == total and seen[-1] == (total, total)
    assert f"Bearer {TOKEN}" in kaggle.tokens
    kaggle.calls.clear()
    again = download(COMPETITION, place / "redux")
    assert set(again.kept) == set(kaggle.files) and "file" not in kaggle.calls


@pytest.mark.parametrize(
    ("name", "how"),
    [
        ("test.zip", "with length"),
        ("test.zip", "without length"),
        ("sample_submission.csv", "without length"),
    ],
)
def test_a_truncated_download_is_refused_and_the_next_fetches_only_what_lacks(
    kaggle: StandIn, tmp_path: Path, name: str, how: str
) -> None:
    kaggle.cut[name] = how
    text = said(download, COMPETITION, tmp_path / "redux", seconds=10)
    assert not (tmp_path / "redux").exists()
    assert "failed" in text if how == "with length" else f"{name!r} arrived damaged" in text
    kaggle.cut.clear()
    kaggle.calls.clear()
    download(COMPETITION, tmp_path / "redux")
    assert {p.name: p.read_bytes() for p in (tmp_path / "redux").iterdir()} == kaggle.files
    assert kaggle.calls.count("file") == (2 if how == "with length" else 1)
    assert not list(tmp_path.glob(".redux*"))


def test_a_zip_of_the_right_size_with_a_wrong_checksum_is_refused(
    kaggle: StandIn, tmp_path: Path
) -> None:
    bad = bytearray(kaggle.files["train.zip"])
    bad[200] ^= 1
    kaggle.files["train.zip"] = bytes(bad)
    assert "'train.zip' arrived damaged" in said(download, COMPETITION, tmp_path / "redux")
    assert not (tmp_path / "redux").exists()


def test_a_file_that_kaggle_packed_on_the_way_is_unpacked(kaggle: StandIn, tmp_path: Path) -> None:
    plain = b"id,label\n" + b"1,0.5\n" * 500
    kaggle.files = {"sample.csv": zip_of({"sample.csv": plain})}
    kaggle.sizes = {"sample.csv": len(plain)}
    download(COMPETITION, tmp_path / "redux")
    assert (tmp_path / "redux" / "sample.csv").read_bytes() == plain


def test_a_file_in_the_way_is_never_overwritten(kaggle: StandIn, tmp_path: Path) -> None:
    (tmp_path / "redux").mkdir()
    mine = tmp_path / "redux" / "train.zip"
    mine.write_bytes(b"my only copy")
    (tmp_path / "redux" / "notes.txt").write_text("mine")
    assert "already has 'train.zip'" in said(download, COMPETITION, tmp_path / "redux")
    assert mine.read_bytes() == b"my only copy" and "file" not in kaggle.calls
    mine.unlink()
    download(COMPETITION, tmp_path / "redux")
    assert tree(tmp_path / "redux") == {*kaggle.files, "notes.txt"}


@pytest.mark.parametrize("name", ["../outside.csv", "/etc/passwd", "a\\b.csv", "~/x.csv"])
def test_a_listed_name_never_leaves_the_folder(kaggle: StandIn, tmp_path: Path, name: str) -> None:
    kaggle.files = {name: b"x"}
    assert "would be written outside the folder" in said(download, COMPETITION, tmp_path / "redux")
    assert "file" not in kaggle.calls and not (tmp_path / "redux").exists()


# What Kaggle answers


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        (RULES, f"accept the rules of .* at .*/{COMPETITION}/rules"),
        ((403, "Permission 'competitions.get' was denied"), "check its name, and join it"),
        ((404, "Not found"), "has no competition"),
        ((429, "Too many requests"), "wait 7 seconds"),
        ((500, f"Internal error near {TOKEN}"), r"an internal error \(500: Internal error near …"),
        ("drop", "connection to Kaggle failed"),
    ],
)
def test_a_refused_listing_is_one_sentence(
    kaggle: StandIn, tmp_path: Path, fault: Any, words: str
) -> None:
    kaggle.faults["ListDataFiles"] = fault
    assert re.search(words, said(download, COMPETITION, tmp_path / "redux"))
    assert not (tmp_path / "redux").exists() and not list(tmp_path.glob(".redux*"))


@pytest.mark.parametrize("call", ["IntrospectToken", "file"])
def test_a_server_that_never_answers_is_given_up(
    kaggle: StandIn, tmp_path: Path, call: str
) -> None:
    kaggle.faults[call] = "hang"
    began = time.monotonic()
    assert "for 1.2 seconds" in said(download, COMPETITION, tmp_path / "redux", seconds=1.2)
    assert time.monotonic() - began < 10
    assert os.getpid() not in [parent for parent, _ in workers()]


def test_the_worker_ends_with_whoever_started_it(kaggle: StandIn, tmp_path: Path) -> None:
    kaggle.faults["ListDataFiles"] = "hang"
    code = f"from engine.competition.kaggle import ask; ask('files', {COMPETITION!r}, seconds=60)"
    parent = subprocess.Popen([sys.executable, "-c", code], cwd=ROOT)
    until(lambda: "ListDataFiles" in kaggle.calls, 50)
    (worker,) = [number for started_by, number in workers() if started_by == parent.pid]
    parent.kill()
    parent.wait()
    until(lambda: worker not in [number for _, number in workers()])


@pytest.mark.parametrize("token", ["IntrospectToken refuses", "the token is inactive"])
def test_a_token_that_kaggle_does_not_know(
    kaggle: StandIn, monkeypatch: pytest.MonkeyPatch, token: str
) -> None:
    if token == "the token is inactive":
        monkeypatch.setenv("KAGGLE_API_TOKEN", "KGAT_revoked_long_ago")
    else:
        kaggle.faults["IntrospectToken"] = (401, "Unauthorized")
    assert "does not accept your credentials" in said(ask, "files", COMPETITION, seconds=20)


def test_a_key_of_the_older_kind_is_used(
    kaggle: StandIn, nobody: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("KAGGLE_API_TOKEN")
    assert not has_credentials()
    (nobody / ".kaggle").mkdir()
    key = nobody / ".kaggle" / "kaggle.json"
    key.write_text('{"username": "me", "key": "0123abcd"}')
    key.chmod(0o644)  # the client prints a warning about that
    assert has_credentials() and scrub("key 0123abcd") == "key …"
    assert len(ask("files", COMPETITION, seconds=20)["files"]) == 3
    assert kaggle.tokens == {"Basic bWU6MDEyM2FiY2Q="}


# No credentials, no client


def test_without_credentials_nothing_is_started(
    nobody: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(subprocess, "Popen", None)
    for action in (
        lambda: download(COMPETITION),
        lambda: send_submission(run, written(run), COMPETITION, "first"),
    ):
        assert "settings/api" in said(action)
    assert list(nobody.iterdir()) == []


@pytest.mark.parametrize(
    ("where", "content"),
    [
        (".kaggle/access_token", "KGAT_abcdef"),
        (".kaggle/access_token.txt", "KGAT_abcdef"),
        (".config/kaggle/kaggle.json", '{"username": "me", "key": "KGAT_abcdef"}'),
        (".kaggle/credentials.json", '{"refresh_token": "KGAT_abcdef"}'),
    ],
)
def test_credentials_in_files_are_found_and_scrubbed(
    nobody: Path, where: str, content: str
) -> None:
    path = nobody / where
    path.parent.mkdir(parents=True)
    path.write_text("{}")
    if path.suffix == ".json":
        assert not has_credentials()
    path.write_text(content)
    assert has_credentials() and scrub("a KGAT_abcdef b") == "a … b"


@pytest.mark.parametrize("module", ["kaggle", "six"])
def test_a_client_that_is_not_installed_is_one_sentence(
    kaggle: StandIn, tmp_path: Path, module: str
) -> None:
    (tmp_path / "shim" / "sitecustomize.py").write_text(
        f"import sys\nsys.modules[{module!r}] = None\n"
    )
    text = said(ask, "files", COMPETITION, seconds=20)
    assert "is not installed" in text and f"{module} is missing" in text and "pip install" in text


def test_only_the_worker_imports_the_client() -> None:
    code = (
        "import sys, engine.competition.sending, engine.competition.download\n"
        "sys.exit(any(m.split('.')[0] in ('kaggle', 'kagglesdk', 'torch') for m in sys.modules))"
    )
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT).returncode == 0


# Submissions


def test_a_submission_is_sent_scored_and_recorded(kaggle: StandIn, run: Run) -> None:
    file = written(run)
    sent = send_submission(run, file, COMPETITION, "first try")
    assert (sent.ref, sent.status, sent.score, sent.new) == (1000, "pending", None, True)
    assert kaggle.submissions[0]["content"] == file.read_bytes()
    assert kaggle.submissions[0]["description"].startswith(f"first try [{run.name} ")
    kaggle.polls_to_score = 3
    kept = wait_for_score(file, 20)
    assert (kept.status, kept.score) == ("complete", 0.06174)
    assert list_submissions(run.folder / "submissions")[0]["kaggle"] == asdict(kept)
    valid = run.predictions("valid")
    expected = log_loss(valid.y_true, valid.probabilities.clip(0.1, 0.9))
    (line,) = sent_submissions()
    assert line.valid_log_loss == pytest.approx(expected, abs=1e-12)
    assert line.gap == pytest.approx(0.06174 - expected, abs=1e-12)
    delete_run(run.name)
    assert sent_submissions() == [replace(line, deleted=True)] and not line.deleted
    restore_run(run.name)
    for path in run.folder.rglob("*"):
        assert not path.is_file() or TOKEN.encode() not in path.read_bytes()


def test_the_same_content_is_never_sent_twice(kaggle: StandIn, run: Run) -> None:
    first = send_submission(run, written(run), COMPETITION, "first")
    second = send_submission(run, written(run), COMPETITION, "again")
    assert second.ref == first.ref and not second.new
    other = send_submission(run, written(run, 0.2, 0.8), COMPETITION, "other bounds")
    assert other.ref != first.ref and len(kaggle.submissions) == 2


def test_an_answer_lost_after_the_submission_was_made_does_not_lose_it(
    kaggle: StandIn, run: Run
) -> None:
    kaggle.faults["CreateSubmission"] = "drop-after"
    file = written(run)
    sent = send_submission(run, file, COMPETITION, "first")
    assert sent.ref == 1000 and len(kaggle.submissions) == 1
    kaggle.faults.clear()
    assert send_submission(run, file, COMPETITION, "first").ref == 1000
    assert len(kaggle.submissions) == 1


def test_a_submission_cut_off_by_the_time_limit_is_found_the_next_time(
    kaggle: StandIn, run: Run
) -> None:
    file = written(run)
    kaggle.faults["CreateSubmission"] = "hang"
    text = said(send_submission, run, file, COMPETITION, "first", seconds=2)
    assert "may have arrived" in text and "nothing twice" in text
    kaggle.uploaded["late"] = file.read_bytes()  # it had arrived all the same
    tag = f"[{run.name} {hashlib.sha256(file.read_bytes()).hexdigest()[:12]}]"
    made = {"submissionDescription": f"first {tag}", "blobFileTokens": "late"}
    kaggle._CreateSubmission(made)
    kaggle.faults.clear()
    assert send_submission(run, file, COMPETITION, "first").ref == 1000
    assert kaggle.calls.count("CreateSubmission") == 1


@pytest.mark.parametrize(
    ("call", "fault", "words"),
    [
        ("GetSubmissionLimits", RULES, "accept the rules"),
        ("CreateSubmission", LIMIT, "today's number of submissions .*: You have reached"),
        ("CreateSubmission", (500, "oops"), "an internal error .* sends nothing twice"),
        ("CreateSubmission", "drop", "connection to Kaggle failed .* nothing twice"),
        ("upload", (400, "no such upload"), "did not accept the file .* nothing was submitted"),
    ],
)
def test_a_refused_submission_is_one_sentence_and_no_record(
    kaggle: StandIn, run: Run, call: str, fault: Any, words: str
) -> None:
    kaggle.faults[call] = fault
    file = written(run)
    assert re.search(words, said(send_submission, run, file, COMPETITION, "first"))
    assert json.loads(file.with_suffix(".json").read_text())["kaggle"]["ref"] is None
    assert kaggle.submissions == []


def test_the_daily_limit_is_known_before_anything_is_uploaded(kaggle: StandIn, run: Run) -> None:
    kaggle.limits = {"numToday": 5, "numTotal": 9, "numAllowedNow": 0}
    text = said(send_submission, run, written(run), COMPETITION, "sixth")
    assert "today's number of submissions" in text
    assert kaggle.uploaded == {} and "StartSubmissionUpload" not in kaggle.calls


def test_nobody_yet_is_no_limit(kaggle: StandIn, run: Run) -> None:
    kaggle.limits = {}  # all zero for somebody who is in no team yet
    assert send_submission(run, written(run), COMPETITION, "first").ref == 1000


def test_a_scoring_error_is_said_recorded_and_may_be_sent_again(kaggle: StandIn, run: Run) -> None:
    kaggle.polls_to_score = 3
    kaggle.outcome = {"status": "ERROR", "errorDescription": "Evaluation: ids do not match"}
    file = written(run)
    send_submission(run, file, COMPETITION, "first")
    assert "1000 (Evaluation: ids do not match)" in said(wait_for_score, file, 20)
    assert sent_submissions()[0].status == "error"
    assert send_submission(run, file, COMPETITION, "once more").ref == 1001


def test_a_score_that_does_not_come_in_time_leaves_it_pending(kaggle: StandIn, run: Run) -> None:
    kaggle.polls_to_score = 10_000
    file = written(run)
    send_submission(run, file, COMPETITION, "first")
    kept = wait_for_score(file, 0)
    assert (kept.status, kept.score) == ("pending", None)
    assert sent_submissions()[0].gap is None


def test_a_file_changed_since_it_was_checked_is_not_sent(kaggle: StandIn, run: Run) -> None:
    file = written(run)
    file.write_bytes(file.read_bytes() + b"7,0.5\n")
    assert "has changed since it was checked" in said(
        send_submission, run, file, COMPETITION, "first"
    )
    assert kaggle.calls == []


@pytest.mark.parametrize(
    ("competition", "message", "flagged", "words"),
    [
        ("../x", "m", [], "not the name of a competition"),
        ("redux", " ", [], "message needs"),
        ("redux", "m" * 301, [], "message needs"),
        ("redux", "m", ["17"], "as their prediction: '17'"),
    ],
)
def test_what_can_be_known_before_is_refused_before(
    competition: str, message: str, flagged: list[str], words: str
) -> None:
    assert words in said(check_sending, competition, message, flagged, False)
    assert check_sending("redux", "m", ["17"], True) == "redux"


@pytest.mark.parametrize(
    "text",
    ["redux", " https://www.kaggle.com/c/redux/leaderboard?x=1 ", "kaggle.com/competitions/redux"],
)
def test_a_competition_is_known_by_its_address(text: str) -> None:
    assert competition_name(text) == "redux"


# The command line


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    def run(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["engine", *arguments])
        code = main()
        return (code, *capsys.readouterr())

    return run


def test_the_commands_send_and_download(
    kaggle: StandIn, run: Run, tmp_path: Path, engine: Any
) -> None:
    done = engine("download", COMPETITION, "--to", str(tmp_path / "redux"), "--json")
    assert done[0] == 0 and len(json.loads(done[1])["files"]) == 3
    send = ("submit", run.name, "--send", COMPETITION, "--message", "first")
    sent = engine(*send, "--json")
    answer = json.loads(sent[1])["kaggle"]
    assert (answer["ref"], answer["score"], answer["new"]) == (1000, 0.06174, True)
    again = engine(*send)
    assert "had been sent before" in again[1] and "public score 0.06174" in again[1]
    kaggle.faults["ListDataFiles"] = RULES
    refused = engine("download", COMPETITION, "--to", str(tmp_path / "other"), "--json")
    assert refused[:2] == (1, "") and refused[2].count("\n") == 1 and "rules" in refused[2]
    for _, out, err in (done, sent, again, refused):
        assert TOKEN not in out + err and USER not in out + err


def test_quarantined_images_must_be_accepted_before_anything_is_written(
    kaggle: StandIn, tmp_path: Path, engine: Any
) -> None:
    run = synthetic_run(tmp_path, n_test=5, quarantined=3, images=False)
    send = ("submit", run.name, "--send", COMPETITION, "--message", "first", "--wait", "0")
    code, _, err = engine(*send)
    assert code == 1 and "--accept-quarantined" in err
    assert list_submissions(run.folder / "submissions") == [] and kaggle.calls == []
    kaggle.polls_to_score = 10_000
    code, out, _ = engine(*send, "--accept-quarantined")
    assert code == 0 and "not scored yet" in out and len(kaggle.submissions) == 1


@pytest.mark.parametrize("lacks", [("--send", COMPETITION), ("--message", "first")])
def test_send_and_message_go_together(run: Run, lacks: tuple[str, str], engine: Any) -> None:
    code, _, err = engine("submit", run.name, *lacks)
    assert code == 2 and "--send and --message must be given together" in err
