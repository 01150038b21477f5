"""Reviewing labels: a verdict is kept at once; suspects are looked for; a refit uses it all."""

from __future__ import annotations

from typing import Any

import numpy as np
import streamlit as st

from dashboard.review import verdicts as data
from dashboard.selection import image_filter as address
from dashboard.selection.image_filter import JUDGED, REVIEWS, SUSPECTS, ImageFilter
from dashboard.shared import browser_sync, commands, tables
from dashboard.shared.escape import literal
from dashboard.shared.tables import Table
from dashboard.shell import refusals
from engine.errors import UserError
from engine.runs.fit_options import FIT_OPTIONS, FitOptions
from engine.runs.run import Run, open_run
from engine.runs.triage import triage_path, triage_state
from engine.runs.verdicts import Verdict, amended, default_reviewer, say, take_back


def said(table: Table, widget: str) -> None:
    """Keep, or take back, what the large view sent (its callback)."""
    for word in browser_sync.unheard(widget):
        row = tables.row_of(table, str(word.get("id", "")))
        if row is not None:
            with refusals():
                _keep(table, row, word)
    browser_sync.changed()


def aside(name: str, table: Table, look: ImageFilter) -> None:
    """Show who reviews, and what can be done with the verdicts, above the images to review."""
    if look.show not in REVIEWS:
        return
    run = open_run(name)
    address.set_reviewer_box()
    with st.container(horizontal=True, vertical_alignment="bottom", key="review"):
        st.text_input(
            "Reviewer", key=address.REVIEWER, placeholder=default_reviewer(), width=200,
            on_change=address.reviewer_named, help="Kept with each verdict, with the time",
        )  # fmt: skip
        if look.show == SUSPECTS and data.known(name):
            st.button(
                "Look for suspects again", icon=":material/refresh:", on_click=_start, args=(run,),
                type="tertiary",
            )  # fmt: skip
        count = len(data.standing())
        if count and "head_sha256" in run.config:
            st.button(
                f"Refit with {count:,} verdict{'s' * (count > 1)}", key="refit",
                icon=":material/model_training:", on_click=_refit, args=(run,),
                help="Wrong labels are corrected, images of both classes or neither left out; "
                "the change is measured on one fixed set of labels",
            )  # fmt: skip
    if st.session_state.pop("refit_started", False):
        st.switch_page("views/train/page.py")


def empty(name: str, look: ImageFilter) -> bool:
    """Say what to do where there is nothing to review yet; False where a filter is the reason."""
    if look.show == JUDGED and not data.standing():
        st.info(
            "Open an image and press L, B, N, H or F to say what is true of its label.",
            icon=":material/rate_review:",
        )
        return True
    if look.show != SUSPECTS or data.known(name):
        return False
    run = open_run(name)
    condition, message = triage_state(run)
    if condition == "running":
        st.fragment(_wait, run_every=1.0)(run)
        return True
    if condition == "failed":
        st.error(literal(message), icon=":material/error:")
    st.info(
        "Suspected wrong labels, images of both classes or neither, and leaks are looked for in "
        "the background.",
        icon=":material/troubleshoot:",
    )
    st.button("Find suspects", type="primary", key="find", on_click=_start, args=(run,))
    return True


def change_line(name: str) -> str:
    """Return what a refit with verdicts changed, as harmless Markdown, '' for another run."""
    config = open_run(name).config
    change, made = config.get("change"), config.get("corrections")
    if not isinstance(change, dict) or not isinstance(made, dict):
        return ""
    low, high = change["interval"]
    verdict = "better" if low > 0 else "worse" if high < 0 else "too close to call"
    return (
        f"**With verdicts, {verdict}**: {made['relabelled']:,} relabelled, {made['dropped']:,} "
        f"left out. On {change['n']:,} images with one fixed set of labels the log loss went "
        f"from {change['log_loss_before']:.4f} to {change['log_loss_after']:.4f}, a gain of "
        f"{change['difference']:.4f} (95%: {low:.4f} to {high:.4f}), against run "
        f"{literal(str(change['against']))}."
    )


def _wait(run: Run) -> None:
    if triage_state(run)[0] != "running":
        st.rerun(scope="app")
    st.info("Looking for suspects…", icon=":material/hourglass_top:")


def _keep(table: Table, row: int, word: dict[str, Any]) -> None:
    fact = tables.facts(table, np.array([row])).to_pylist()[0]
    names, label = table.predictions.class_names, int(table.predictions.y_true[row])
    if not fact["sha256"] or label < 0:
        raise UserError("this image has no label to judge.")
    image = Verdict(fact["sha256"], "", path=fact["path"], reviewer=address.reviewer())
    if word.get("undo"):
        take_back(image.sha256, image.reviewer)
        return
    before = data.standing().get(image.sha256)
    others = [name for i, name in enumerate(names) if i != label]
    verdict, right, cause = (str(word.get(key, "")) for key in ("verdict", "label", "cause"))
    if right and right not in others:
        raise UserError(f"{right!r} is no other class of this run.")
    say(amended(before, image, others, verdict, right, cause))


def _start(run: Run) -> None:
    browser_sync.changed()
    with refusals():
        triage_path(run).unlink(missing_ok=True)  # what is shown is what is being made
        commands.start_triage(run)


def _refit(run: Run) -> None:
    config = run.config
    options = {option.name: config.get(option.name) for option in FIT_OPTIONS}
    options |= {"weights": config["weights"]["source"], "valid": config.get("held_out")}
    title = str(config.get("name") or "").removesuffix(" with verdicts")
    options |= {"verdicts": True, "name": f"{title} with verdicts".strip()}
    browser_sync.changed()
    with refusals():
        commands.start_fit(FitOptions.chosen(config["data"], options))
        st.session_state["refit_started"] = True
