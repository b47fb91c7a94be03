# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The contract that every family of dynamic networks keeps."""

from __future__ import annotations

import abc
from collections.abc import Iterator, Mapping, Sequence
import random
from typing import Any, ClassVar, Generic, NamedTuple, Protocol, TypeVar

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from dynamic_dnn_ros.networks.checks import ConfigurationError as ConfigurationError
from dynamic_dnn_ros.networks.checks import as_sequence, one_of, require_choice
from dynamic_dnn_ros.networks.decisions import Decisions
from dynamic_dnn_ros.pictures.placement import Size

Arrays = dict[str, npt.NDArray[Any]]
"""Named tensors as numpy arrays, as they lie in a safetensors file."""

Choices = Mapping[str, Sequence[int]]
"""Fields of a configuration, each with some of the values that the layout allows."""

_STATISTICS = ('running_mean', 'running_var')


class StateError(ValueError):
    """Arrays that do not fit a network: missing, left over, or of another shape."""


class Section(nn.Module, abc.ABC):
    """Part of a network, whose layers lie anywhere in it and bear their full names."""

    @abc.abstractmethod
    def mount(self, root: nn.Module) -> None:
        """Have the layers under their names in another module too."""

    @abc.abstractmethod
    def run(self, root: nn.Module, value: torch.Tensor) -> torch.Tensor:
        """Compute with the layers that lie under these names in `root`."""

    def forward(self, value: torch.Tensor) -> torch.Tensor:
        """Compute with the own layers."""
        return self.run(self, value)


class Step(NamedTuple):
    """
    A module of a sub-network that runs after another one, and what comes after it.

    It takes what the one before gives: a tensor, or several as a tuple.
    """

    module: nn.Module
    name: str = ''
    """Of the module in the dynamic network; empty: it has no parameters, or is a `Section`."""
    place: str = ''
    """The name of the place after it, where the sub-network can be cut; empty: it cannot."""


class Configuration(Protocol):
    """One sub-network of a family, a frozen and hashable value."""

    @property
    def size(self) -> Size:
        """Return the size of the input."""

    def to_mapping(self) -> dict[str, Any]:
        """Return the configuration as plain lists and numbers, as a manifest holds it."""


ConfigurationT = TypeVar('ConfigurationT', bound=Configuration)


