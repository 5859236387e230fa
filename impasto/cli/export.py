"""``impasto export``."""

from __future__ import annotations

import os
from pathlib import Path

from impasto.cli import options
from impasto.cli.messages import message, print_json
from impasto.cli.options import argument, output_option
from impasto.cli.outputs import installed_files, network_files
from impasto.errors import UnknownNameError
from impasto.image.files import check_apart, expanded, fit_name

EXAMPLES = """
impasto export quick -o quick.onnx
impasto export waves-model -o waves.onnx --overwrite
"""

MODELS = ("quick",)


def export(
    model: str = argument("quick, or the folder of a network that impasto train made.", "MODEL"),
    output: Path | None = output_option("Where the graph goes.  [default: MODEL.onnx]"),
    overwrite: bool = options.OVERWRITE,
    as_json: bool = options.AS_JSON,
    quiet: bool = options.QUIET,
) -> None:
    """Write a network as an ONNX file, for other programs.

    Number and size of the pictures are free. The graph is run and compared with torch before it is
    written; where they differ by more than 0.001, there is no file and exit code 1.
    """
    place = expanded(Path(model))
    if model not in MODELS and not os.path.exists(place):
        raise UnknownNameError("network", model, MODELS)
    name = model if model in MODELS else place.resolve().name.removesuffix(".safetensors")
    path = expanded(output or Path(fit_name(name, ".onnx")))
    check_apart([path], [*network_files(place), *installed_files()])

    from impasto.arbitrary.export import LIMIT, SIZES, export_feedforward, export_quick
    from impasto.arbitrary.network import Quick, load_quick
    from impasto.feedforward.network import FeedForward, load_feedforward

    network: Quick | FeedForward
    if model in MODELS:
        network = load_quick()
        most = export_quick(network, path, overwrite=overwrite)
    else:
        network = load_feedforward(place)
        about = {"style": network.name, "sha256": network.sha256}
        most = export_feedforward(network, path, described=about, overwrite=overwrite)
    if as_json:
        sizes = [list(size) for size in SIZES]
        found = {"output": str(path), "network": name, "sha256": network.sha256}
        print_json({**found, "difference": most, "limit": LIMIT, "checked_at": sizes})
    else:
        message(f"{path} (at most {most:.1g} from torch at {len(SIZES)} sizes)", quiet=quiet)
