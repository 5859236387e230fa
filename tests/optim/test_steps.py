"""Adam, beside torch's own."""

from __future__ import annotations

import torch

from impasto.optim.steps import Adam


def test_the_numbers_are_those_of_torch() -> None:
    ours = torch.rand(1, 3, 7, 5, dtype=torch.float64)
    theirs = ours.clone().requires_grad_(True)
    ours.requires_grad_(True)
    adam = Adam(ours, 0.03, (0.9, 0.99))
    reference = torch.optim.Adam([theirs], lr=0.03, betas=(0.9, 0.99))
    target = torch.rand_like(ours)
    for count in range(40):
        for tensor, optimizer in ((ours, adam), (theirs, reference)):
            optimizer.zero_grad()
            torch.autograd.backward((tensor - target).pow(4).sum() * 10.0 ** (count % 3))
            optimizer.step()
        assert torch.allclose(ours, theirs, rtol=1e-10, atol=1e-12)


def test_it_goes_on_from_where_it_was_saved() -> None:
    start = torch.rand(2, 3, requires_grad=True)
    adam = Adam(start, 0.1)
    assert adam.state_dict() == {}
    start.grad = torch.rand(2, 3)
    adam.step()
    other = start.detach().clone().requires_grad_(True)
    again = Adam(other, 0.1)
    again.load_state_dict({name: x.clone() for name, x in adam.state_dict().items()})
    for tensor, optimizer in ((start, adam), (other, again)):
        tensor.grad = torch.full((2, 3), 0.5)
        optimizer.step()
    assert torch.equal(start, other)


def test_zero_grad_forgets() -> None:
    tensor = torch.rand(2, requires_grad=True)
    tensor.grad = torch.ones(2)
    Adam(tensor, 0.1).zero_grad()
    assert tensor.grad is None
