"""Which style goes where: masks, maps of colours, and what does not go together."""

from __future__ import annotations

import io
import re
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from impasto import Encoder, Picture, Step, Stylization, StylizeConfig, stylize
from impasto.config.stylize import STYLE_LAYERS
from impasto.errors import ConfigError, InputError
from impasto.image.io import read_image, resize, to_pil
from impasto.objective.masks import Masks, read_map
from impasto.objective.regions import Share, build_regions, layers_of

CONTENT, STYLE = (48, 64), (40, 40)
HARD = StylizeConfig(feather=0.0)


def mask(size: tuple[int, int] = CONTENT, left: float = 0.0, right: float = 1.0) -> Picture:
    """White between two columns, given as shares of the width."""
    pixels = torch.zeros(1, 3, *size)
    pixels[..., round(left * size[1]) : round(right * size[1])] = 1
    return Picture(pixels)


def colours(*columns: str, size: tuple[int, int] = CONTENT) -> Picture:
    """A map of equal vertical stripes."""
    image = Image.new("RGB", (size[1], size[0]))
    for k, colour in enumerate(columns):
        image.paste(colour, (k * size[1] // len(columns), 0, size[1], size[0]))
    return read_image(image)


def test_without_masks_all_styles_paint_everything() -> None:
    layout = build_regions(HARD, Masks(), CONTENT, [STYLE, STYLE])
    assert layout.kept is None
    [region] = layout.regions
    assert region.mask is None
    assert region.shares == (Share(0, 0.5), Share(1, 0.5))
    config = HARD.with_changes(blend=[3, 1])
    [region] = build_regions(config, Masks(), CONTENT, [STYLE, STYLE]).regions
    assert [share.weight for share in region.shares] == [0.75, 0.25]


def test_overlaps_are_shared_and_the_rest_is_kept() -> None:
    masks = Masks(regions=(mask(left=0, right=0.5), mask(left=0.25, right=0.75)))
    layout = build_regions(HARD, masks, CONTENT, [STYLE, STYLE])
    first, second = (region.mask for region in layout.regions)
    assert first is not None
    assert second is not None
    assert layout.kept is not None
    row = [float(x[0, 0, 20, column]) for x in (first, second, layout.kept) for column in (8, 24)]
    assert row == [1.0, 0.5, 0.0, 0.5, 0.0, 0.0]
    assert float(layout.kept[0, 0, 20, 60]) == 1
    assert torch.allclose(first + second + layout.kept, torch.ones(1, 1, *CONTENT))
    assert [region.shares[0].style for region in layout.regions] == [0, 1]


def test_rest_is_what_the_others_leave() -> None:
    masks = Masks(regions=(mask(right=0.25), "rest"))
    layout = build_regions(StylizeConfig(), masks, CONTENT, [STYLE])
    assert layout.kept is None
    assert layout.regions[1].mask is not None
    assert float(layout.regions[1].mask.mean()) == pytest.approx(0.75, abs=0.01)


def test_feather_softens_edges_only() -> None:
    masks = Masks(regions=(mask(right=0.5), "rest"))
    for feather, soft in ((0.0, 0), (0.1, 8)):
        config = StylizeConfig(feather=feather)
        part = build_regions(config, masks, CONTENT, [STYLE]).regions[0].mask
        assert part is not None
        between = int(((part[0, 0, 20] > 0.05) & (part[0, 0, 20] < 0.95)).sum())
        assert abs(between - soft) <= 3
        assert float(part[0, 0, 20, 0]) == pytest.approx(1)


def test_keep_takes_from_all_regions() -> None:
    masks = Masks(regions=(mask(right=0.5), "rest"), keep=mask(left=0.25, right=0.75))
    layout = build_regions(HARD, masks, CONTENT, [STYLE])
    assert layout.kept is not None
    assert torch.equal(layout.kept[0, 0, 0, 16:48], torch.ones(32))
    assert [float(r.mask.mean()) for r in layout.regions if r.mask is not None] == [0.25, 0.25]
    [region] = build_regions(HARD, Masks(keep=mask(right=0.5)), CONTENT, [STYLE]).regions
    assert region.mask is not None
    assert float(region.mask.mean()) == 0.5


def test_a_region_of_strength_0_is_kept() -> None:
    masks = Masks(regions=(mask(right=0.5), "rest"))
    config = HARD.with_changes(region_strengths=[0, 0.7], region_scales=[1, 2])
    layout = build_regions(config, masks, CONTENT, [STYLE])
    assert [(region.strength, region.scale) for region in layout.regions] == [(0.7, 2.0)]
    assert layout.kept is not None
    assert float(layout.kept[..., :32].min()) == 1


def test_masks_of_another_size_and_transparent_ones() -> None:
    large = Picture(torch.ones(1, 3, 96, 128), alpha=mask((96, 128), right=0.5).pixels[:, :1])
    layout = build_regions(HARD, Masks(regions=(large,)), CONTENT, [STYLE])
    part = layout.regions[0].mask
    assert part is not None
    assert part.shape == (1, 1, *CONTENT)
    assert float(part.mean()) == pytest.approx(0.5, abs=0.01)


# --- maps of colours -----------------------------------------------------------------------------


def test_a_map_is_read_from_the_top_left() -> None:
    found, parts = read_map(colours("blue", "red", "lime"), "map")
    assert found.tolist() == [[0, 0, 255], [255, 0, 0], [0, 255, 0]]
    assert torch.equal(torch.stack(parts).sum(0), torch.ones(1, 1, *CONTENT))
    assert float(parts[1][0, 0, 5, 30]) == 1


def test_a_map_survives_jpeg_and_smooth_edges() -> None:
    image = to_pil(colours("blue", "red", "lime", size=(120, 180)).pixels)
    buffer = io.BytesIO()
    image.resize((90, 60), Image.Resampling.BILINEAR).save(buffer, "JPEG", quality=80)
    found, parts = read_map(read_image(buffer.getvalue()), "map")
    assert len(found) == 3
    assert [round(float(part.mean()), 1) for part in parts] == [0.3, 0.3, 0.3]


def test_a_photo_is_no_map(photo: Tensor) -> None:
    noisy = (photo + 0.2 * torch.rand(photo.shape)).clamp(0, 1)
    with pytest.raises(ConfigError, match=r"the map is no map of colours: .* paint each region"):
        read_map(Picture(noisy), "the map")


def test_maps_of_styles_are_matched_by_colour() -> None:
    masks = Masks(
        regions=(colours("blue", "red"),),
        style_regions=("all", colours("#f01010", "#1010f0", size=STYLE)),
    )
    layout = build_regions(HARD, masks, CONTENT, [STYLE, STYLE])
    first, second = layout.regions
    assert first.shares == (Share(0, 1.0, None),)
    assert second.shares[0].style == 1
    assert second.shares[0].mask is not None
    assert float(second.shares[0].mask[..., :20].min()) == 1  # red lies left in the style
    config = HARD.with_changes(region_styles=["1+2", "2"], blend=[1, 3])
    both = build_regions(config, masks, CONTENT, [STYLE, STYLE]).regions[0].shares
    assert [(share.style, share.weight) for share in both] == [(0, 0.25), (1, 0.75)]
    assert both[0].mask is None
    assert both[1].mask is not None


# --- layers of styles ----------------------------------------------------------------------------


def test_layers_of_styles() -> None:
    config = StylizeConfig(layers_per_style=("fine", "coarse", "all", "relu2_1+relu5_1"))
    assert layers_of(config, 0, STYLE_LAYERS) == ("relu1_1", "relu2_1")
    assert layers_of(config, 1, STYLE_LAYERS) == ("relu3_1", "relu4_1", "relu5_1")
    assert layers_of(config, 2, STYLE_LAYERS) == config.style_layers
    assert layers_of(config, 3, STYLE_LAYERS) == ("relu2_1", "relu5_1")
    assert layers_of(StylizeConfig(), 7, STYLE_LAYERS) == StylizeConfig().style_layers


# --- what does not go together -------------------------------------------------------------------

TWO = {"regions": (mask(right=0.5), "rest")}


@pytest.mark.parametrize(
    ("settings", "masks", "styles", "told"),
    [
        ({"blend": [1]}, {}, 2, "blend has 1 entries for 2 styles"),
        ({"style_scale": [1, 2]}, {}, 1, "style_scale has 2 entries for 1 style;"),
        ({"layers_per_style": ["all"]}, {}, 2, "layers_per_style has 1 entries for 2 styles"),
        ({"layers_per_style": ["conv1_1"]}, {}, 1, "holds conv1_1, which is none of the style"),
        (
            {"layers_per_style": ["fine"], "style_layers": ["relu5_1"]},
            {},
            1,
            "no layer is fine, and style 1 gives nothing",
        ),
        ({}, TWO, 3, "there are 2 regions and 3 styles"),
        ({"region_styles": ["1", "3"]}, TWO, 2, "region_styles names style 3, and there are 2"),
        ({"region_styles": ["1"]}, TWO, 2, "region_styles has 1 entries for 2 regions"),
        ({"region_styles": ["1"]}, {}, 1, "region_styles is given without regions"),
        ({"region_strengths": [0.5]}, TWO, 1, "region_strengths has 1 entries for 2 regions"),
        ({"region_strengths": [0.5]}, {}, 1, "1 entries for 0 regions; give regions, too"),
        ({"region_colors": ["keep"]}, TWO, 1, "region_colors has 1 entries for 2 regions"),
        ({"region_strengths": [0, 0]}, TWO, 1, "every region has strength 0"),
        (
            {"region_styles": ["1", "2"], "blend": [1, 0]},
            {"regions": (mask(right=0.5), "rest")},
            2,
            None,
        ),
        (
            {"region_styles": ["1+2", "3"], "blend": [0, 0, 1]},
            TWO,
            3,
            "the styles of a region all weigh 0",
        ),
        ({}, {"regions": ("rest", "rest")}, 2, "regions holds 'rest' twice"),
        ({}, {"regions": ("all",)}, 1, "regions holds 'all'"),
        ({}, {"regions": (mask((64, 48)),)}, 1, "the mask of region 1 is 64x48 .* content 48x64"),
        ({}, {"regions": (mask(right=0),)}, 1, "the mask of region 1 is empty"),
        ({}, {"keep": mask((10, 64))}, 1, "keep is 10x64"),
        ({}, {"keep": mask()}, 1, "nothing is left of region 1 beside what is kept"),
        ({}, {**TWO, "style_regions": ("all",)}, 1, "style_regions has 1 entries for 2 regions"),
        ({}, {**TWO, "style_regions": ("rest", "all")}, 1, "style_regions holds 'rest'"),
        ({}, {**TWO, "style_regions": (mask(), "all")}, 1, "style_regions' mask 1 is 48x64"),
        ({}, {"style_regions": ("all", "all")}, 1, "2 entries for 1 styles"),
        (
            {},
            {"regions": (colours("red", "blue"),), "style_regions": (colours("red", size=STYLE),)},
            1,
            "the map of style 1 has no #0000ff, which the content's has; its colours are #ff0000",
        ),
    ],
)
def test_what_is_wrong_is_told(
    settings: dict[str, Any], masks: dict[str, Any], styles: int, told: str | None
) -> None:
    config = HARD.with_changes(**settings)
    if told is None:  # a blend of 0 is no matter where a region has only one style
        build_regions(config, Masks(**masks), CONTENT, [STYLE] * styles)
        return
    with pytest.raises(ConfigError) as caught:
        build_regions(config, Masks(**masks), CONTENT, [STYLE] * styles)
    assert re.search(told, str(caught.value)), str(caught.value)


# --- in a run ------------------------------------------------------------------------------------

SMALL = StylizeConfig(size=64, steps=(3, 3), precision="float32")


def test_what_is_kept_is_the_content(encoder: Encoder, photo: Tensor, painting: Tensor) -> None:
    kept = np.zeros((96, 128), bool)
    kept[:, :64] = True
    config = replace(SMALL, feather=0.05, init="noise", strength=0.9)
    made = Stylization(photo, painting, config, encoder=encoder, keep=kept)
    events = list(made)
    content = resize(photo, (48, 64))
    for image in (made.picture(), *(x.image for x in events if isinstance(x, Step))):
        small = (
            content
            if image.shape == content.shape
            else resize(photo, (image.shape[-2], image.shape[-1]))
        )
        width = image.shape[-1]
        assert torch.allclose(image[..., : width // 3], small[..., : width // 3], atol=0.02)
        assert (image - small)[..., 2 * width // 3 :].abs().mean() > 0.05
    assert set(made.metadata()["keep"]) == {"sha256"}
    with pytest.raises(ConfigError, match="keep is 'auto'"):
        stylize(photo, painting, SMALL, encoder=encoder, keep="auto")
    with pytest.raises(InputError, match="keep: "):
        stylize(photo, painting, SMALL, encoder=encoder, keep="nothing.png")
    with pytest.raises(ConfigError, match="there is no style"):
        stylize(photo, [], SMALL, encoder=encoder)
