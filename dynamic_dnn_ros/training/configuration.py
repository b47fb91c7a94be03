# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What `dynamic-dnn train` and `dynamic-dnn search` are told, as one file."""

from __future__ import annotations

from collections.abc import Callable, Mapping
import dataclasses
from enum import Enum
import math
import os
from pathlib import Path
import re
from typing import Any, TypeVar

import yaml

from dynamic_dnn_ros.pictures.input import Resize
from dynamic_dnn_ros.training.links.settings import Compression, Method, PlacementMode
from dynamic_dnn_ros.yaml_files import read_yaml


class TrainingConfigurationError(ValueError):
    """A training configuration that cannot be used; names file, field and remedy."""


class Rule(Enum):
    """Which sub-networks one step trains, and on what."""

    LARGEST = 'largest'
    SAMPLED = 'sampled'
    SANDWICH = 'sandwich'
    ADAPTIVE = 'adaptive'
    EXITS = 'exits'
    BOOTSTRAPPING = 'bootstrapping'

    @property
    def trains_largest_alone(self) -> bool:
        """Tell whether a step trains the largest sub-network and no other."""
        return self in (Rule.LARGEST, Rule.ADAPTIVE, Rule.EXITS)


class Optimizer(Enum):
    """How gradients change weights."""

    SGD = 'sgd'
    ADAMW = 'adamw'


class Precision(Enum):
    """In what numbers a training computes; weights are float32 always."""

    AUTO = 'auto'
    FLOAT32 = 'float32'
    BFLOAT16 = 'bfloat16'
    FLOAT16 = 'float16'


@dataclasses.dataclass(frozen=True)
class Phase:
    """
    One part of a training, with an optimizer of its own.

    :param epochs: passes over the training pictures.
    :param learning_rate: its peak.
    :param final_learning_rate: where half a cosine leads from the peak.
    :param warm_up: epochs in which the learning rate rises from 0.
    :param within: fields of a configuration, each with the values that this phase trains; fields
        not named here have all their values.
    :param sampled: random sub-networks a step.
    :param teacher: name of an earlier phase whose largest sub-network, frozen as it was at the
        phase's end, gives soft labels; empty for none.
    :param distillation: weight of the loss on the teacher's soft labels.
    :param work: of the rule `adaptive`: share that pictures are to take on average of the
        multiply-adds that blocks decide on.
    :param sort_channels: put important channels first before the phase begins.
    :param freeze: fields of a configuration, each with its value: what the sub-network of that
        configuration uses stays as it is.
    :param only: names of the parts of the network that this phase trains, `*` for any name;
        empty: all.
    """

    name: str
    rule: Rule
    epochs: int
    learning_rate: float
    final_learning_rate: float = 0.0
    warm_up: float = 0.0
    within: Mapping[str, tuple[int, ...]] = dataclasses.field(default_factory=dict)
    sampled: int = 1
    teacher: str = ''
    distillation: float = 1.0
    work: float = 0.5
    sort_channels: bool = False
    freeze: Mapping[str, int] = dataclasses.field(default_factory=dict)
    only: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        where = f'phase {self.name!r}: '
        if not self.name:
            raise TrainingConfigurationError('name of a phase is empty')
        _at_least(self, {'epochs': 1, 'sampled': 0, 'distillation': 0.0}, where)
        if self.rule is Rule.SAMPLED:
            _at_least(self, {'sampled': 1}, where)
        if not 0.0 < self.work < 1.0:
            raise TrainingConfigurationError(
                f'{where}work is {self.work}: a share above 0 and below 1 is needed'
            )
        if not 0.0 <= self.final_learning_rate <= self.learning_rate or not self.learning_rate:
            raise TrainingConfigurationError(
                f'{where}final_learning_rate is {self.final_learning_rate}, learning_rate '
                f'{self.learning_rate}: both above 0, the final one not above the other'
            )
        if not 0.0 <= self.warm_up < self.epochs:
            raise TrainingConfigurationError(
                f'{where}warm_up is {self.warm_up}: epochs are needed, fewer than {self.epochs}'
            )

    def learning_rate_at(self, epochs: float) -> float:
        """Return the learning rate after a number of the phase's epochs."""
        if epochs < self.warm_up:
            return self.learning_rate * epochs / self.warm_up
        progress = (epochs - self.warm_up) / (self.epochs - self.warm_up)
        share = 0.5 * (1.0 + math.cos(math.pi * progress))
        return self.final_learning_rate + share * (self.learning_rate - self.final_learning_rate)

    @classmethod
    def from_mapping(cls, mapping: Mapping[str, Any]) -> Phase:
        """
        Return the phase that a mapping describes.

        :raises TrainingConfigurationError: for a missing, unknown or ill-typed field.
        """
        return _build(cls, mapping)

    def to_mapping(self) -> dict[str, Any]:
        """Return the phase as plain values; `from_mapping` makes the same phase of it."""
        return {
            **dataclasses.asdict(self),
            'rule': self.rule.value,
            'within': {name: list(values) for name, values in self.within.items()},
            'only': list(self.only),
        }