class DynamicNetwork(nn.Module, abc.ABC, Generic[ConfigurationT]):
    """
    One set of weights from which many sub-networks run.

    A batch is float32, N x 3 x height x width, normalised; scaling the pictures to the size of the
    configuration is the caller's. What the output is, the family's task says: logits, N x classes,
    of a classifier.
    """

    family: ClassVar[str]

    task: ClassVar[str] = 'classification'
    """The name of the task that the output is for."""

    output_name: ClassVar[str] = 'logits'
    """What graphs and engines call the output."""

    last_layers: ClassVar[tuple[str, ...]] = ()
    """
    The names of the modules that turn features into answers, `*` for any name.

    Fine-tuning trains these first. First of the rows of those tensors that change with the number
    of classes come those of the classes.
    """

    statistics_per_sub_network: ClassVar[bool] = True
    """
    Whether each sub-network has batch-norm statistics of its own, to be recalibrated.

    Where False, one set serves all: it belongs to the weights, is part of `state`, and must not
    be recalibrated for a single sub-network.
    """

    fields_that_fall_back: ClassVar[frozenset[str]] = frozenset()
    """Fields that have their first choice wherever a sub-network cannot have another one."""

    @classmethod
    @abc.abstractmethod
    def from_layout(cls, layout: str | Mapping[str, Any]) -> DynamicNetwork[Any]:
        """
        Create the network of a layout, with fresh weights.

        :param layout: the name of a layout that the family supplies, or its mapping.
        :raises ConfigurationError: for an unknown name or an illegal field.
        """

    @abc.abstractmethod
    def layout_mapping(self) -> dict[str, Any]:
        """Return the layout as plain values, as a manifest holds it."""

    @abc.abstractmethod
    def configuration(self, mapping: Mapping[str, Any]) -> ConfigurationT:
        """
        Return the legal configuration that a mapping describes.

        :raises ConfigurationError: naming the field, its value and the allowed values.
        """

    @abc.abstractmethod
    def choices(self) -> dict[str, tuple[int, ...]]:
        """Return each field of a configuration with its allowed values, the cheapest first."""

    @abc.abstractmethod
    def uniform(self, values: Mapping[str, int]) -> ConfigurationT:
        """
        Return the configuration all of whose layers have the same values.

        :param values: one allowed value for each field.
        :raises ConfigurationError: naming the field, its value and the allowed values.
        """

    @abc.abstractmethod
    def sample(self, generator: random.Random, within: Choices | None = None) -> ConfigurationT:
        """
        Return a configuration drawn uniformly over the choices of each field.

        :param within: fields that draw from a part of their choices only.
        :raises ConfigurationError: if that is no part of them, naming the field and its choices.
        """

    def choices_within(self, within: Choices | None) -> dict[str, tuple[int, ...]]:
        """
        Return the choices with those of some fields replaced by a part of them.

        :raises ConfigurationError: if that is no part of them, naming the field and its choices.
        """
        choices = self.choices()
        for name, part in (within or {}).items():
            require_choice('field', name, tuple(choices))
            allowed = choices[name]
            chosen = as_sequence(name, part)
            if not chosen:
                raise ConfigurationError(name, part, f'at least {one_of(allowed)}')
            for value in chosen:
                require_choice(name, value, allowed)
            choices[name] = tuple(value for value in allowed if value in chosen)
        return choices

    def smallest(self, within: Choices | None = None) -> ConfigurationT:
        """Return the configuration with the least multiply-adds; `within` as for sample."""
        choices = self.choices_within(within)
        return self.uniform({name: values[0] for name, values in choices.items()})

    def largest(self, within: Choices | None = None) -> ConfigurationT:
        """Return the configuration with the most multiply-adds; `within` as for sample."""
        choices = self.choices_within(within)
        return self.uniform({name: values[-1] for name, values in choices.items()})

    def landmarks(self) -> tuple[ConfigurationT, ...]:
        """Return the configurations to keep where no search chose any, the smallest first."""
        return self.smallest(), self.largest()

    @abc.abstractmethod
    def activate(self, configuration: ConfigurationT) -> None:
        """
        Make the following calls of forward run this sub-network. Moves no weight.

        :raises ConfigurationError: if the configuration is illegal for the layout.
        """

    @abc.abstractmethod
    def extract(self, configuration: ConfigurationT, share_weights: bool = False) -> nn.Module:
        """
        Return the sub-network alone, a static module of plain torch layers in eval mode.

        Its modules bear the names that they have in the dynamic network. Batch-norm statistics
        are always copied, since each sub-network has its own.

        :param share_weights: let weights be views of the network's tensors where that is
            possible, instead of copies.
        :raises ConfigurationError: if the configuration is illegal for the layout.
        """

    def decisions(self) -> Decisions | None:
        """Return how blocks of the active sub-network decide by the picture; None: none does."""
        return None

    def extract_stages(
        self, configuration: ConfigurationT, share_weights: bool = False
    ) -> tuple[nn.Module, ...]:
        """
        Return the parts of the sub-network that run without a decision; none: it is one piece.

        Static modules as of `extract`, whose parameters bear their names in the dynamic network.
        The first takes the batch, each other one the tensors that the one before hands on, see
        `stage_routes`. Each returns a tuple: first its answer where there is an exit after it, or
        the scores of its gate, then what it hands on. A last one hands nothing on; the answer of
        the largest path is that of the module of `extract`.
        """
        return ()

    def stage_routes(self, configuration: ConfigurationT) -> tuple[tuple[int, ...], ...]:
        """
        Return the numbers of the stages that may run after each stage; none: its answer is final.

        After one that several may follow its gate decides, by scores N x stages that it gives
        first; the largest path takes the last of them. By default each next one follows.
        """
        count = len(self.extract_stages(configuration, share_weights=True))
        return tuple((number + 1,) if number + 1 < count else () for number in range(count))

    def stage_names(self, configuration: ConfigurationT) -> tuple[str, ...]:
        """
        Return the names of stages between which gates decide; none: there are no such.

        A trained bundle then has the sub-network with these stages.
        """
        return ()

    def staged(self) -> tuple[ConfigurationT, ...]:
        """Return configurations that have stages, where samples have none."""
        return ()

    def places(self, configuration: ConfigurationT) -> dict[str, tuple[int, ...]]:
        """
        Return where a sub-network can be cut in two, in order; none: nowhere.

        The name of each place, and the shape of the first tensor that is handed on there, of one
        picture: (channels, height, width), (tokens, channels), or (classes,) where that is an
        answer already. A place that several sub-networks have bears one name.
        """
        return {}

    def with_beginning(
        self, configuration: ConfigurationT, beginning: ConfigurationT, place: int
    ) -> ConfigurationT:
        """
        Return a sub-network that begins as another one, up to a place.

        :param place: its number in the order of `places`, from 0, of both
        :raises ConfigurationError: where there is no such place
        """
        raise ConfigurationError('place', place, f'none: family {self.family!r} cannot be cut')

    def steps(self) -> tuple[Step, ...]:
        """
        Return the modules that the active sub-network runs one after the other.

        None where it cannot be cut; otherwise the last step gives the answer.
        """
        return ()

    def extract_steps(
        self, configuration: ConfigurationT, share_weights: bool = False
    ) -> tuple[Step, ...]:
        """Return the steps of a sub-network as static modules of `extract`."""
        return ()

    @abc.abstractmethod
    def multiply_adds(self, configuration: ConfigurationT) -> int:
        """Return the multiply-adds of all convolutions and linear layers for one picture."""

    @abc.abstractmethod
    def parameter_count(self, configuration: ConfigurationT) -> int:
        """Return the number of trainable parameters that the extracted sub-network has."""

    @abc.abstractmethod
    def layer_count(self, configuration: ConfigurationT) -> int:
        """Return the number of convolutions and linear layers of the extracted sub-network."""

    @abc.abstractmethod
    def active_batch_norms(self) -> Iterator[tuple[str, nn.BatchNorm2d, int]]:
        """
        Yield name, module and number of channels of each active batch-norm layer.

        None where the statistics are not the sub-network's own.
        """

    def sort_channels(self, trained: Choices | None = None) -> None:
        """
        Put the most important channels first, without change of the largest sub-network.

        Does nothing where smaller sub-networks do not consist of the first channels.

        :param trained: what has been trained of a field's choices; sub-networks of these do not
            change either.
        """

    def freeze(self, configuration: ConfigurationT | None) -> None:
        """
        Keep a sub-network as it is, bit for bit, while others train; None lets all train again.

        Its parameters take no gradient, and its batch-norm layers stay in eval mode under train().

        :raises ConfigurationError: where sub-networks share weights, so that none can be kept.
        """
        if configuration is not None:
            raise ConfigurationError(
                'freeze', configuration.to_mapping(), f'nothing: all of a {self.family} trains'
            )

    def batch_norm_statistics(self) -> Arrays:
        """Return a copy of the batch-norm statistics that are the active sub-network's own."""
        return {
            f'{name}.{kind}': getattr(module, kind)[:channels].detach().cpu().numpy().copy()
            for name, module, channels in self.active_batch_norms()
            for kind in _STATISTICS
        }

    def load_batch_norm_statistics(self, statistics: Mapping[str, npt.NDArray[Any]]) -> None:
        """
        Put statistics into the active sub-network's batch-norm layers.

        :raises StateError: if an array is missing, left over, or has another shape.
        """
        targets = {
            f'{name}.{kind}': getattr(module, kind)[:channels]
            for name, module, channels in self.active_batch_norms()
            for kind in _STATISTICS
        }
        _check_fit('batch-norm statistics', targets, statistics)
        with torch.no_grad():
            for name, target in targets.items():
                target.copy_(to_tensor(statistics[name]))

    def state(self) -> Arrays:
        """Return a copy of all that sub-networks share; statistics of their own are kept apart."""
        return {
            name: tensor.detach().cpu().numpy().copy() for name, tensor in self._shared().items()
        }

    def load_state(
        self, arrays: Mapping[str, npt.NDArray[Any]], share_memory: bool = False
    ) -> None:
        """
        Take over what `state` returned.

        :param share_memory: use the memory of float32 arrays, so that several networks made
            from the same arrays hold one copy of the weights.
        :raises StateError: if an array is missing, left over, or has another shape.
        """
        _check_fit('weights', self._shared(), arrays)
        tensors = {name: to_tensor(array) for name, array in arrays.items()}
        if not share_memory:
            tensors = {name: tensor.clone() for name, tensor in tensors.items()}
        self.load_state_dict(tensors, strict=False, assign=True)

    def _shared(self) -> dict[str, torch.Tensor]:
        shared: dict[str, torch.Tensor] = dict(self.named_parameters())
        if not self.statistics_per_sub_network:
            shared.update(
                (name, buffer)
                for name, buffer in self.named_buffers()
                if name.rpartition('.')[2] in _STATISTICS
            )
        return shared


