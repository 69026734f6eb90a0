"""Run configurations: everything that decides the result of a training, besides the data.

A run configuration is a TOML file with the tables `training` (`TrainConfig`), `network` (`AttributeConfig`), `heads`
(`HeadConfig`) and any number of `datasets` (`DatasetSource`), all optional. Those of the committed weights, and of the
weights before them, lie in the folder `runs`.
"""

from __future__ import annotations

import json
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

from rollcall_model import checkpoint
from rollcall_model.attributes.network import AttributeConfig
from rollcall_model.datasets.sources import DEFAULT_SOURCES, DatasetSource

_TABLES: Final = ("training", "network", "heads", "datasets")


class ConfigError(Exception):
    """A run configuration cannot be used; the message names the file and the field."""


class TrainConfig(NamedTuple):
    """The settings of a training."""

    steps: int = 9000
    batch: int = 128  # faces in a step
    learning_rate: float = 3e-3  # the highest
    warm_up: float = 0.06  # fraction of the steps in which the learning rate rises
    weight_decay: float = 0.05
    ema: float = 0.999  # decay of the exponential moving average of the weights
    labelled_ratio: float = 0.75  # of a batch that has an age label
    resampling_exponent: float = 0.4  # 0: ages at their frequency; 1: every age equally often
    mixup_ratio: float = 0.4  # of the faces that are blended with another
    single_face_ratio: float = 0.5  # of the sampled composites that show one face only
    augmentation_strength: float = 0.6  # see `augment.augment`
    # Batches made on the device change late in the run: the last steps are on faces as they are met later.
    late_start: float = 0.7  # fraction of the steps after which the next two settings hold
    late_single_face_ratio: float = 0.9
    late_augmentation_strength: float = 0.3
    age_std: float = 1.0  # of the age targets, in years, at age 0
    age_std_growth: float = 0.04  # for each year of age
    age_error_weight: float = 0.05  # of a year of error in the age loss
    gender_weight: float = 1.0
    gender_smoothing: float = 0.03
    identity_weight: float = 2.0
    relation_weight: float = 4.0
    distillation_weight: float = 0.5  # of the soft labels in a target, where there are any
    #: The relative frequency of each set among the labelled faces; without any, that of the faces.
    shares: tuple[tuple[str, float], ...] = ()
    every: int = 500  # steps between checkpoints
    half_precision: bool = False  # whether steps compute in bfloat16; the weights stay in float32
    #: Whether the teacher of pictures made on the device sees their mirror images, too; the target is the mean.
    mirrored_teacher: bool = False
    seed: int = 0

    def at(self, step: int) -> TrainConfig:
        """Return the settings of a step, counted from 0: the late ones take the place of the others where they hold."""
        if step < self.late_start * self.steps:
            return self
        return self._replace(
            single_face_ratio=self.late_single_face_ratio, augmentation_strength=self.late_augmentation_strength
        )


class HeadConfig(NamedTuple):
    """The settings of fitting the heads again on a mixture of data sets, see `fit_heads`."""

    steps: int = 1000
    batch: int = 512  # faces in a step
    learning_rate: float = 2e-3  # the highest
    dropout: float = 0.2  # of the features: the trunk is surer of its own training faces than of others
    penalty: float = 1e-2  # on the squared distance of the heads from where they started
    gender_smoothing: float = 0.02
    age_std: float = 1.0  # of the age targets, in years, at age 0
    age_std_growth: float = 0.04  # for each year of age
    resampling_exponent: float = 0.3  # 0: ages of a set at their frequency; 1: every age equally often
    augmented_ratio: float = 0.5  # of the faces that have an augmented view
    augmentation_strength: float = 0.6  # see `augment.augment`
    #: The relative frequency of each set in a batch.
    shares: tuple[tuple[str, float], ...] = (("utkface", 0.45), ("fairface", 0.2), ("aaf", 0.2), ("appa", 0.15))
    # Directions that are removed from the embeddings, see `nuisance`.
    set_directions: int = 3
    age_directions: int = 2
    augmentation_directions: int = 1
    seed: int = 0


class RunConfig(NamedTuple):
    """A whole run configuration."""

    training: TrainConfig = TrainConfig()
    network: AttributeConfig = AttributeConfig()
    heads: HeadConfig = HeadConfig()
    datasets: tuple[DatasetSource, ...] = DEFAULT_SOURCES


def read_run_config(path: Path) -> RunConfig:
    """Return the run configuration in a TOML file.

    Raises
    ------
    ConfigError
        If the file cannot be read, or has a table or field that does not exist.
    """
    try:
        tables = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, tomllib.TOMLDecodeError) as error:
        raise ConfigError(f"{path}: the run configuration cannot be read ({error})") from error
    unknown = set(tables) - set(_TABLES)
    if unknown:
        raise ConfigError(f"{path}: there is no table {sorted(unknown)[0]!r}, only {', '.join(_TABLES)}")
    datasets = tables.get("datasets", [])
    return RunConfig(
        _of_table(path, TrainConfig, tables.get("training", {})),
        _of_table(path, AttributeConfig, tables.get("network", {})),
        _of_table(path, HeadConfig, tables.get("heads", {})),
        tuple(_of_table(path, DatasetSource, table) for table in datasets) or DEFAULT_SOURCES,
    )


def _of_table(path: Path, kind: Any, table: Mapping[str, Any]) -> Any:
    try:
        return checkpoint.configured(kind, table)
    except TypeError as error:
        raise ConfigError(f"{path}: {error}; the fields are {', '.join(kind._fields)}") from error


def override(config: RunConfig, assignments: Sequence[str]) -> RunConfig:
    """Return the configuration with fields of `TrainConfig` and `AttributeConfig` set by NAME=VALUE, JSON values.

    Raises
    ------
    ConfigError
        If a name is no field, or a value no JSON.
    """
    for assignment in assignments:
        name, _, text = assignment.partition("=")
        try:
            value = json.loads(text)
        except json.JSONDecodeError as error:
            raise ConfigError(f"{assignment!r}: the value is no JSON") from error
        if name in TrainConfig._fields:
            config = config._replace(training=_replaced(config.training, name, value))
        elif name in AttributeConfig._fields:
            config = config._replace(network=_replaced(config.network, name, value))
        else:
            raise ConfigError(f"{name!r} is a field of neither TrainConfig nor AttributeConfig")
    return config


def _replaced(config: Any, name: str, value: Any) -> Any:
    return checkpoint.configured(type(config), {**config._asdict(), name: value})
