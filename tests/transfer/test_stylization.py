"""The recipe as a whole, on small pictures with a small random network."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

import impasto
from impasto import (
    Encoder,
    Finished,
    LevelDone,
    LevelStarted,
    Step,
    Stylization,
    StylizeConfig,
    read_metadata,
    resize,
    save_image,
    stylize,
)
from impasto.config.stylize import STYLE_LOSS
from impasto.errors import ConfigError, InputError, UsageError
from impasto.image.color import srgb_to_oklab
from impasto.losses import GramLoss
from impasto.objective.finder import load_finder

SMALL = StylizeConfig(size=64, steps=(3, 3), precision="float32")


def run(content: Any, style: Any, encoder: Encoder, **settings: Any) -> impasto.Result:
    return stylize(content, style, SMALL, encoder=encoder, **settings)


# --- what comes out ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("shape", "size", "expected"),
    [
        ((96, 128), 64, (48, 64)),
        ((96, 128), 33, (25, 33)),
        ((128, 71), 47, (47, 26)),
        ((37, 41), None, (37, 41)),
        ((20, 24), 96, (80, 96)),
    ],
)
def test_the_size_is_exact(
    encoder: Encoder, shape: tuple[int, int], size: int | None, expected: tuple[int, int]
) -> None:
    content = torch.rand(1, 3, *shape, generator=torch.Generator().manual_seed(0))
    result = run(content, "waves", encoder, size=size, steps=(1, 1))
    assert result.image.shape == (1, 3, *expected)
    assert 0 <= result.image.min() <= result.image.max() <= 1
    assert result.metadata["size"] == list(expected)


def test_the_same_seed_gives_the_same_bits(
    encoder: Encoder, photo: Tensor, painting: Tensor
) -> None:
    for init in ("content", "noise"):
        first = run(photo, painting, encoder, init=init, seed=3)
        again = run(photo, painting, encoder, init=init, seed=3)
        assert torch.equal(first.image, again.image)
        assert [x["total"] for x in first.history] == [x["total"] for x in again.history]
    other = run(photo, painting, encoder, init="noise", seed=4)
    assert not torch.equal(first.image, other.image)


def test_what_is_given_is_not_modified(encoder: Encoder, photo: Tensor, painting: Tensor) -> None:
    before = photo.clone(), painting.clone()
    state = torch.get_rng_state()
    run(photo, painting, encoder, size=None)
    assert torch.equal(photo, before[0])
    assert torch.equal(painting, before[1])
    assert torch.equal(torch.get_rng_state(), state)


def style_distance(encoder: Encoder, image: Tensor, style: Tensor) -> float:
    layers = ("relu1_1", "relu2_1", "relu3_1", "relu4_1")
    style = resize(style, (64, 64))
    values = GramLoss(encoder(style, layers), normalization="relative")(encoder(image, layers))
    return sum(value.item() for value in values.values())


@pytest.mark.parametrize("style_loss", ["gram", "mean-std"])
def test_strength_orders_the_style_distance(
    encoder: Encoder, photo: Tensor, painting: Tensor, style_loss: str
) -> None:
    distances = [
        style_distance(
            encoder,
            run(
                photo, painting, encoder,
                strength=s, steps=(25,), style_loss=style_loss, tv_weight=0, average=0.0,
                content_weight=0.1,
            ).image,
            painting,
        )
        for s in (0.0, 0.1, 0.3, 0.6)
    ]  # fmt: skip
    assert distances == sorted(distances, reverse=True)
    assert distances[-1] < 0.7 * distances[0]


def test_strength_means_the_same_at_every_size(
    encoder: Encoder, photo: Tensor, painting: Tensor
) -> None:
    """Losses are relative: the share of style in the objective hardly depends on the size."""
    found = []
    for size in (64, 128):
        style = resize(painting, (size, size))
        made = Stylization(photo, style, replace(SMALL, size=size), encoder=encoder)
        objective, content = made.objective(-1), resize(photo, (size * 3 // 4, size))
        start = objective(encoder(content, objective.layers))
        grey = objective(encoder(torch.full_like(content, 0.5), objective.layers))
        found.append((start.terms["style-gram"].item(), grey.terms["content"].item()))
    for small, large in zip(*found, strict=True):
        assert 0.6 < small / large < 1.6


def test_strength_0_is_the_content(encoder: Encoder, photo: Tensor, painting: Tensor) -> None:
    events = list(
        Stylization(photo, painting, replace(SMALL, strength=0.0, init="noise"), encoder=encoder)
    )
    assert [type(e) for e in events] == [Finished]
    result = run(photo, painting, encoder, strength=0)
    assert torch.equal(result.image, resize(photo, (48, 64)))
    assert result.history == []
    assert result.metadata["finished"]


def test_strength_1_has_no_content_term(encoder: Encoder, photo: Tensor, painting: Tensor) -> None:
    result = run(photo, painting, encoder, strength=1)
    assert set(result.history[0]["losses"]) >= {
        "style-gram",
        "style-local",
        "tv",
        "style-gram.relu4_1",
    }
    assert not any(name.startswith("content") for name in result.history[0]["losses"])


@pytest.mark.parametrize("optimizer", ["adam", "lbfgs"])
def test_it_gets_better(encoder: Encoder, photo: Tensor, painting: Tensor, optimizer: str) -> None:
    history = run(photo, painting, encoder, steps=(25,), optimizer=optimizer).history
    assert history[-1]["total"] < 0.8 * history[0]["total"]


# --- transparency --------------------------------------------------------------------------------


def with_alpha(image: Tensor) -> Tensor:
    """(1, 4, H, W): a disc is opaque, its rim soft, the corners fully transparent."""
    height, width = image.shape[-2:]
    y, x = torch.meshgrid(
        torch.linspace(-1, 1, height), torch.linspace(-1, 1, width), indexing="ij"
    )
    alpha = (4 * (0.9 - (x * x + y * y).sqrt()) + 0.5).clamp(0, 1)
    return torch.cat([image, alpha.expand(1, 1, -1, -1)], 1)


def hide(image: Tensor, colour: float) -> Tensor:
    """The same picture with other colours where nobody sees them."""
    hidden = image.clone()
    hidden[:, :3] = torch.where(image[:, 3:] == 0, torch.tensor(colour), image[:, :3])
    return hidden


@pytest.mark.parametrize("init", ["content", "style"])
@pytest.mark.parametrize("role", ["content", "style"])
def test_hidden_colours_change_not_one_bit(
    encoder: Encoder, photo: Tensor, painting: Tensor, role: str, init: str
) -> None:
    results = []
    for colour in (0.0, 1.0):
        given = {"content": photo, "style": painting}
        given[role] = hide(with_alpha(given[role]), colour)
        results.append(run(given["content"], given["style"], encoder, init=init))
    assert torch.equal(results[0].image, results[1].image)
    assert results[0].history == results[1].history


def test_alpha_comes_back(
    encoder: Encoder, photo: Tensor, painting: Tensor, tmp_path: Path
) -> None:
    result = run(with_alpha(photo), painting, encoder)
    assert result.alpha is not None
    assert result.alpha.shape == (1, 1, 48, 64)
    assert 0 <= result.alpha.min() <= result.alpha.max() <= 1
    back = impasto.read_image(result.save(tmp_path / "a.png"))
    assert back.alpha is not None
    assert (back.alpha - result.alpha).abs().max() <= 0.5 / 255 + 1e-6
    assert run(photo, with_alpha(painting), encoder).alpha is None


# --- events, metadata ----------------------------------------------------------------------------


def test_the_order_of_events(encoder: Encoder, photo: Tensor, painting: Tensor) -> None:
    config = replace(SMALL, size=128, steps=(9, 2, 1))  # 24 x 32 is left out, its 9 steps too
    events = list(Stylization(photo, painting, config, encoder=encoder))
    kinds = [type(event).__name__ for event in events]
    assert kinds == [
        *("LevelStarted", "Step", "Step", "LevelDone"),
        *("LevelStarted", "Step", "LevelDone", "Finished"),
    ]
    started = [e for e in events if isinstance(e, LevelStarted)]
    assert [(e.level, e.levels, e.height, e.width, e.steps) for e in started] == [
        (0, 2, 48, 64, 2),
        (1, 2, 96, 128, 1),
    ]
    steps = [e for e in events if isinstance(e, Step)]
    assert [(e.level, e.index) for e in steps] == [(0, 1), (0, 2), (1, 1)]
    assert [tuple(e.image.shape[-2:]) for e in steps] == [(48, 64), (48, 64), (96, 128)]
    done = [e for e in events if isinstance(e, LevelDone)]
    assert [tuple(e.image.shape[-2:]) for e in done] == [(96, 128)] * 2
    restore_content_colors = events[-1]
    assert isinstance(restore_content_colors, Finished)
    assert restore_content_colors.steps == 3
    assert restore_content_colors.seconds > 0
    json.dumps([event.to_json() for event in events], allow_nan=False)


def test_metadata_is_json_and_complete(
    encoder: Encoder, photo: Tensor, painting: Tensor, tmp_path: Path
) -> None:
    content = save_image(tmp_path / "photo.png", photo)
    style = save_image(tmp_path / "painting.png", painting)
    out = tmp_path / "deep" / "out.png"
    out.parent.mkdir()
    result = run(content, style, encoder)
    told = json.loads(json.dumps(result.metadata, allow_nan=False))
    assert told == result.metadata
    assert told["impasto"] == impasto.__version__
    assert StylizeConfig.from_dict(told["config"]) == replace(
        SMALL, init="recolored", style_loss=STYLE_LOSS
    )
    assert told["content"]["path"] == str(content.resolve())
    assert len(told["content"]["sha256"]) == len(told["style"]["sha256"]) == 64
    assert told["encoder"] == {"name": "small", "sha256": ""}
    assert told["size"] == [48, 64]
    assert told["machine"]["torch"] == torch.__version__
    assert (told["steps"], told["finished"]) == (3, True)
    saved = read_metadata(result.save(out))
    assert saved is not None
    assert saved["content"]["path"] == "../photo.png"
    assert saved["style"]["path"] == "../painting.png"
    assert saved["config"] == told["config"]
    assert result.metadata["content"]["path"] == str(content.resolve())  # left as it was


# --- whose colours -------------------------------------------------------------------------------


def chroma(image: Tensor, alpha: Tensor | None = None) -> tuple[Tensor, Tensor]:
    points = srgb_to_oklab(image)[0, 1:].flatten(1)
    if alpha is not None:
        points = points[:, alpha.flatten() > 0.99]
    return points.mean(1), points.cov()


def test_kept_colours_are_the_contents(
    encoder: Encoder, photo: Tensor, painting: Tensor, tmp_path: Path
) -> None:
    result = run(photo, painting, encoder, color="keep")
    path = result.save(tmp_path / "kept.png")
    ours, content = chroma(impasto.load_image(path)), chroma(resize(photo, (48, 64)))
    for a, b in zip(ours, content, strict=True):
        assert float((a - b).norm() / b.norm()) < 0.02
    plain = run(photo, painting, encoder)
    assert float((chroma(plain.image)[1] - content[1]).norm() / content[1].norm()) > 0.1


def test_no_strength_of_colour_is_the_plain_picture(
    encoder: Encoder, photo: Tensor, painting: Tensor
) -> None:
    plain = run(photo, painting, encoder).image
    for color in ("keep", "match"):
        made = run(photo, painting, encoder, color=color, color_strength=0, init="recolored")
        assert made.image.equal(plain)


def test_half_the_strength_lies_between(encoder: Encoder, photo: Tensor, painting: Tensor) -> None:
    wanted = resize(photo, (48, 64))
    distances = [
        float(
            (
                chroma(run(photo, painting, encoder, color="keep", color_strength=s).image)[0]
                - chroma(wanted)[0]
            ).norm()
        )
        for s in (0.0, 0.5, 1.0)
    ]
    assert distances[0] > 1.3 * distances[1] > 1.3 * 1.3 * distances[2]


@pytest.mark.parametrize("method", ["covariance", "histogram"])
def test_only_colours(encoder: Encoder, photo: Tensor, painting: Tensor, method: str) -> None:
    seen: list[impasto.Event] = []
    result = run(photo, painting, encoder, color="only", color_match=method, on_event=seen.append)
    assert [type(event) for event in seen] == [Finished]
    assert result.history == []
    mean, _ = chroma(result.image)
    assert torch.allclose(mean, chroma(painting)[0], atol=0.02)
    light, before = (srgb_to_oklab(x)[0, 0] for x in (result.image, resize(photo, (48, 64))))
    assert float(torch.corrcoef(torch.stack([light.flatten(), before.flatten()]))[0, 1]) > 0.8


def test_what_is_shown_on_the_way_has_the_colours_of_the_end(
    encoder: Encoder, photo: Tensor, painting: Tensor
) -> None:
    run = Stylization(photo, painting, SMALL.with_changes(color="keep"), encoder=encoder)
    wanted = chroma(resize(photo, (48, 64)))[1]
    for event in run:
        shown = event.image if isinstance(event, LevelDone | Finished) else run.picture()
        ours = chroma(shown)[1]
        assert float((ours - wanted).norm() / wanted.norm()) < 0.02


def test_a_resumed_run_keeps_its_colours(
    encoder: Encoder, photo: Tensor, painting: Tensor, tmp_path: Path
) -> None:
    config, path = SMALL.with_changes(color="keep", color_match="histogram"), tmp_path / "c"
    first = Stylization(photo, painting, config, encoder=encoder, checkpoint=path)
    for event in first:
        if isinstance(event, Step) and len(first.history) == 2:
            first.save_checkpoint()
            break
    second = Stylization(photo, painting, config, encoder=encoder, checkpoint=path, resume=True)
    *_, last = second
    assert isinstance(last, Finished)
    assert last.image.equal(stylize(photo, painting, config, encoder=encoder).image)


def test_transparent_pixels_lend_no_colours(encoder: Encoder, photo: Tensor) -> None:
    alpha = torch.ones(1, 1, 96, 128)
    alpha[..., 64:] = 0
    spoiled = torch.where(alpha > 0, photo, torch.tensor([1.0, 0.0, 1.0]).view(1, 3, 1, 1))
    one, two = (
        run(torch.cat([p, alpha], 1), "waves", encoder, color="match").image
        for p in (photo, spoiled)
    )
    assert one.equal(two)


# --- a dream in the same objective ---------------------------------------------------------------


def test_a_dream_in_the_same_objective() -> None:
    """The layer is more excited than without, and the style is still there."""
    photo = impasto.swatch("nouveau", size=96)
    settings: dict[str, Any] = {"size": 96, "steps": (40,), "precision": "float32"}
    encoder = impasto.get_encoder("mini")
    plain = impasto.stylize(photo, "waves", encoder=encoder, **settings)
    dreamt = impasto.stylize(photo, "waves", encoder=encoder, dream=["relu4_3=0.3"], **settings)
    last = dreamt.history[-1]["losses"]
    assert last["dream"] < 0
    assert last["dream"] == pytest.approx(last["dream.relu4_3"])
    strength = [
        float(encoder(r.image, ["relu4_3"])["relu4_3"].square().mean()) for r in (plain, dreamt)
    ]
    assert strength[1] > 1.1 * strength[0]
    assert last["style-gram"] < 0.5 * dreamt.history[0]["losses"]["style-gram"]


def test_how_far_the_content_has_moved_is_told(
    encoder: Encoder, photo: Tensor, painting: Tensor
) -> None:
    made = Stylization(photo, painting, SMALL, encoder=encoder)
    assert made.moved() == {}
    steps = [event for event in made if isinstance(event, Step)]
    moved = made.metadata()["moved"]
    for name, told in moved.items():
        assert told["distance"] == pytest.approx(steps[-1].distances[name], abs=1e-4)
        assert told["held"] == (told["distance"] <= 1.1 * told["limit"])
    assert "content" in moved


def test_a_weaker_style_moves_the_content_less() -> None:
    """And comes to its limit, whatever the pair."""
    photo = impasto.swatch("night", size=96)
    for style in ("mosaic", "waves"):
        found = []
        for strength in (0.2, 0.4, 0.7):
            config = StylizeConfig(size=96, steps=(120,), strength=strength, subject="off")
            found.append(stylize(photo, style, config).metadata["moved"]["content"])
        assert all(told["held"] for told in found)
        distances = [told["distance"] for told in found]
        assert distances == sorted(distances)


def test_the_subject_is_found_or_given_and_told(
    encoder: Encoder, photo: Tensor, painting: Tensor, tmp_path: Path
) -> None:
    found = Stylization(photo, painting, SMALL, encoder=encoder).metadata()["subject"]
    assert found == {"word": "auto", "sha256": load_finder().sha256}
    assert "subject" not in run(photo, painting, encoder, subject="off").metadata
    mask = save_image(tmp_path / "mask.png", torch.ones(1, 3, 96, 128))
    given = run(photo, painting, encoder, subject=str(mask)).metadata["subject"]
    assert given["path"] == str(mask.resolve())
    with pytest.raises(ConfigError, match="subject is empty"):
        run(photo, painting, encoder, subject=torch.zeros(1, 3, 96, 128))
    with pytest.raises(ConfigError, match="subject is 10x10"):
        run(photo, painting, encoder, subject=torch.ones(1, 3, 10, 10))


@pytest.mark.parametrize(
    "make",
    [
        lambda photo: Stylization(photo, photo, size="large"),
        lambda photo: Stylization(photo, photo, size=8.0),
        lambda photo: Stylization(photo, photo, sise=64),
        lambda photo: Stylization(photo, photo, max_pixels="many"),  # type: ignore[arg-type]
        lambda photo: Stylization(photo.to_sparse(), photo),
        lambda photo: Stylization(photo.to("meta"), photo),
        lambda photo: Stylization({"a": 1}, photo),
        lambda photo: Stylization(photo, [photo, 3]),
        lambda photo: Stylization(photo, photo, keep=photo.to_sparse()),
        lambda photo: Stylization(b"nothing", photo),
        lambda photo: Stylization(photo.to(torch.complex64), photo),
        lambda photo: Stylization("\ud800.png", photo),
    ],
)
def test_what_is_wrong_is_said_in_our_own_words(
    make: Callable[[Tensor], object], photo: Tensor
) -> None:
    with pytest.raises((UsageError, InputError)):
        make(photo)


def test_an_error_names_its_role(photo: Tensor) -> None:
    with pytest.raises(InputError, match=r"^content: there is no file 'none\.png'"):
        Stylization("none.png", photo)
    with pytest.raises(InputError, match=r"^style: there is no file 'none\.png'"):
        Stylization(photo, [photo, "none.png"])
    with pytest.raises(InputError, match=r"^keep: there is no file 'none\.png'"):
        Stylization(photo, photo, keep="none.png")


def test_settings_are_keywords(photo: Tensor, encoder: Encoder) -> None:
    """As those of stylize; numbers of numpy are numbers."""
    run = Stylization(photo, photo, encoder=encoder, size=np.int64(48), steps=np.array([2]))
    assert (run.config.size, run.config.steps) == (48, (2,))
    assert type(run.config.size) is int
    limited = Stylization(photo, photo, encoder=encoder, strength=np.float32(0.5), max_pixels=None)
    assert limited.config.strength == 0.5
    json.dumps(limited.metadata())
