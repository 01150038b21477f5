"""Runs are named, annotated, sorted, deleted and restored from any page."""

from __future__ import annotations

from streamlit.testing.v1 import AppTest

from engine.runs.run import Run
from engine.runs.run_about import write_about
from engine.runs.run_bin import delete_run, deleted_runs
from engine.runs.run_list import list_runs, open_run
from tests.support.pages import assert_harmless, opened

HOSTILE = "<script>alert(1)</script> ![x](http://evil) **b**"


def managed(run: Run | None) -> AppTest:
    app = opened("overview", run)
    app.button(key="manage").click().run()
    assert not app.exception
    return app


def picker(app: AppTest) -> list[str]:
    return [str(option) for option in app.selectbox[0].options]


def test_a_name_and_a_note_are_shown_as_text(make_run):
    run = make_run(n=40, images=False)
    app = managed(run)
    app.text_input(key=f"name_{run.name}").set_value(HOSTILE)
    app.text_area(key=f"note_{run.name}").set_value(f"two\n{HOSTILE}")
    app.button(key="save_run").click().run()
    assert not app.exception and open_run(run.name).title == HOSTILE
    assert HOSTILE in picker(app)[0]
    assert any("two" in each.value and "<" not in each.value for each in app.markdown)
    assert_harmless(app)


def test_the_list_is_sorted_as_chosen_and_the_newest_stays_the_default(make_run):
    runs = [make_run(n=40, seed=seed, images=False) for seed in (1, 2, 3)]
    for run, loss in zip(runs, (0.1, 0.3, 0.2), strict=True):
        run.update_config(scores=type(run.config.scores)(0.9, loss), out_of_fold=None)
        write_about(run.folder, name=f"run {loss}")
    app = managed(None)
    app.selectbox(key="run_order_box").set_value("Lowest log loss first")
    app.button(key="save_run").click().run()
    assert [line.split(" · ")[0] for line in picker(app)] == ["run 0.1", "run 0.2", "run 0.3"]
    assert list_runs()[0].name in app.query_params["run"]


def test_a_deleted_run_leaves_the_list_and_can_be_restored(make_run):
    run, other = (make_run(n=40, seed=seed, images=False) for seed in (1, 2))
    app = managed(run)
    app.button(key="delete_run").click().run()
    assert not app.exception and len(picker(app)) == 1 and other.name in app.query_params["run"]
    app.button(key="manage").click().run()
    app.button(key=f"restore_{run.name}").click().run()
    assert not app.exception and len(picker(app)) == 2 and run.name in app.query_params["run"]


def test_the_last_run_can_be_restored_and_a_link_to_it_says_so(make_run):
    run, other = (make_run(n=40, seed=seed, images=False) for seed in (1, 2))
    delete_run(run.name)
    assert "was deleted" in opened("overview", run).warning[0].value
    delete_run(other.name)
    app = managed(None)
    app.button(key=f"restore_{other.name}").click().run()
    assert not app.exception and len(picker(app)) == 1


def test_a_run_that_is_written_is_not_deleted_and_a_damaged_one_is(make_run):
    run, bad = (make_run(n=40, seed=seed, images=False) for seed in (1, 2))
    (bad.folder / "config.json").write_text("{")
    app = managed(run)
    with run.held():
        app.button(key="delete_run").click().run()
        assert "is being written" in app.error[0].value
    app = managed(run)
    app.button(key=f"delete_{bad.name}").click().run()
    assert [each.name for each in list_runs()] == [run.name]


def _dialog() -> None:
    from dashboard.selection import manage
    from dashboard.shared import tables

    manage.dialog(None, tables.summaries())


def test_the_bin_is_emptied_and_failed_runs_go_to_it(make_run):
    run, failed, lost = (make_run(n=40, seed=seed, images=False) for seed in (1, 2, 3))
    failed.set_status("failed", message="no disk")
    lost.set_status("running")
    app = managed(run)
    app.button(key="delete_ended").click().run()
    assert not app.exception and [each.name for each in list_runs()] == [run.name]
    assert {each.name for each in deleted_runs()} == {failed.name, lost.name}
    app = AppTest.from_function(_dialog).run()
    assert app.button(key="empty_bin").disabled and "2 runs for good" in app.checkbox[0].label
    app.checkbox[0].check().run()
    app.button(key="empty_bin").click().run()
    assert not app.exception and deleted_runs() == [] and "MB freed" in app.toast[0].value
    assert [each.name for each in list_runs()] == [run.name] and run.predictions() is not None


def test_failed_runs_can_be_deleted_before_any_is_finished(make_run):
    run = make_run(n=40, images=False)
    run.set_status("cancelled")
    managed(None).button(key="delete_ended").click().run()
    assert list_runs() == [] and len(deleted_runs()) == 1
