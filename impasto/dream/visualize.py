"""What an encoder sees: of a picture, in its layers, in single channels.

Six looks, one after the other in this file: the maps of features, the Gram matrices that a style
is made of, what can be made of a picture again from each layer (Gatys et al. 2016, figure 1), where
in a picture its style is not the one asked for, what a stylization holds most, and what excites a
channel most.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from torch.nn import functional as F

from impasto.config.dream import LookConfig
from impasto.config.layers import Selection, parse_selections
from impasto.config.stylize import StylizeConfig
from impasto.dream.encoder import check_layers, prepare_encoder
from impasto.dream.parametrize import Fourier
from impasto.dream.transform import RandomTransform
from impasto.encoders import Encoder, pop_encoder
from impasto.errors import ConfigError, UsageError
from impasto.events import Event, Step
from impasto.image.inputs import Source, fill_under_alpha, provenance_of, read_role
from impasto.image.io import resize, size_to_fit
from impasto.losses import FeatureLoss, GramLoss, Loss, Objective, TotalVariation
from impasto.losses.activation import ChannelLoss
from impasto.losses.gram import gram
from impasto.machine.devices import choose_device, choose_dtype, generator, in_own_modes
from impasto.objective.finder import find_subject
from impasto.objective.subject import MOST, detail_map
from impasto.optim.loop import optimize
from impasto.optim.pyramid import Level
from impasto.optim.state import State
from impasto.optim.tiling import encode
from impasto.outputs.contact_sheet import Cell, contact_sheet, heat, stretched
from impasto.runs.base import Run
from impasto.runs.result import Result

if TYPE_CHECKING:
    from typing_extensions import Unpack  # in typing from Python 3.11 on

    from impasto.config.keywords import LookKeywords

COLUMNS = 8
BATCH = 8  # channels that are looked for at a time
SMOOTH = StylizeConfig.tv_weight  # in reconstructions
GRID, WINDOW = 24, 8  # windows along a side; parts of the long side that one of them is


def look(
    picture: Source | None = None,
    config: LookConfig | None = None,
    *,
    style: Source | None = None,
    on_event: Callable[[Event], None] | None = None,
    **settings: Unpack[LookKeywords],
) -> Result:
    """A sheet of what ``encoder`` sees in ``picture``, or in the channels that are named.

    ``show`` chooses what; ``style`` is needed for ``show="where"``; no picture is needed where
    ``channels`` are given, as in ``look(channels="relu3_1:0-7")``. ``settings`` are fields of
    :class:`LookConfig`; pictures, ``encoder`` and ``on_event`` as for :func:`impasto.stylize`.

    Raises ConfigError and UnknownNameError for bad settings, UsageError for a picture that is
    missing, InputError for bad pictures, WeightsError where the encoder has no weights.

    >>> import impasto
    >>> impasto.look(impasto.swatch("waves", size=64), layers="relu1_1", count=8).image.shape
    torch.Size([1, 3, 158, 1078])
    """
    changes: dict[str, Any] = dict(settings)
    encoder = pop_encoder(changes)
    if changes.get("channels") is not None:
        changes.setdefault("show", "channels")
    config = (config or LookConfig()).with_changes(**changes)
    return Look(picture, config, style=style, encoder=encoder).finish(on_event)


class Look(Run[Result]):
    """One run of :func:`look`, to iterate over: the same events, with a level for each picture (or
    batch of channels) that is optimised. :meth:`picture` is the sheet so far.

    Raises what :func:`look` raises.
    """

    @in_own_modes
    def __init__(
        self,
        picture: Source | None = None,
        config: LookConfig | None = None,
        *,
        style: Source | None = None,
        encoder: Encoder | None = None,
        max_pixels: int | None = None,
        **settings: Any,
    ) -> None:
        self.config = config = (config or LookConfig()).with_changes(**settings)
        limit = {} if max_pixels is None else {"max_pixels": max_pixels}
        self.device = choose_device(config.device)
        self.dtype = choose_dtype(config.precision, self.device)
        if picture is None and config.show != "channels":
            raise UsageError(f"there is no picture to show the {config.show} of", "give one")
        by_channel = config.show in ("features", "gram", "channels")
        self.encoder = prepare_encoder(
            encoder or config.encoder, config, self.device, self.dtype, by_channel=by_channel
        )
        self.sources: dict[str, dict[str, Any]] = {}
        self.pixels: Tensor | None = None
        self.style: Tensor | None = None
        if picture is not None:
            self.pixels = self._read("content", picture, limit)
        if config.show == "where":
            if style is None:
                raise UsageError("there is no style to compare the picture with", "give one")
            self.style = self._read("style", style, limit)
        self.wanted: tuple[Selection, ...] = ()
        if config.show == "channels":
            self.wanted = tuple(self._batches())
        check_layers(self.encoder, config.layers if not self.wanted else self._channel_layers())
        self.rows, self.levels = self._layout()
        self.height, self.width = self.picture().shape[-2:]
        self.tile = None
        self.begin(None, resume=False)  # a look is short, and begins anew

    @in_own_modes
    def __iter__(self) -> Iterator[Event]:
        shows: dict[str, Callable[[], None]] = {
            "features": self._features,
            "gram": self._gram,
            "where": self._where,
            "subject": self._subject,
        }
        if show := shows.get(self.config.show):
            show()
        yield from super().__iter__()

    def run_level(self, number: int) -> Iterator[Step]:
        """The steps of one picture, or of a batch of channels."""
        self.level = number
        return self._excite(number) if self.wanted else self._reconstruct(number)

    @in_own_modes
    def picture(self) -> Tensor:
        """The sheet so far ``(1, 3, H, W)``."""
        return contact_sheet(self.rows, self.config.cell)

    @in_own_modes
    def result(self) -> Result:
        """The sheet with what made it."""
        return Result(self.picture(), metadata=self.metadata(), history=list(self.history))

    def metadata(self) -> dict[str, Any]:
        """What made the sheet."""
        return self.provenance(command="look")

    def inputs(self) -> dict[str, Any]:
        """Nothing: no checkpoint asks for it."""
        return {}

    # --- the looks -------------------------------------------------------------------------------

    @torch.no_grad()
    def _features(self) -> None:
        """The strongest channels of each layer, each over its own largest values."""
        assert self.pixels is not None
        features = self._encode(self.config.layers)
        cells = (cell for row in self.rows for cell in row)
        for layer in self.config.layers:
            maps = features[layer][0].float()
            order = maps.square().mean((1, 2)).argsort(descending=True)
            for channel in order[: self.config.count].tolist():
                cell = next(cells)
                cell.label = f"{layer}:{channel}"
                cell.image = heat(_enlarged(stretched(maps[channel]), self.pixels)).cpu()

    @torch.no_grad()
    def _gram(self) -> None:
        """Gram matrices, the strongest channels first; the root makes small entries visible."""
        features = self._encode(self.config.layers)
        for cell, layer in zip(self.rows[0], self.config.layers, strict=True):
            matrix = gram(features[layer])[0]
            order = matrix.diagonal().argsort(descending=True)
            matrix = matrix[order][:, order].clamp_min(0).sqrt()
            side = min(len(matrix), self.config.cell)  # means of entries where they are too many
            shrunk = F.adaptive_avg_pool2d(matrix[None, None], (side, side))[0, 0]
            cell.image = heat(stretched(shrunk, 0.999)).cpu()

    def _reconstruct(self, number: int) -> Iterator[Step]:
        """Above, from the features of each layer; below, from the Gram matrices up to each."""
        assert self.pixels is not None
        layers = self.config.layers
        row, column = divmod(number, len(layers))
        terms: dict[str, tuple[Loss, float]] = {"tv": (TotalVariation(), SMOOTH)}
        if row == 0:
            features = self._encode([layers[column]])
            terms = {"content": (FeatureLoss(features, normalization="relative"), 1.0), **terms}
        else:
            features = self._encode(layers[: column + 1])
            terms = {"style": (GramLoss(features, normalization="relative"), 1.0), **terms}
        height, width = self.pixels.shape[-2:]
        fourier = Fourier()
        noise = fourier.noise((1, 3, height, width), generator(self.config.seed))
        self.state = State(noise.to(self.device), "adam", self.config.learning_rate, fourier)
        yield from self._optimise(number, Objective(**terms), average=0.9)
        self.rows[row][column + 1].image = self.state.picture().cpu()

    def _where(self) -> None:
        """Where the style is not that of the picture given for it, over all layers and for each."""
        assert self.pixels is not None
        assert self.style is not None
        target = encode(self.encoder, self.style, self.config.layers)
        shares = attribute(self.pixels, self.encoder, target)
        both = torch.stack(list(shares.values())).sum(0)
        for cell, share in zip(self.rows[0][2:], [both, *shares.values()], strict=True):
            cell.image = over(self.pixels, share).cpu()

    @torch.no_grad()
    def _subject(self) -> None:
        """The subject that is found, and the photo's detail."""
        assert self.pixels is not None
        size = (self.pixels.shape[-2], self.pixels.shape[-1])
        maps = find_subject(self.pixels), detail_map(self.pixels) / MOST
        for cell, found in zip(self.rows[0][1:], maps, strict=True):
            cell.image = over(self.pixels, resize(found, size)[0, 0], whole=True).cpu()

    def _excite(self, number: int) -> Iterator[Step]:
        """From faint clouds, in Fourier's numbers, seen a little differently at each step."""
        config, batch, fourier = self.config, self.wanted[number], Fourier()
        assert batch.channels is not None
        seed, side = config.seed + number, config.cell
        start = fourier.noise((len(batch.channels), 3, side, side), generator(seed))
        self.state = State(start.to(self.device), "adam", config.learning_rate, fourier)
        layer = before_relu(self.encoder, batch.layer)
        objective = Objective(channel=(ChannelLoss(layer, batch.channels), 1.0))
        yield from self._optimise(number, objective, transform=RandomTransform(seed=seed))
        cells = {cell.label: cell for row in self.rows for cell in row}
        for channel, image in zip(batch.channels, self.state.picture().cpu(), strict=True):
            cells[f"{batch.layer}:{channel}"].image = image[None]

    # --- small things ----------------------------------------------------------------------------

    def _optimise(self, number: int, objective: Objective, **options: Any) -> Iterator[Step]:
        assert self.state is not None
        return optimize(
            self.state.image,
            self.encoder,
            objective,
            steps=self.levels[number].steps,
            state=self.state,
            level=number,
            **options,
        )

    def _read(self, role: str, source: Source, limit: dict[str, int]) -> Tensor:
        picture = read_role(role, source, True, **limit)
        self.sources[role] = provenance_of(source, picture)
        size = size_to_fit(*picture.size, self.config.size)
        return resize(fill_under_alpha(picture).pixels, size).to(self.device)

    def _encode(self, layers: Any) -> dict[str, Tensor]:
        assert self.pixels is not None
        return encode(self.encoder, self.pixels, layers)

    def _channel_layers(self) -> tuple[str, ...]:
        return tuple(selection.layer for selection in self.wanted)

    def _batches(self) -> Iterator[Selection]:
        """The channels to look at, a few at a time."""
        for selection in parse_selections(self.config.channels or ()):
            check_layers(self.encoder, (selection.layer,))
            there = channels_of(self.encoder, selection.layer)
            channels = selection.channels or tuple(range(min(self.config.count, there)))
            if max(channels) >= there:
                raise ConfigError(
                    f"{selection.layer} of {self.encoder.name} has no channel {max(channels)}",
                    f"its channels are 0 to {there - 1}",
                )
            for first in range(0, len(channels), BATCH):
                yield Selection(selection.layer, channels[first : first + BATCH])

    def _layout(self) -> tuple[list[list[Cell]], list[Level]]:
        """The cells of the sheet, still empty, and the levels of the run."""
        config, layers = self.config, self.config.layers
        if config.show == "channels":
            rows = []
            for layer in dict.fromkeys(self._channel_layers()):
                channels = [c for s in self.wanted if s.layer == layer for c in s.channels or ()]
                rows += _rows([Cell(f"{layer}:{channel}") for channel in channels])
            return rows, [Level(config.cell, config.cell, config.steps)] * len(self.wanted)
        assert self.pixels is not None
        height, width = self.pixels.shape[-2:]
        pixels, empty = self.pixels.cpu(), partial(Cell, aspect=height / width)
        shown = Cell("picture", pixels)
        if config.show == "features":
            counts = [min(config.count, channels_of(self.encoder, layer)) for layer in layers]
            return [row for n in counts for row in _rows([empty() for _ in range(n)])], []
        if config.show == "gram":
            return [[Cell(layer) for layer in layers]], []
        if config.show == "where":
            assert self.style is not None
            style = Cell("style", self.style.cpu())
            return [[shown, style, empty("all layers"), *map(empty, layers)]], []
        if config.show == "subject":
            return [[shown, *map(empty, ("subject", "detail"))]], []
        above = [shown, *(empty(f"content {layer}") for layer in layers)]
        names = [layers[0], *(f"to {layer}" for layer in layers[1:])]
        below = [Cell(""), *(empty(f"style {name}") for name in names)]
        below[0].image = torch.ones_like(pixels)
        return [above, below], [Level(height, width, config.steps)] * (2 * len(layers))


