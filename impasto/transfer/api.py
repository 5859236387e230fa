"""The recipe: a content picture and a style picture in, the content painted in the style out.

``stylize`` is what most people want; ``texture`` is the same without a content: more of the style,
of any shape, without a seam if wanted.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from impasto.config.stylize import StylizeConfig
from impasto.encoders import pop_encoder
from impasto.events import Event
from impasto.image.inputs import Source, pop_mask_objects
from impasto.losses import Loss
from impasto.objective.build import OwnLosses
from impasto.runs.result import Result
from impasto.transfer.prepare import MASKS
from impasto.transfer.stylization import Stylization

if TYPE_CHECKING:
    from typing_extensions import Unpack  # in typing from Python 3.11 on

    from impasto.config.keywords import StylizeKeywords


def stylize(
    content: Source,
    style: Source | Sequence[Source],
    config: StylizeConfig | None = None,
    *,
    on_event: Callable[[Event], None] | None = None,
    **settings: Unpack[StylizeKeywords],
) -> Result:
    """Paint ``content`` in the style of ``style``, one or a list of several.

    Pictures are paths, PIL images, numpy arrays or tensors ``(1, 3, H, W)`` in [0, 1]; a style may
    also be the name of a swatch. So are the masks of ``regions``, ``style_regions`` (lists),
    ``keep`` and ``subject``. ``settings`` are fields of :class:`StylizeConfig` and change
    ``config`` (default: the defaults). ``encoder`` may also be an object of your own, which is then
    moved to the device and precision of the settings; ``style_loss`` and ``content_loss`` take
    names, classes and objects, alone, as a list, or with a weight each:
    ``style_loss={"gram": 1.0, MyLoss: 0.5}``. ``on_event`` is called with each event.

    Raises ConfigError and UnknownNameError for bad settings, InputError for bad pictures,
    WeightsError where the encoder has no weights.

    The method is that of Gatys et al. (2016); coarse to fine as in Gatys et al. (2017, section 6),
    with the losses relative to their targets (see the losses), so that weights mean the same at
    every size and with every encoder.

    >>> import impasto
    >>> photo = impasto.swatch("waves", size=64)
    >>> impasto.stylize(photo, "mosaic", size=64, steps=2).image.shape
    torch.Size([1, 3, 64, 64])
    """
    # 1. Settings are texts and numbers; what is an object goes its own way.
    config, objects = read_settings(config, dict(settings))
    # 2. Pictures are read, and all is planned: sizes, regions, memory (transfer/prepare.py).
    run = Stylization(content, style, config, **objects)
    # 3. Level by level, an objective is built and the pixels moved (Stylization.run_level).
    # 4. The result is the last picture, with what made it.
    return run.finish(on_event)


def texture(
    style: Source,
    config: StylizeConfig | None = None,
    *,
    on_event: Callable[[Event], None] | None = None,
    **settings: Unpack[StylizeKeywords],
) -> Result:
    """More of ``style``: a new picture with its statistics and no content.

    Arguments as in :func:`stylize`. Of the settings, ``size`` is the long side, ``aspect`` the
    width over the height, ``wrap`` says which borders meet ("both": a tile without seams,
    "horizontal": a panorama); those of the content mean nothing.

    Raises what :func:`stylize` raises.

    The method is that of Gatys et al. (2015, "Texture synthesis using convolutional neural
    networks"): noise, moved until its Gram matrices are the style's. Ours begins with the style's
    mean and deviation rather than white noise, and goes from coarse to fine.

    >>> import impasto
    >>> impasto.texture("mosaic", size=64, steps=2, wrap="both").image.shape
    torch.Size([1, 3, 64, 64])
    """
    config, objects = read_settings(config, dict(settings))
    return Stylization(None, style, config, **objects).finish(on_event)


def read_settings(
    config: StylizeConfig | None, settings: dict[str, Any]
) -> tuple[StylizeConfig, dict[str, Any]]:
    """The configuration that ``settings`` make of ``config``, and the keywords of
    :class:`Stylization` for what is no setting: an encoder, masks and losses that are objects."""
    encoder = pop_encoder(settings)
    masks = pop_mask_objects(settings, MASKS)
    own = pop_own_losses(settings)
    config = (config or StylizeConfig()).with_changes(**settings)
    return config, {"encoder": encoder, "own_losses": own, **masks}


def pop_own_losses(settings: dict[str, Any]) -> OwnLosses:
    """The losses among ``settings`` that are objects, by name; in their place the name stays.

    >>> from impasto import GramLoss
    >>> settings = {"style_loss": {"gram": 1.0, GramLoss: 0.5}}
    >>> list(pop_own_losses(settings)), settings
    (['GramLoss'], {'style_loss': ('gram=1.0', 'GramLoss=0.5')})
    """
    own: dict[str, Loss | type[Loss]] = {}
    for setting in ("content_loss", "style_loss"):
        given = settings.get(setting)
        if given is None or isinstance(given, str):
            continue
        if isinstance(given, Mapping):
            weighted = list(given.items())
        else:
            alone = isinstance(given, Loss | type)
            weighted = [(x, None) for x in ([given] if alone else given)]
        entries = []
        for loss, weight in weighted:
            name = loss
            if not isinstance(loss, str):
                name = loss.__name__ if isinstance(loss, type) else type(loss).__name__
                own[name] = loss
            entries.append(name if weight is None else f"{name}={weight}")
        settings[setting] = tuple(entries)
    return own
