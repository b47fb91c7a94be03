# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What `dynamic-dnn train` is told, as one file."""

from __future__ import annotations

from collections.abc import Mapping
import dataclasses
import os
from pathlib import Path
from typing import Any

import yaml


class TrainingConfigurationError(ValueError):
    """A training configuration that cannot be used; names file, field and remedy."""


@dataclasses.dataclass(frozen=True)
class TrainingConfiguration:
    """
    One training, from the pictures to the bundle.

    Give either `epochs` or `seconds`. With `seconds` the learning rate follows the clock, so that
    the training ends well whatever the machine's speed; with `epochs` it is reproducible.

    :param name: name of the bundle.
    :param training_data: folder or tar archive with one folder of pictures a class.
    :param test_data: the same for the pictures that only the final figures come from.
    :param data_name: what reports call the data.
    :param output: folder of the bundle.
    :param work: folder of checkpoints, kept until the bundle is written.
    :param family: name of the family in the registry.
    :param layout: name of a layout of the family.
    :param held_out: pictures of the training data kept for choosing sub-networks.
    :param mean: of the colours, in 0..1.
    :param standard_deviation: of the colours, in 0..1.
    :param learning_rate: its peak.
    :param warm_up: share of the training in which the learning rate rises.
    :param largest_only: share of the training before the smaller sub-networks join in.
    :param sampled: sub-networks a step besides the largest.
    :param padding: pixels by which a picture is shifted at most.
    :param recalibration_pictures: pictures that batch-norm statistics are averaged over.
    :param candidates: random sub-networks that the search evaluates.
    :param sub_networks: how many to keep.
    :param threads: of torch, each process; 0 leaves torch's own choice.
    :param limits: what the model card says about what the bundle is not good for.
    """

    name: str
    training_data: Path
    test_data: Path
    data_name: str
    output: Path
    work: Path
    family: str
    layout: str
    mean: tuple[float, float, float]
    standard_deviation: tuple[float, float, float]
    epochs: int = 0
    seconds: float = 0.0
    held_out: int = 5000
    batch_size: int = 64
    learning_rate: float = 0.06
    momentum: float = 0.9
    weight_decay: float = 3e-4
    label_smoothing: float = 0.05
    warm_up: float = 0.03
    largest_only: float = 0.25
    sampled: int = 1
    gradient_limit: float = 5.0
    padding: int = 4
    seed: int = 0
    recalibration_pictures: int = 4000
    candidates: int = 60
    sub_networks: int = 8
    threads: int = 0
    limits: str = ''

    def __post_init__(self) -> None:
        if (self.epochs > 0) == (self.seconds > 0):
            raise TrainingConfigurationError('give either epochs or seconds, above 0')
        for field, least in (
            ('held_out', 1),
            ('batch_size', 1),
            ('sampled', 1),
            ('recalibration_pictures', 1),
            ('candidates', 2),
            ('sub_networks', 2),
        ):
            if getattr(self, field) < least:
                raise TrainingConfigurationError(
                    f'{field} is {getattr(self, field)}: at least {least} is needed'
                )
        for field in ('warm_up', 'largest_only'):
            if not 0.0 <= getattr(self, field) < 1.0:
                raise TrainingConfigurationError(
                    f'{field} is {getattr(self, field)}: a share in 0..1 is needed, below 1'
                )

    @classmethod
    def from_mapping(cls, mapping: Mapping[str, Any]) -> TrainingConfiguration:
        """
        Return the configuration that a mapping describes; paths may hold `~` and `$NAME`.

        :raises TrainingConfigurationError: for a missing, unknown or ill-typed field.
        """
        fields = {field.name: field for field in dataclasses.fields(cls)}
        unknown = sorted(mapping.keys() - fields.keys())
        if unknown:
            raise TrainingConfigurationError(
                f'unknown field {unknown[0]}; known are {", ".join(fields)}'
            )
        missing = [
            name
            for name, field in fields.items()
            if field.default is dataclasses.MISSING and name not in mapping
        ]
        if missing:
            raise TrainingConfigurationError(f'{missing[0]} is missing')
        return cls(**{name: _convert(fields[name], value) for name, value in mapping.items()})

    @classmethod
    def from_file(cls, path: Path) -> TrainingConfiguration:
        """
        Read a YAML file.

        :raises TrainingConfigurationError: if it cannot be read or used.
        """
        try:
            mapping = yaml.safe_load(path.read_text(encoding='utf-8'))
            if not isinstance(mapping, dict):
                raise TrainingConfigurationError('a mapping of fields is needed')
            return cls.from_mapping(mapping)
        except (OSError, yaml.YAMLError, TrainingConfigurationError) as error:
            raise TrainingConfigurationError(f'training configuration {path}: {error}') from error


def _convert(field: dataclasses.Field[Any], value: Any) -> Any:
    """Return a value in its field's type, which an annotation gives as text."""
    try:
        if field.type == 'Path':
            if not isinstance(value, (str, Path)):
                raise TypeError
            return Path(os.path.expandvars(value)).expanduser()
        if field.type == 'int':
            if isinstance(value, bool) or int(value) != value:
                raise TypeError
            return int(value)
        if field.type == 'float':
            return float(value)
        if field.type == 'str':
            if not isinstance(value, str):
                raise TypeError
            return value
        first, second, third = value
        return (float(first), float(second), float(third))
    except (TypeError, ValueError) as error:
        raise TrainingConfigurationError(
            f'{field.name} is {value!r}: a value of type {field.type} is needed'
        ) from error
