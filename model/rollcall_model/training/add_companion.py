"""Give a network a companion: `python -m rollcall_model.training.add_companion`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final

import click
import numpy as np

from rollcall_model import runtime
from rollcall_model.attributes.model import load_net, save_net
from rollcall_model.attributes.network import AttributeNet
from rollcall_model.checkpoint import WeightsError
from rollcall_model.nn.state import load_state_dict, parameter_count, state_dict
from rollcall_model.training.train import VERSION

#: Metadata that hold for the outputs of the network that they were fitted to.
_FITTED: Final = ("calibration", "tag_thresholds")
_FILE: Final = click.Path(path_type=Path, exists=True)


def join(net: AttributeNet, companion: AttributeNet) -> AttributeNet:
    """Return the network with the companion, both in the inference form; a companion that it had is replaced."""
    result = AttributeNet(net.config, None, fused=True, companion=companion.config)
    own = {name: array for name, array in state_dict(net).items() if not name.startswith("companion.")}
    load_state_dict(result, own | {f"companion.{name}": array for name, array in state_dict(companion).items()})
    return result


def mean(nets: Sequence[AttributeNet]) -> AttributeNet:
    """Return the network with the mean of the weights, all in the inference form and of one configuration.

    The mean of runs that began with the same weights is often better than each (model soups, Wortsman et al. 2022).

    Raises
    ------
    ValueError
        If a configuration differs from the first one.
    """
    first, *others = nets
    if any(other.config != first.config for other in others):
        raise ValueError("networks of different sizes have no mean")
    states = [state_dict(net) for net in nets]
    result = AttributeNet(first.config, None, fused=True)
    load_state_dict(result, {name: np.mean([state[name] for state in states], axis=0) for name in states[0]})
    return result


@click.command()
@click.option("--weights", type=_FILE, required=True, help="The network.")
@click.option(
    "--companion",
    "companions",
    type=_FILE,
    required=True,
    multiple=True,
    help="The other network, without identity head; of several, the mean of their weights.",
)
@click.option("--out", type=click.Path(path_type=Path), required=True, help="File for both; to be calibrated.")
def main(weights: Path, companions: tuple[Path, ...], out: Path) -> None:
    """Average the ages and genders of a network with another's. Calibrate what comes out."""
    runtime.configure()
    try:
        net, metadata = load_net(weights)
        loaded = [load_net(path) for path in companions]
    except WeightsError as error:
        raise click.ClickException(str(error)) from error
    for path, (other, _) in zip(companions, loaded, strict=True):
        if other.identity is not None or other.companion is not None:
            raise click.BadParameter(
                f"{path}: a companion has neither an identity head nor a companion; train it with identity=false",
                param_hint="--companion",
            )
    try:
        both = join(net, mean([other for other, _ in loaded]))
    except ValueError as error:
        raise click.BadParameter(
            f"{error}; give runs of one network that began with the same weights", param_hint="--companion"
        ) from error
    kept = {name: value for name, value in metadata.items() if name not in _FITTED}
    trained = [about.get("training") for _, about in loaded]
    save_net(out, both, {**kept, "version": VERSION, "companion_training": trained})
    click.echo(f"{parameter_count(net):,} parameters, {parameter_count(both):,} with the companion")


if __name__ == "__main__":
    main()