@dataclasses.dataclass(frozen=True)
class TrainingConfiguration:
    """
    One training, from the pictures to the bundle.

    :param name: name of the bundle: small letters, digits and underscores.
    :param training_data: folder or archive: with one folder of pictures a class for a classifier,
        in any layout of boxes for a detector.
    :param test_data: the same for the pictures that only the final figures come from.
    :param test_every: in place of `test_data`: every so manieth picture of the training data, by
        class and name, is a test picture.
    :param data_name: what reports call the data.
    :param output: folder of the bundle.
    :param work: folder of checkpoints and logs, kept until it is removed.
    :param family: name of the family in the registry.
    :param layout: name of a layout of the family, which then has the classes of the data, or the
        layout itself.
    :param mean: of the colours, in 0..1.
    :param standard_deviation: of the colours, in 0..1.
    :param phases: what is trained, one after the other.
    :param initial_weights: what the first phase begins with: 'efficientnet_lite0', or a file in
        safetensors with tensors of the family's names; empty for fresh weights.
    :param fine_tune: what the first phase begins with, as a whole: the name or folder of a
        bundle, or a file of weights; empty for none.
    :param exits: heads of early exits: each a mapping with `after`, the name of a place where the
        network can be cut, and `widths` of its layers, none for a classifier alone. The rule
        `exits` trains them.
    :param optimizer: sgd, with Nesterov momentum, or adamw.
    :param averaging: of the weights over the steps, exponential: the share of the average that
        each step keeps; 0 for none. The averages are what is tested and written.
    :param canvas: side of the square that a detector's training pictures are kept in, pixels;
        larger ones are scaled to it.
    :param held_out: pictures of the training data that the network is not trained on.
    :param batch_size: pictures a step and process.
    :param augmentation: how training pictures are altered: names of classes in
        torchvision.transforms.v2 with their arguments, in order.
    :param resize: how pictures become square that are tested or served.
    :param workers: processes that decode and augment pictures, for each process that trains; 0
        leaves it to that one, which is best for small pictures.
    :param device: of torch; `auto` is a GPU where there is one.
    :param precision: `auto` is bfloat16 on a GPU that has it. On a CPU it was slower than float32.
    :param recalibration_pictures: pictures that batch-norm statistics are averaged over.
    :param evaluation_pictures: held-out pictures on which accuracy is watched after each epoch.
    :param threads: of torch, each process; 0 leaves torch's own choice.
    :param stored_precision: of the weights in the bundle, float32 or float16, which is half as
        large; they are rounded before accuracies are measured.
    :param compression: of gradients, where several processes train together.
    :param placement: how they share the work of a step.
    :param search: settings of `dynamic-dnn search`.
    :param limits: what the model card says about what the bundle is not good for.
    """

    name: str
    training_data: Path
    data_name: str
    output: Path
    work: Path
    family: str
    layout: str | Mapping[str, Any]
    mean: tuple[float, float, float]
    standard_deviation: tuple[float, float, float]
    phases: tuple[Phase, ...]
    test_data: Path = Path()
    test_every: int = 0
    initial_weights: str = ''
    fine_tune: str = ''
    exits: tuple[Mapping[str, Any], ...] = ()
    optimizer: Optimizer = Optimizer.SGD
    averaging: float = 0.0
    canvas: int = 512
    held_out: int = 5000
    batch_size: int = 64
    momentum: float = 0.9
    weight_decay: float = 3e-4
    label_smoothing: float = 0.05
    gradient_limit: float = 5.0
    augmentation: tuple[Mapping[str, Mapping[str, Any]], ...] = ()
    resize: Resize = Resize.STRETCH
    workers: int = 0
    device: str = 'auto'
    precision: Precision = Precision.AUTO
    seed: int = 0
    recalibration_pictures: int = 2000
    evaluation_pictures: int = 1000
    threads: int = 0
    stored_precision: Precision = Precision.FLOAT32
    compression: Compression = dataclasses.field(default_factory=Compression)
    placement: PlacementMode = PlacementMode.DATA_PARALLEL
    search: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    limits: str = ''

    def __post_init__(self) -> None:
        _at_least(
            self,
            {
                'held_out': 1,
                'batch_size': 1,
                'recalibration_pictures': 1,
                'evaluation_pictures': 0,
                'workers': 0,
                'threads': 0,
                'seed': 0,
                'test_every': 0,
                'canvas': 32,
            },
        )
        self._check_ranges()
        self._check_test_pictures()
        if self.initial_weights and self.fine_tune:
            raise TrainingConfigurationError(
                'initial_weights and fine_tune are both given: give one of them'
            )
        if self.stored_precision not in (Precision.FLOAT32, Precision.FLOAT16):
            raise TrainingConfigurationError(
                f'stored_precision is {self.stored_precision.value}: float32 or float16 is needed'
            )
        lossy = self.compression.method not in (Method.NONE, Method.FP16)
        if lossy and self.precision is Precision.FLOAT16:
            raise TrainingConfigurationError(
                f'compression is {self.compression.method.value}, precision float16, whose '
                'gradients have another scale from step to step: give bfloat16 or float32'
            )
        staged = self.placement is not PlacementMode.DATA_PARALLEL
        if staged and self.compression.method is Method.POWERSGD:
            raise TrainingConfigurationError(
                f'placement is {self.placement.value}, compression powersgd, which is for '
                'gradients alone: give adaptive, top_k, fp16 or none'
            )
        if not self.phases:
            raise TrainingConfigurationError('phases is empty: at least one is needed')
        names: list[str] = []
        for phase in self.phases:
            if phase.name in names:
                raise TrainingConfigurationError(
                    f'two phases are named {phase.name!r}: give each a name of its own'
                )
            if phase.teacher and phase.teacher not in names:
                raise TrainingConfigurationError(
                    f'phase {phase.name!r}: teacher is {phase.teacher!r}: the name of an earlier '
                    f'phase is needed ({", ".join(names) or "there is none"})'
                )
            if phase.rule is Rule.BOOTSTRAPPING and not self.averaging:
                raise TrainingConfigurationError(
                    f'phase {phase.name!r}: rule bootstrapping learns from averaged weights: give '
                    'averaging, 0.997 for example'
                )
            names.append(phase.name)

    def _check_test_pictures(self) -> None:
        given = self.test_data != Path()
        if given == bool(self.test_every):
            raise TrainingConfigurationError(
                'test_data is missing'
                if not given
                else 'test_data and test_every are both given: give one of them'
            )
        if self.test_every == 1:
            raise TrainingConfigurationError('test_every is 1, so no picture is left to train on')

    def _check_ranges(self) -> None:
        for name, usable, needed in (
            ('name', re.fullmatch('[a-z0-9_]+', self.name), 'small letters, digits, underscores'),
            ('mean', all(0.0 <= each <= 1.0 for each in self.mean), '0..1, of colours in 0..1'),
            (
                'standard_deviation',
                all(0.0 < each <= 1.0 for each in self.standard_deviation),
                'above 0, up to 1, of colours in 0..1',
            ),
            ('momentum', 0.0 < self.momentum < 1.0, 'above 0, below 1'),
            ('weight_decay', 0.0 <= self.weight_decay < math.inf, 'at least 0'),
            ('label_smoothing', 0.0 <= self.label_smoothing < 1.0, 'at least 0, below 1'),
            ('averaging', 0.0 <= self.averaging < 1.0, 'at least 0, below 1'),
            ('gradient_limit', self.gradient_limit > 0.0, 'above 0'),
        ):
            if not usable:
                raise TrainingConfigurationError(
                    f'{name} is {getattr(self, name)!r}: {needed} is needed'
                )

    @classmethod
    def from_mapping(cls, mapping: Mapping[str, Any]) -> TrainingConfiguration:
        """
        Return the configuration that a mapping describes; paths may hold `~` and `$NAME`.

        :raises TrainingConfigurationError: for a missing, unknown or ill-typed field.
        """
        return _build(cls, mapping)

    @classmethod
    def from_file(cls, path: Path) -> TrainingConfiguration:
        """
        Read a YAML file.

        :raises TrainingConfigurationError: if it cannot be read or used.
        """
        try:
            mapping = read_yaml(path)
            return cls.from_mapping(mapping)
        except OSError as error:
            raise TrainingConfigurationError(
                f'training configuration {path}: cannot be read ({error.strerror}). Give the path '
                "of a YAML file; the package's config/training has some to begin with"
            ) from error
        except (UnicodeError, yaml.YAMLError, TrainingConfigurationError) as error:
            raise TrainingConfigurationError(f'training configuration {path}: {error}') from error


