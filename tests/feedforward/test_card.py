"""What the card of a trained network tells."""

from __future__ import annotations

from typing import Any

import pytest

from impasto.config.train import TrainConfig
from impasto.feedforward.card import card


@pytest.fixture
def told() -> dict[str, Any]:
    return {
        "impasto": "1.2.3",
        "config": TrainConfig(steps=40).to_dict(),
        "style": {"path": "night.jpg", "sha256": "ab" * 32},
        "photos": {"folder": "pictures", "learned from": 38, "held out": 2, "skipped": 1},
        "encoder": {"name": "mini", "sha256": ""},
        "parameters": 412499,
        "machine": {"threads": 2, "device": "cpu", "dtype": "bfloat16"},
        "steps": 40,
        "seconds": 90.0,
        "ended": "all steps were made",
        "validations": [
            {"step": 20, "total": 0.5, "losses": {"content": 0.125, "style": 0.375}},
            {"step": 40, "total": 0.625, "losses": {"content": 0.25, "style": 0.375}},
        ],
    }


def test_it_tells_all(told: dict[str, Any]) -> None:
    text = card(told, "my-style")
    for fact in (
        "impasto quick PHOTO --model my-style -o out.png",
        "night.jpg",
        "ab" * 32,
        "412,499",
        "38 from the folder `pictures`",
        "2 held out, 1\n  left out",
        "40 steps in 1.5 minutes",
        "`steps` = 40",
        "| 20 | 0.5000 | 0.1250 | 0.3750 |",
        "the one at step 20, the best of these",
        "**Licence**: unknown",
    ):
        assert fact in text


def test_one_that_was_stopped(told: dict[str, Any]) -> None:
    text = card({**told, "ended": "it was stopped"}, "x")
    assert "The network in this folder is the one at the last step." in text
    text = card({**told, "validations": [], "ended": "it was stopped"}, "x")
    assert "stopped before the first validation" in text


def test_a_swatch(told: dict[str, Any]) -> None:
    assert "swatch waves" in card({**told, "style": {"swatch": "waves", "sha256": "0"}}, "x")
