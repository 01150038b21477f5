"""Maps: PCA against scikit-learn, t-SNE's neighbours, and what is kept of them."""

from __future__ import annotations

import sys
import time

import numpy as np
import pytest
import torch
from sklearn.decomposition import PCA
from sklearn.manifold import TSNE, trustworthiness

from engine.errors import UserError
from engine.model import embed as embed_module
from engine.model.embed import embed, pca, tsne
from engine.runs import maps
from engine.runs.maps import load_map, making, map_path, map_progress, save_map, start_map
from engine.runs.run import Run
from tests.support.small_fits import home, small_fit
from tests.support.tiny_images import kaggle


def grouped(n: int = 400, width: int = 60, groups: int = 8, seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    centres = 4 * torch.randn(groups, width, generator=generator)
    return centres[torch.arange(n) % groups] + torch.randn(n, width, generator=generator)


@pytest.mark.parametrize("components, sample", [(2, 5000), (5, 5000), (2, 100)])
def test_pca_is_scikit_learns_up_to_sign(components, sample, monkeypatch):
    monkeypatch.setattr(embed_module, "_SAMPLE", sample)
    features = grouped() + 100  # a mean far from zero
    want = PCA(components, svd_solver="full").fit_transform(features.double().numpy())
    found = pca(features, components)
    assert found.dtype == np.float32
    sign = np.sign((found * want).sum(axis=0))
    close = 0.02 if sample > len(features) else 0.15  # of coordinates up to 20
    np.testing.assert_allclose(found * sign, want, rtol=0, atol=close)
    np.testing.assert_array_equal(pca(features, components), found)


@pytest.mark.parametrize("shape", [(1, 4), (3, 1), (5, 2)])
def test_pca_of_less_than_is_asked_for(shape):
    features = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    found = pca(features, 3)
    assert found.shape == (shape[0], 3) and np.isfinite(found).all()
    distances = torch.cdist(features, features).numpy()
    kept = np.linalg.norm(found[:, None] - found[None], axis=-1)
    np.testing.assert_allclose(kept, distances, atol=1e-4)


@pytest.mark.parametrize("interpolate_from", [5_000, 0])
def test_tsne_keeps_neighbours_counts_its_rounds_and_repeats(monkeypatch, interpolate_from):
    monkeypatch.setattr(embed_module, "ITERATIONS", 100)
    monkeypatch.setattr(embed_module, "_EXAGGERATED", 50)
    monkeypatch.setattr(embed_module, "_INTERPOLATE_FROM", interpolate_from)
    points = pca(grouped(150), 20)
    told: list[tuple[str, int, int]] = []
    found = tsne(points, progress=lambda *said: told.append(said))
    assert trustworthiness(points, found, n_neighbors=8) > 0.9
    chance = np.random.default_rng(0).permutation(found)
    assert trustworthiness(points, chance, n_neighbors=8) < 0.6
    assert told == [("tsne", done, 100) for done in range(0, 101, 10)]
    np.testing.assert_array_equal(tsne(points), found)


def test_tsne_keeps_neighbours_as_well_as_scikit_learns():
    points = pca(grouped(300), 20)
    theirs = TSNE(perplexity=30, init="pca", max_iter=750, random_state=0).fit_transform(points)
    ours, bound = (trustworthiness(points, each, n_neighbors=15) for each in (tsne(points), theirs))
    assert ours > bound - 0.005


def test_tsne_without_its_package_says_how_to_get_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "openTSNE", None)
    with pytest.raises(UserError, match="method='tsne' needs openTSNE.*pip install openTSNE"):
        tsne(pca(grouped(50), 20))


@pytest.mark.parametrize("points", [np.zeros((40, 5)), np.eye(3, 5), np.zeros((1, 5))])
def test_tsne_of_nothing_to_lay_out(points):
    found = tsne(points.astype(np.float32))
    assert found.shape == (len(points), 2) and np.isfinite(found).all()


@pytest.fixture(scope="module")
def fitted(tmp_path_factory) -> Run:
    folder = tmp_path_factory.mktemp("embedded")
    with home(folder / "workspace"):
        return small_fit(kaggle(folder / "data", train=8, test=3)).run


def test_a_fit_leaves_the_map_by_pca(fitted):
    table, images = load_map(fitted, "pca"), fitted.images
    assert table["id"].to_pylist() == images["id"].tolist()
    assert table["split"].to_pylist() == images["split"].tolist()
    assert np.ptp(table["x"].to_numpy()) > 0
    assert map_progress(fitted, "pca").state == "done"


def test_embed_makes_what_is_missing_the_same_again(fitted):
    with home(fitted.folder.parents[1]):
        before = load_map(fitted, "pca")
        map_path(fitted, "pca").unlink()
        assert map_progress(fitted, "pca").state == "none"
        assert embed(fitted, "pca") == map_path(fitted, "pca")
        assert load_map(fitted, "pca").equals(before)
        embed(fitted, "tsne")
        assert load_map(fitted, "tsne")["id"].equals(before["id"])


def test_what_is_no_map_is_refused(fitted, tmp_path):
    with pytest.raises(UserError, match="method='umap' is unknown"):
        map_path(fitted, "umap")
    run = Run(tmp_path)
    with pytest.raises(UserError, match="does not exist"):
        load_map(run, "pca")
    map_path(run, "pca").write_bytes(b"nonsense")
    with pytest.raises(UserError, match="is damaged"):
        load_map(run, "pca")
    save_map(run, "pca", ["valid"], ["a"], np.array([[np.nan, 0]], dtype=np.float32))
    with pytest.raises(UserError, match="is damaged"):
        load_map(run, "pca")


def test_where_a_map_stands(tmp_path):
    run = Run(tmp_path)
    assert map_progress(run, "tsne").state == "none"
    with making(run, "tsne") as mine:
        assert mine
        maps.write_progress(run, "tsne", "tsne", 50, 750)
        found = map_progress(run, "tsne")
        assert (found.state, found.stage, found.done, found.total) == ("running", "tsne", 50, 750)
        with making(run, "tsne") as again:
            assert not again
    assert (
        "without reporting an error" in map_progress(run, "tsne").message
    )  # it said nothing at its end
    with pytest.raises(ValueError), making(run, "tsne"):
        raise ValueError("too hot")
    assert map_progress(run, "tsne") == maps.MapProgress("failed", message="too hot")


def test_a_process_is_started_once_and_leaves_a_word(tmp_path, monkeypatch, workspace):
    monkeypatch.setattr("engine.runs.background.sys.executable", "false")
    run = Run(tmp_path)
    start_map(run, "tsne", ["embed", run.name])
    deadline = time.monotonic() + 60
    while map_progress(run, "tsne").state != "failed" and time.monotonic() < deadline:
        time.sleep(0.02)
    assert "exit code 1" in map_progress(run, "tsne").message
