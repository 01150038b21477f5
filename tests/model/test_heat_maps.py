"""Heat maps of several networks are added by place, each with its own weight."""

import pytest
import torch

from engine.model.heat_maps import summed

WHOLE = (0.0, 0.0, 1.0, 1.0)


def test_one_map_stays_as_it_is():
    values = torch.rand(2, 7, 7)
    total, box = summed([values], [(0.1, 0.1, 0.9, 0.9)])
    assert total is values and box == (0.1, 0.1, 0.9, 0.9)


def test_a_finer_grid_counts_no_more_than_a_coarse_one():
    coarse, fine = torch.full((1, 2, 2), 3.0), torch.full((1, 8, 8), 3 / 16)  # both sum to 12
    one, _ = summed([coarse, torch.zeros(1, 8, 8)], [WHOLE, WHOLE])
    other, _ = summed([torch.zeros(1, 2, 2), fine], [WHOLE, WHOLE])
    torch.testing.assert_close(one, other)
    both, box = summed([coarse, -fine], [WHOLE, WHOLE])
    assert box == WHOLE and both.abs().max().item() == pytest.approx(0, abs=1e-5)


def test_a_smaller_part_of_the_image_is_hot_at_its_place_only():
    part = (0.25, 0.0, 0.75, 1.0)
    total, box = summed([torch.zeros(1, 7, 7), torch.ones(1, 7, 7)], [WHOLE, part])
    columns = total[0].sum(dim=0)
    assert box == WHOLE and not columns[:14].any() and not columns[42:].any()
    assert (columns[14:42] > 0).all()
    assert total.mean().item() == pytest.approx(49)  # what the network's score gained, kept
