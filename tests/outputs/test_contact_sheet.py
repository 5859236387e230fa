"""Many pictures on one."""

from __future__ import annotations

import torch

from impasto.outputs.contact_sheet import GAP, HEAT, LABEL, Cell, contact_sheet, heat, stretched


def test_cells_lie_where_they_should() -> None:
    red = torch.tensor([1.0, 0, 0])[None, :, None, None].expand(1, 3, 20, 40)
    blue = torch.tensor([0.0, 0, 1])[None, :, None, None].expand(1, 3, 4, 4)
    sheet = contact_sheet([[Cell("red", red), Cell("blue", blue)], [Cell("later")]], 40)
    assert sheet.shape == (1, 3, 40 + 40 + 2 * (GAP + LABEL) + GAP, 2 * (40 + GAP) + GAP)
    assert sheet[0, :, GAP + 10, GAP + 20].tolist() == [1, 0, 0]
    assert sheet[0, :, GAP + 10, GAP + 40 + GAP + 20].tolist() == [0, 0, 1]
    empty = sheet[0, :, 2 * GAP + LABEL + 40 + 20, GAP + 20]
    assert (empty - 0.9).abs().max() < 0.01
    label = sheet[0, 0, GAP + 20 :, GAP : GAP + 20]
    assert label.min() < 0.5  # something is written below the red one


def test_small_maps_show_their_positions() -> None:
    board = torch.tensor([[0.0, 1.0], [1.0, 0.0]])[None, None].expand(1, 3, 2, 2)
    sheet = contact_sheet([[Cell("", board)]], 32)
    assert set(sheet[0, 0, GAP : GAP + 32, GAP : GAP + 32].flatten().tolist()) == {0.0, 1.0}


def test_heat_grows_lighter() -> None:
    values = torch.linspace(0, 1, 50)[None]
    light = heat(values)[0].mul(torch.tensor([0.299, 0.587, 0.114])[:, None, None]).sum(0)[0]
    assert (light.diff() > 0).all()
    assert heat(torch.tensor([[-1.0, 2.0]]))[0, :, 0, 0].tolist() == list(
        torch.tensor(HEAT[0]).tolist()
    )


def test_stretched_ignores_the_few() -> None:
    values = torch.cat([torch.linspace(-1, 1, 999), torch.tensor([1e6])])
    result = stretched(values.view(25, 40))
    assert result.min() == 0
    assert 0.9 < result.flatten()[990] < 1.1
    assert stretched(torch.zeros(4, 4)).max() == 0