@torch.no_grad()
def attribute(image: Tensor, encoder: Encoder, style: dict[str, Tensor]) -> dict[str, Tensor]:
    """Where in ``image`` each layer's style is not that of ``style``, which holds its features.

    For each layer a map ``(H, W)`` in [0, 1]: ``1 - <G_w, A> / (|G_w| |A|)``, with G_w the Gram
    matrix of a window around the pixel, an eighth of the long side wide, and A the style's. It does
    not ask how strong the features are, only which ones go together.

    (The style loss compares means over the whole picture and belongs to no pixel. Its gradient,
    which is often drawn in this place, is largest where the network is most sensitive, not where
    the style is wrong: it passes over a patch of another style.)
    """
    height, width = image.shape[-2:]
    features = encoder(image, list(style))
    maps = {}
    for layer, target in style.items():
        f, wanted = features[layer], gram(target)[0]
        size = tuple(min(GRID, side) for side in f.shape[-2:])
        radius = max(1, max(f.shape[-2:]) // (2 * WINDOW))
        grid = wanted.new_zeros(size)
        for y in range(size[0]):
            for x in range(size[1]):
                rows, columns = (
                    slice(max(0, middle - radius), middle + radius)
                    for middle in (
                        round((y + 0.5) * f.shape[-2] / size[0]),
                        round((x + 0.5) * f.shape[-1] / size[1]),
                    )
                )
                own = gram(f[..., rows, columns])[0]
                grid[y, x] = 1 - (own * wanted).sum() / (own.norm() * wanted.norm() + 1e-12)
        smooth = F.interpolate(grid[None, None], (height, width), mode="bilinear")
        maps[layer] = smooth[0, 0].clamp(0, 1)
    return maps


def over(image: Tensor, values: Tensor, *, whole: bool = False) -> Tensor:
    """Numbers ``(H, W)`` as heat over a pale grey version of ``image`` ``(1, 3, H, W)``; 1 is the
    hottest where ``whole`` is true, else the largest of them."""
    grey = image.mean(1, keepdim=True).expand_as(image)
    return torch.lerp(grey, heat(values if whole else stretched(values)), 0.75)


def before_relu(encoder: Encoder, layer: str) -> str:
    """The convolution in front of ``layer``, if the encoder has it by name.

    Where a ReLU puts out 0 it has no gradient, and from noise many channels would never wake up.
    """
    before = layer.replace("relu", "conv")
    return before if before in encoder.layers else layer


@torch.no_grad()
def channels_of(encoder: Encoder, layer: str) -> int:
    """How many channels a layer has."""
    device = next((p.device for p in encoder.parameters()), torch.device("cpu"))
    side = max(32, encoder.stride(layer))
    return int(encoder(torch.zeros(1, 3, side, side, device=device), [layer])[layer].shape[1])


def _enlarged(values: Tensor, picture: Tensor) -> Tensor:
    """A map ``(h, w)`` at the size of the picture, without smoothing."""
    return F.interpolate(values[None, None], picture.shape[-2:], mode="nearest")[0, 0]


def _rows(cells: list[Cell]) -> list[list[Cell]]:
    return [cells[k : k + COLUMNS] for k in range(0, len(cells), COLUMNS)]
