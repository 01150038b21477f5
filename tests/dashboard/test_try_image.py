"""“Try an image” on the Map page: the answer of the run, refusals, and that no byte is kept."""

from __future__ import annotations

import base64
import io

import pytest
from PIL import Image
from streamlit.testing.v1 import AppTest

from dashboard.explanation import answers
from dashboard.shared import commands
from engine.errors import UserError
from engine.runs.run import Run
from tests.support.pages import assert_harmless, html, opened
from tests.support.tiny_images import image_bytes


class Stand:
    """A worker that knows every image."""

    def __init__(self, run: Run) -> None:
        self.run, self.asked, self.refusal = run, [], ""

    def ask(self, question: dict) -> dict:
        self.asked.append(question)
        if self.refusal:
            raise UserError(self.refusal)
        out = io.BytesIO()
        Image.new("RGB", (4, 3)).save(out, "PNG")
        first, second = self.run.class_names
        near = self.run.images.iloc[0]
        return {
            "classes": [[first, 0.75], [second, 0.25]], "map_note": "", "note": "",
            "maps": [[first, base64.b64encode(out.getvalue()).decode()], [second, ""]],
            "neighbours": [
                {"split": "train", "id": "t1", "path": near["path"], "label": "<b>",
                 "sha256": near["sha256"], "distance": 0.1234}
            ],
        }  # fmt: skip


@pytest.fixture
def stand(make_run, monkeypatch) -> Stand:
    run = make_run(n=30, n_test=0)
    run.update_config(head_sha256="0" * 64)
    stand = Stand(run)
    monkeypatch.setattr(answers, "_WORKER", stand)
    monkeypatch.setattr(commands, "start_map", lambda *_: None)
    return stand


def _page() -> None:
    from dashboard.views.map.try_image import dialog
    from engine.runs.run_list import open_run

    dialog(open_run("latest"))


def test_the_button_of_the_map_page_lets_the_network_be_loaded(stand):
    app = opened("map", stand.run)
    app.button(key="try_image").click().run()
    assert not app.exception and len(app.file_uploader) == 1
    answers._QUEUE.submit(lambda: None).result()
    assert stand.asked == [{"run": stand.run.name, "open": True}]  # while an image is chosen


def dropped(stand: Stand, name: str, content: bytes) -> AppTest:
    app = AppTest.from_function(_page).run()
    app.file_uploader[0].upload(name, content, "image/jpeg").run()
    return app


def test_the_run_says_what_it_sees_and_what_is_near(stand):
    content = image_bytes("dog", 7)
    app = dropped(stand, "mine <b>.jpg", content)
    assert not app.exception and not app.error
    assert stand.asked == [{"run": stand.run.name, "image": base64.b64encode(content).decode()}]
    said = html(app)
    assert f"<td>{stand.run.class_names[0]}</td><td>0.750</td>" in said
    assert "&lt;b&gt; 0.12" in said and "data:image/png;base64," in said
    assert any(f"evidence for {stand.run.class_names[1]}" in each.value for each in app.caption)
    assert_harmless(app)
    assert app.file_uploader[0].value is None and "try_0" not in app.session_state  # no byte kept


@pytest.mark.parametrize("content", [b"", b"<svg/>", b"\xff\xd8\xff\xe0 cut short"])
def test_what_is_no_image_is_refused_in_one_sentence_and_never_asked_about(stand, content):
    app = dropped(stand, "a [link](http://evil).jpg", content)
    (error,) = app.error
    assert not app.exception and "cannot be used" in error.value and "](http" not in error.value
    assert not stand.asked


def test_a_run_that_cannot_answer_says_why(stand):
    stand.refusal = "run x was made with other weights; restore that file."
    app = dropped(stand, "a.jpg", image_bytes("cat"))
    assert "was made with other weights" in app.error[0].value
