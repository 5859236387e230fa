"""Colours: spaces against published values, matching against the statistics it promises."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from skimage import color as skcolor
from skimage import data
from torch import Tensor

from impasto.errors import ConfigError
from impasto.image.color import (
    MOST_STRETCH,
    keep_colors,
    keep_contrast,
    least_map,
    linear_to_srgb,
    match_colors,
    oklab_to_srgb,
    palette,
    srgb_to_linear,
    srgb_to_oklab,
)
from impasto.image.io import load_image, to_samples


def noise(height: int, width: int, seed: int = 0) -> Tensor:
    """Smooth random colours, so that statistics mean something."""
    coarse = torch.rand(1, 3, 6, 6, generator=torch.Generator().manual_seed(seed))
    return torch.nn.functional.interpolate(coarse, (height, width), mode="bilinear")


def muted(seed: int) -> Tensor:
    """Colours so near to grey that none leaves the gamut."""
    return 0.4 + 0.2 * noise(48, 64, seed)


def chroma_statistics(image: Tensor, weight: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """Mean and covariance of Oklab's two axes of chroma, by numpy."""
    points = srgb_to_oklab(image.double())[0, 1:].flatten(1).numpy()
    weights = None if weight is None else weight.flatten().numpy()
    mean = np.average(points, 1, weights)
    return torch.tensor(mean), torch.tensor(np.cov(points, bias=True, aweights=weights))


def apart(a: Tensor, b: Tensor) -> float:
    return float((a - b).norm() / b.norm())


# --- spaces --------------------------------------------------------------------------------------


def test_oklab_of_the_primaries_is_as_published() -> None:
    # https://bottosson.github.io/posts/oklab and CSS Color 4's examples, to three digits
    known = {
        (1.0, 0.0, 0.0): (0.628, 0.225, 0.126),
        (0.0, 1.0, 0.0): (0.866, -0.234, 0.179),
        (0.0, 0.0, 1.0): (0.452, -0.032, -0.312),
        (1.0, 1.0, 1.0): (1.0, 0.0, 0.0),
    }
    for rgb, lab in known.items():
        ours = srgb_to_oklab(torch.tensor(rgb).double().view(1, 3, 1, 1)).flatten()
        assert torch.allclose(ours, torch.tensor(lab).double(), atol=1e-3), rgb


def test_linear_light_is_that_of_scikit_image() -> None:
    image = noise(8, 8).double()
    xyz = skcolor.rgb2xyz(image[0].permute(1, 2, 0).numpy())
    theirs = xyz @ np.linalg.inv(skcolor.colorconv.xyz_from_rgb).T
    ours = srgb_to_linear(image)[0].permute(1, 2, 0).numpy()
    assert np.allclose(ours, theirs, atol=1e-6)


def test_back_and_forth() -> None:
    image = noise(32, 32)
    assert torch.allclose(oklab_to_srgb(srgb_to_oklab(image)), image, atol=1e-5)
    assert torch.allclose(linear_to_srgb(srgb_to_linear(image)), image, atol=1e-6)


# --- keep ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("photo", ["astronaut", "chelsea", "coffee"])
def test_kept_chroma_is_the_photos_even_in_eight_bits(photo: str) -> None:
    colors = load_image(getattr(data, photo)(), size=160)
    height, width = colors.shape[-2:]
    painted = noise(height, width, seed=3)
    kept = keep_colors(painted, colors)
    eight = torch.from_numpy(to_samples(kept)).permute(2, 0, 1)[None] / 255
    ours, theirs = chroma_statistics(eight), chroma_statistics(colors)
    assert apart(ours[0], theirs[0]) < 0.02
    assert apart(ours[1], theirs[1]) < 0.02


def test_kept_lightness_is_the_paintings_where_srgb_has_the_colour() -> None:
    painted, colors = noise(16, 16), muted(1)[..., :16, :16]
    painted = 0.4 + 0.2 * painted
    kept, before = srgb_to_oklab(keep_colors(painted, colors)), srgb_to_oklab(painted)
    assert torch.allclose(kept[:, :1], before[:, :1], atol=1e-3)
    assert torch.allclose(kept[:, 1:], srgb_to_oklab(colors)[:, 1:], atol=1e-3)


def test_no_halo_at_an_edge() -> None:
    """Red beside blue under a lightness of its own: each side keeps one colour up to the edge."""
    colors = torch.zeros(1, 3, 8, 32)
    colors[:, 0, :, :16], colors[:, 2, :, 16:] = 0.8, 0.8
    painted = torch.full((1, 3, 8, 32), 0.5)
    kept = srgb_to_oklab(keep_colors(painted, colors))[0, 1:]
    for side in (slice(0, 16), slice(16, 32)):
        assert float(kept[..., side].flatten(1).std(1).max()) < 1e-4
    wanted = srgb_to_oklab(colors)[0, 1:]
    assert torch.allclose(kept, wanted, atol=3e-3)