_DataclassT = TypeVar('_DataclassT')


def _build(cls: type[_DataclassT], mapping: Any) -> _DataclassT:
    if not isinstance(mapping, Mapping):
        raise TrainingConfigurationError(f'{mapping!r} is given: a mapping of fields is needed')
    fields = {field.name: field for field in dataclasses.fields(cls)}  # type: ignore[arg-type]
    unknown = [name for name in mapping if name not in fields]
    if unknown:
        raise TrainingConfigurationError(
            f'unknown field {unknown[0]}; known are {", ".join(fields)}'
        )
    for name, field in fields.items():
        optional = (field.default, field.default_factory) != (dataclasses.MISSING,) * 2
        if not optional and name not in mapping:
            raise TrainingConfigurationError(f'{name} is missing')
    values = {}
    for name, value in mapping.items():
        # Annotations are text, as this module postpones their evaluation.
        annotation = str(fields[name].type)
        try:
            values[name] = _CONVERSIONS[annotation](value)
        except TrainingConfigurationError as error:
            raise TrainingConfigurationError(f'{name}: {error}') from error
        except (TypeError, ValueError, OverflowError) as error:
            raise TrainingConfigurationError(
                f'{name} is {value!r}: a value of type {annotation} is needed'
            ) from error
    return cls(**values)