def statistics_prefix(module: nn.Module) -> str:
    """
    Return how the names of a stage's batch-norm statistics begin in those of its sub-network.

    Empty unless the module has an attribute `statistics_prefix`: where two stages run one layer,
    each with statistics of its own.
    """
    return str(getattr(module, 'statistics_prefix', ''))


def to_tensor(array: npt.NDArray[Any]) -> torch.Tensor:
    """Return an array as float32 tensor, sharing its memory where the array allows it."""
    return torch.from_numpy(np.require(array, dtype=np.float32, requirements=('C', 'W')))


def statistics_of(module: nn.Module) -> Arrays:
    """Return a copy of the batch-norm statistics of a static module."""
    return {
        name: buffer.detach().cpu().numpy().copy()
        for name, buffer in module.named_buffers()
        if name.rpartition('.')[2] in _STATISTICS
    }


def _check_fit(
    what: str, expected: Mapping[str, torch.Tensor], arrays: Mapping[str, npt.NDArray[Any]]
) -> None:
    missing = sorted(expected.keys() - arrays.keys())
    left_over = sorted(arrays.keys() - expected.keys())
    if missing or left_over:
        raise StateError(
            f'{what} do not fit the network: missing {_few(missing)}; left over {_few(left_over)}'
        )
    for name, tensor in expected.items():
        if tuple(tensor.shape) != tuple(arrays[name].shape):
            raise StateError(
                f'{what} do not fit the network: {name} has shape {tuple(arrays[name].shape)}, '
                f'the network needs {tuple(tensor.shape)}'
            )


def _few(names: list[str]) -> str:
    if not names:
        return 'none'
    more = f' and {len(names) - 4} more' if len(names) > 4 else ''
    return ', '.join(names[:4]) + more
