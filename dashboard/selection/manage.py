"""The dialog about runs: name, note, order of the run picker, deleting, restoring, the bin."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import streamlit as st

from dashboard.selection.image_filter import forget_filter
from dashboard.selection.run import run_name, show_run
from dashboard.shared.browser_sync import note_change, rerun_if_changed
from dashboard.shared.escape import error_text, literal, one_line
from dashboard.shared.tables import RunSummary
from engine.errors import UserError
from engine.runs.run import Run
from engine.runs.run_about import MOST_NAME, MOST_NOTE, write_about
from engine.runs.run_bin import delete_run, deleted_runs, empty_bin, restore_run
from engine.runs.run_list import open_run

ORDERS = {
    "Newest first": lambda run: 0,  # as they are listed
    "Lowest log loss first": lambda run: (run.log_loss is None, run.log_loss),
    "Highest accuracy first": lambda run: (run.accuracy is None, -(run.accuracy or 0)),
    "By name": lambda run: run.title.casefold(),
}
_ORDER, _ORDER_BOX, _REFUSAL = "run_order", "run_order_box", "manage_refusal"
_FREED = "manage_freed"
_MOST = 20  # runs in a list
_ENDED = ("failed", "cancelled", "lost")


def in_order(runs: Sequence[RunSummary]) -> list[RunSummary]:
    """Return runs, the newest first, in the order that was chosen for the run picker."""
    return sorted(runs, key=ORDERS[st.session_state.get(_ORDER, "Newest first")])


def can_be_managed(every: Sequence[RunSummary]) -> bool:
    """Return whether there is something to manage although no run is finished."""
    return bool(deleted_runs() or _ended(every) or _damaged(every))


def manage_button(name: str | None, every: Sequence[RunSummary]) -> None:
    """Show the button that opens the dialog; ``name`` is the selected run, if there is one."""
    if st.button("Manage", icon=":material/edit:", key="manage", help="Name, note, order, delete"):
        dialog(name, every)
    _show_outcome()


@st.dialog("Runs", width="medium")
def dialog(name: str | None, every: Sequence[RunSummary]) -> None:
    rerun_if_changed()
    _show_outcome()
    if name is not None:
        try:
            _selected(open_run(name))
        except UserError as error:  # deleted in another tab
            st.error(error_text(error), icon=":material/error:")
    if ended := _ended(every):
        st.subheader("Failed, cancelled and lost runs", anchor=False)
        count = f"{len(ended):,} run{'s' * (len(ended) > 1)}"
        _line(count, "Delete", "ended", _delete_all, ended)
    if damaged := _damaged(every):
        st.subheader("Damaged runs", anchor=False)
    for each in damaged[:_MOST]:
        _line(each, "Delete", each, _delete, each)
    if deleted := deleted_runs():
        _bin(deleted)


def _ended(every: Sequence[RunSummary]) -> list[str]:
    return [run.name for run in every if run.state in _ENDED]


def _damaged(every: Sequence[RunSummary]) -> list[str]:
    return [run.name for run in every if run.reason]


def _bin(deleted: Sequence[Run]) -> None:
    st.subheader("Deleted runs", anchor=False)
    for run in deleted[:_MOST]:
        _line(run.name if run.damage else run.title, "Restore", run.name, _restore, run.name)
    if len(deleted) > _MOST:
        st.caption(f"{len(deleted) - _MOST:,} more; second-look runs --deleted lists them.")
    n = len(deleted)
    with st.container(
        horizontal=True, horizontal_alignment="distribute", vertical_alignment="center"
    ):
        sure = st.checkbox(
            f"Remove {n:,} run{'s' * (n > 1)} for good", key=f"empty_{n}",
            help="Their files are removed. The images stay where they are.",
        )  # fmt: skip
        st.button(
            "Empty the bin", icon=":material/delete_forever:", key="empty_bin", disabled=not sure,
            on_click=_empty,
        )  # fmt: skip


def _selected(run: Run) -> None:
    about, config = run.about, run.config
    shown = (config.name or "") if about.name is None else about.name
    st.text_input(
        "Name", shown[:MOST_NAME], MOST_NAME, key=f"name_{run.name}",
        placeholder=one_line(run.title),
    )  # fmt: skip
    st.text_area("Note", about.note, max_chars=MOST_NOTE, key=f"note_{run.name}")
    orders = list(ORDERS)
    at = orders.index(st.session_state.get(_ORDER, orders[0]))
    st.selectbox("Order of the run list", orders, at, key=_ORDER_BOX)
    with st.container(horizontal=True, horizontal_alignment="distribute"):
        st.button("Save", type="primary", key="save_run", on_click=_save, args=(run,))
        st.button(
            "Delete this run", icon=":material/delete:", key="delete_run", on_click=_delete,
            args=(run.name,),
        )  # fmt: skip
    st.caption(
        f"{literal(run.name)}  \nA deleted run can be restored here until the bin is emptied."
    )


def _line(text: str, label: str, key: str, act: Callable[..., None], what: Any) -> None:
    with st.container(
        horizontal=True, horizontal_alignment="distribute", vertical_alignment="center"
    ):
        st.markdown(literal(text))
        st.button(label, key=f"{label.lower()}_{key}", on_click=act, args=(what,))


def _save(run: Run) -> None:
    chosen = st.session_state
    with _refused():
        write_about(run.folder, chosen[f"name_{run.name}"], chosen[f"note_{run.name}"])
        chosen[_ORDER] = chosen[_ORDER_BOX]


def _delete(name: str) -> None:
    with _refused():
        delete_run(name)
        if name == run_name():
            forget_filter()
            st.query_params.clear()


def _delete_all(names: Sequence[str]) -> None:
    with _refused():
        for name in names:
            delete_run(name)


def _empty() -> None:
    with _refused():
        emptied = empty_bin()
        st.session_state[_FREED] = f"{emptied.bytes / 1e6:,.1f} MB freed."


def _restore(name: str) -> None:
    with _refused():
        run = restore_run(name)
        if run.status.state == "done" and not run.damage:
            forget_filter()
            show_run(name)


@contextmanager
def _refused() -> Iterator[None]:
    """Keep a refusal for the dialog, which closes if there is none."""
    try:
        yield
        note_change()
    except UserError as error:
        st.session_state[_REFUSAL] = error_text(error)


def _show_outcome() -> None:
    if refusal := st.session_state.pop(_REFUSAL, None):
        st.error(refusal, icon=":material/error:")
    if freed := st.session_state.pop(_FREED, None):
        st.toast(freed, icon=":material/delete_forever:")