def _at_least(values: Any, limits: Mapping[str, float], where: str = '') -> None:
    for name, least in limits.items():
        if not getattr(values, name) >= least:
            raise TrainingConfigurationError(
                f'{where}{name} is {getattr(values, name)}: at least {least} is needed'
            )


def _instance(*types: type) -> Callable[[Any], Any]:
    def convert(value: Any) -> Any:
        if not isinstance(value, types):
            raise TypeError
        return value

    return convert


def _path(value: Any) -> Path:
    return Path(os.path.expandvars(_instance(str, Path)(value))).expanduser()


def _integer(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or int(value) != value:
        raise TypeError
    return int(value)


def _colour(value: Any) -> tuple[float, float, float]:
    first, second, third = _instance(list, tuple)(value)
    return float(first), float(second), float(third)


def _phases(value: Any) -> tuple[Phase, ...]:
    phases = []
    for index, phase in enumerate(_instance(list, tuple)(value)):
        try:
            phases.append(phase if isinstance(phase, Phase) else Phase.from_mapping(phase))
        except TrainingConfigurationError as error:
            raise TrainingConfigurationError(f'[{index}]: {error}') from error
    return tuple(phases)


def _compression(value: Any) -> Compression:
    # Without anything to set the method may stand alone.
    if isinstance(value, Compression):
        return value
    mapping = {'method': value} if isinstance(value, str) else value
    try:
        return _build(Compression, mapping)
    except ValueError as error:
        raise TrainingConfigurationError(str(error)) from error


def _augmentation(value: Any) -> tuple[dict[str, dict[str, Any]], ...]:
    transforms = []
    for entry in _instance(list, tuple)(value):
        # A transform without arguments may be a name alone, or a name with nothing after it.
        named = {entry: {}} if isinstance(entry, str) else _instance(Mapping)(entry)
        if len(named) != 1:
            raise TypeError
        ((name, arguments),) = named.items()
        transforms.append({_instance(str)(name): dict(_instance(Mapping)(arguments or {}))})
    return tuple(transforms)


def _one_of(kind: type[Enum]) -> Callable[[Any], Enum]:
    def convert(value: Any) -> Enum:
        try:
            return kind(value)
        except ValueError as error:
            known = ', '.join(str(entry.value) for entry in kind)
            raise TrainingConfigurationError(f'{value!r} is none of {known}') from error

    return convert


def _choices(value: Any) -> dict[str, tuple[int, ...]]:
    return {
        _instance(str)(name): tuple(_integer(entry) for entry in _instance(list, tuple)(values))
        for name, values in _instance(Mapping)(value).items()
    }


def _names(value: Any) -> tuple[str, ...]:
    return tuple(_instance(str)(name) for name in _instance(list, tuple)(value))


def _values(value: Any) -> dict[str, int]:
    return {_instance(str)(n): _integer(entry) for n, entry in _instance(Mapping)(value).items()}


def _mappings(value: Any) -> tuple[dict[str, Any], ...]:
    return tuple(dict(_instance(Mapping)(entry)) for entry in _instance(list, tuple)(value))


_CONVERSIONS: dict[str, Callable[[Any], Any]] = {
    'Compression': _compression,
    'Method': _one_of(Method),
    'Path': _path,
    'Optimizer': _one_of(Optimizer),
    'Precision': _one_of(Precision),
    'PlacementMode': _one_of(PlacementMode),
    'Resize': _one_of(Resize),
    'Rule': _one_of(Rule),
    'bool': _instance(bool),
    'float': float,
    'int': _integer,
    'str': _instance(str),
    'tuple[Mapping[str, Mapping[str, Any]], ...]': _augmentation,
    'tuple[Mapping[str, Any], ...]': _mappings,
    'tuple[float, float, float]': _colour,
    'tuple[str, ...]': _names,
    'tuple[Phase, ...]': _phases,
    'Mapping[str, Any]': _instance(Mapping),
    'str | Mapping[str, Any]': _instance(str, Mapping),
    'Mapping[str, int]': _values,
    'Mapping[str, tuple[int, ...]]': _choices,
}
