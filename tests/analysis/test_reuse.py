"""The best of equally good runs is as optimistic as a simulation says."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from engine.analysis.reuse import optimism, reuse_sentence, runs_on_same_images
from engine.runs.run_config import write_config
from tests.support.synthetic_runs import synthetic_run


@pytest.mark.parametrize("n_runs", [2, 5, 20])
def test_it_is_that_of_a_simulation(n_runs):
    rng = np.random.default_rng(0)
    shared = rng.exponential(0.2, (400, 1, 100))
    runs = shared + rng.normal(0, 0.1, (400, n_runs, 100))
    best = runs.mean(axis=2).min(axis=1) - shared.mean(axis=2)[:, 0]
    predicted = np.mean([optimism(n_runs, each[0], each[1]) for each in runs])
    assert predicted == pytest.approx(-best.mean(), rel=0.12)


def test_two_runs_are_no_choice_to_speak_of():
    losses = np.random.default_rng(0).exponential(0.2, (2, 50))
    assert reuse_sentence(2, *losses) == "" and optimism(1, *losses) == 0
    assert reuse_sentence(20, *losses).startswith("20 runs were scored on these images")


def test_runs_with_the_same_images_are_counted(home):
    runs = [synthetic_run(home, n=10, n_test=0, seed=seed, images=False) for seed in range(3)]
    assert runs_on_same_images(runs[0]) == 1
    for run in runs[:2]:
        write_config(run.folder / "config.json", replace(run.config, fingerprint="f" * 64))
    assert [runs_on_same_images(run) for run in runs] == [2, 2, 1]
