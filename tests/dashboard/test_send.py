from __future__ import annotations

import html
from collections.abc import Iterator
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from dashboard.views.submit.kaggle import gap_note
from engine.competition.sending import SentSubmission, sent_submissions
from engine.runs.run import Run
from tests.support import pages
from tests.support.kaggle_stand_in import COMPETITION, TOKEN, StandIn, reach, without_credentials

pytest.importorskip("kaggle")


@pytest.fixture
def kaggle(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[StandIn]:
    without_credentials(tmp_path / "home", monkeypatch)
    with StandIn() as stand_in:
        reach(stand_in, tmp_path / "shim", monkeypatch)
        yield stand_in


def opened(run: Run) -> AppTest:
    return pages.opened("submit", run)


def send(app: AppTest, competition: str = COMPETITION) -> AppTest:
    app.text_input(key="submit_competition").set_value(competition).run()
    return app.button(key="submit_send").click().run()


def seen(app: AppTest) -> str:
    texts = [e.value for e in (*app.success, *app.error, *app.caption, *app.markdown)]
    return html.unescape("\n".join([*texts, pages.html(app)]))


def test_the_second_button_sends_and_shows_the_score_beside_validation(
    kaggle: StandIn, make_run
) -> None:
    run = make_run(n_test=5)
    app = opened(run)
    assert app.button(key="submit_send").disabled  # no competition yet
    send(app)
    assert not app.exception and "Submission 1000 has the public score 0.06174" in seen(app)
    (line,) = sent_submissions()
    shown = seen(app)
    assert f"{line.valid_log_loss:.5f}" in shown and f"{line.gap:+.5f}" in shown
    assert len(kaggle.submissions) == 1 and TOKEN not in shown
    send(app)
    assert "was not sent again" in seen(app) and len(kaggle.submissions) == 1


def test_a_pending_score_is_looked_for_on_request(
    kaggle: StandIn, make_run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dashboard.views.submit.kaggle.WAIT_SECONDS", 0.0)
    kaggle.polls_to_score = 10_000
    app = send(opened(make_run(n_test=5)))
    assert "has no score yet" in seen(app) and "waiting" in seen(app)
    kaggle.polls_to_score = 0
    app.button(key="submit_look").click().run()
    assert "has the public score 0.06174" in seen(app)
    assert not [b for b in app.button if b.key == "submit_look"]


def test_a_refusal_is_said_on_the_page(kaggle: StandIn, make_run) -> None:
    kaggle.faults["GetSubmissionLimits"] = (403, "accept the rules ![x](http://evil.invalid)")
    app = send(opened(make_run(n_test=5)))
    assert len(app.error) == 1 and "accept the rules of" in html.unescape(app.error[0].value)
    kaggle.faults["GetSubmissionLimits"] = (403, "![x](http://evil.invalid)<b>")
    app = send(app)
    assert "evil.invalid" in seen(app)
    pages.assert_harmless(app)


def test_a_quarantined_image_holds_this_button_too(kaggle: StandIn, make_run) -> None:
    app = opened(make_run(n_test=5, quarantined=3))
    app.text_input(key="submit_competition").set_value(COMPETITION).run()
    assert app.button(key="submit_send").disabled
    app.checkbox[0].check().run()
    assert not app.button(key="submit_send").disabled


def test_the_gap_is_that_of_one_competition() -> None:
    def entry(competition: str, gap: float | None) -> SentSubmission:
        score = None if gap is None else 1 + gap
        return SentSubmission("run", "a.csv", "clip", competition, "1", "complete", "", 1.0, score)

    sent = [entry("a", None), entry("a", 0.01), entry("b", 9.0), entry("a", 0.03)]
    assert "For 2 submissions to a" in gap_note(sent)
    assert "was +0.02000 on average (from +0.01000 to +0.03000)" in gap_note(sent)
    assert "For one submission" in gap_note(sent[1:3]) and "+0.01000;" in gap_note(sent[1:3])
    assert gap_note(sent[:1]) == ""