def test_strength_goes_from_the_one_to_the_other() -> None:
    painted, colors = muted(0), muted(1)
    assert keep_colors(painted, colors, 0.0) is painted
    whole = srgb_to_oklab(keep_colors(painted, colors))
    half = srgb_to_oklab(keep_colors(painted, colors, 0.5))
    assert torch.allclose(half, (whole + srgb_to_oklab(painted)) / 2, atol=1e-4)


def test_rows_do_not_show() -> None:
    painted, colors = noise(600, 8, 1), noise(600, 8, 2)
    whole = keep_colors(painted, colors)
    part = keep_colors(painted[..., 250:350, :], colors[..., 250:350, :])
    assert torch.allclose(whole[..., 250:350, :], part, atol=1e-6)


# --- match ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["covariance", "histogram"])
def test_matched_statistics(method: str) -> None:
    style, content = muted(0), muted(1)
    before = apart(palette(style).covariance, palette(content).covariance)
    matched = palette(match_colors(style, content, method=method))
    assert torch.allclose(matched.mean, palette(content).mean, atol=2e-3)
    assert apart(matched.covariance, palette(content).covariance) < (
        0.01 if method == "covariance" else 0.1
    )
    assert before > 0.2


def test_histogram_matches_each_axis() -> None:
    style, content = muted(0), muted(1)
    ours = palette(match_colors(style, content, method="histogram")).sample.sort(1).values
    theirs = palette(content).sample.sort(1).values
    linear = palette(match_colors(style, content)).sample.sort(1).values
    assert float((ours - theirs).abs().mean()) < 0.3 * float((linear - theirs).abs().mean())


def test_the_map_is_the_one_that_gaussians_are_transported_by() -> None:
    a, b = (torch.randn(3, 9, generator=torch.Generator().manual_seed(n)).double() for n in (1, 2))
    source, target = a @ a.T, b @ b.T
    matrix = least_map(source, target)
    assert torch.allclose(matrix @ source @ matrix.T, target, atol=1e-6)
    assert torch.allclose(matrix, matrix.T)
    assert float(torch.linalg.eigvalsh(matrix).min()) > 0


def test_a_style_without_colour_does_not_turn_its_noise_into_colour() -> None:
    grey = torch.rand(1, 1, 40, 40).expand(1, 3, 40, 40)
    speckled = (grey + 0.002 * torch.randn(1, 3, 40, 40)).clamp(0, 1)
    chroma = srgb_to_oklab(match_colors(speckled, noise(40, 40)))[:, 1:]
    own = srgb_to_oklab(speckled)[:, 1:]
    # What remains of variance beyond lightness is at most the noise's, stretched.
    lightness = srgb_to_oklab(speckled)[0, :1].flatten(1)
    for axis in (0, 1):
        x = torch.cat([lightness, torch.ones_like(lightness)]).T
        y = chroma[0, axis].flatten()[:, None]
        residual = y - x @ torch.linalg.lstsq(x, y).solution
        assert float(residual.std()) < 2 * MOST_STRETCH * float(own.std())


def test_transparent_pixels_do_not_count() -> None:
    style, content = muted(0), muted(1)
    alpha = torch.ones(1, 1, 48, 64)
    alpha[..., 32:] = 0
    spoiled = torch.where(alpha > 0, content, torch.ones(()))
    a = match_colors(style, content[..., :32])
    b = match_colors(style, spoiled, like_weight=alpha)
    assert torch.allclose(a, b, atol=1e-4)


def test_nothing_opaque_is_no_error() -> None:
    style = muted(0)
    assert match_colors(style, style, like_weight=torch.zeros(1, 1, 48, 64)).isfinite().all()


def test_own_colours_change_nothing() -> None:
    image = noise(40, 40)
    assert torch.allclose(match_colors(image, image), image, atol=2e-3)
    assert match_colors(image, muted(1), strength=0.0) is image


def test_contrast_that_a_picture_lost_comes_back_in_part() -> None:
    def contrast(image: Tensor) -> float:
        return float(srgb_to_oklab(image)[:, 0].std(correction=0))

    painting = muted(3)
    flat = 0.5 + 0.4 * (painting - 0.5)
    found = keep_contrast(flat, painting)
    wanted = (contrast(flat) * contrast(painting)) ** 0.5
    assert contrast(found) == pytest.approx(wanted, rel=0.02)
    means = (srgb_to_oklab(x)[:, 0].mean() for x in (flat, found))
    assert next(means) == pytest.approx(float(next(means)), abs=0.005)
    assert contrast(keep_contrast(flat, painting, 1.0)) == pytest.approx(
        contrast(painting), rel=0.03
    )
    assert keep_contrast(painting, flat) is painting  # it has more already


def test_unknown_method() -> None:
    with pytest.raises(ConfigError, match="method is 'fast'; use one of: covariance, histogram"):
        match_colors(muted(0), muted(1), method="fast")
