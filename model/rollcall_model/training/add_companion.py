"""Give a network a companion: `python -m rollcall_model.training.add_companion`."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import click

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


@click.command()
@click.option("--weights", type=_FILE, required=True, help="The network.")
@click.option("--companion", type=_FILE, required=True, help="The other network, without identity head.")
@click.option("--out", type=click.Path(path_type=Path), required=True, help="File for both; to be calibrated.")
def main(weights: Path, companion: Path, out: Path) -> None:
    """Average the ages and genders of a network with another's. Calibrate what comes out."""
    runtime.configure()
    try:
        net, metadata = load_net(weights)
        other, trained = load_net(companion)
    except WeightsError as error:
        raise click.ClickException(str(error)) from error
    if other.identity is not None or other.companion is not None:
        raise click.BadParameter(
            f"{companion}: a companion has neither an identity head nor a companion; train it with identity=false",
            param_hint="--companion",
        )
    both = join(net, other)
    kept = {name: value for name, value in metadata.items() if name not in _FITTED}
    save_net(out, both, {**kept, "version": VERSION, "companion_training": trained.get("training")})
    click.echo(f"{parameter_count(net):,} parameters, {parameter_count(both):,} with the companion")


if __name__ == "__main__":
    main()
