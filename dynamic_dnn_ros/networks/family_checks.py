# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
What every family must keep, as a check for tests: of this package's families and of yours.

    from dynamic_dnn_ros.networks.family_checks import check_family

    def test_my_family():
        check_family(MyFamily, 'my_layout')
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
import inspect
import itertools
import math
import random
from typing import Any

import numpy as np
from safetensors.numpy import load, save
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from dynamic_dnn_ros.assertions import refused
from dynamic_dnn_ros.networks.contract import (
    Configuration,
    ConfigurationError,
    DynamicNetwork,
    StateError,
    statistics_of,
)
from dynamic_dnn_ros.networks.cutting import run_steps

#: A number that no field allows.
_ILLEGAL = 10_007

_UNKNOWN = 'nonesuch'
_STATISTICS = ('running_mean', 'running_var')

#: Pixels of a side up to which many sub-networks are run through the slow counter of PyTorch.
_SMALL = 100


def check_family(
    family: type[DynamicNetwork[Any]], layout: str | Mapping[str, Any], seed: int = 1
) -> None:
    """
    Check that a family keeps its contract.

    :param layout: of a small network best: some hundred sub-networks run, a few are rebuilt
    :param seed: of weights and sub-networks
    :raises AssertionError: naming what is not kept
    """
    suite = _Suite(family, layout, seed)
    suite.check_description()
    suite.check_layouts()
    suite.check_configurations()
    suite.check_uniform()
    suite.check_choices()
    suite.check_parts_of_choices()
    suite.check_landmarks()
    suite.check_counts()
    suite.check_extraction()
    suite.check_steps()
    suite.check_stages()
    suite.check_memory_of_extracted()
    suite.check_state()
    suite.check_statistics()
    suite.check_channel_sorting()
    suite.check_freezing()


class _Suite:
    """The checks of one family, on a network whose every tensor differs from its start."""

    def __init__(
        self, family: type[DynamicNetwork[Any]], layout: str | Mapping[str, Any], seed: int
    ) -> None:
        self.family = family
        self.seed = seed
        torch.manual_seed(seed)
        self.network = family.from_layout(layout).eval()
        with torch.no_grad():
            for parameter in self.network.parameters():
                spread = parameter.std().nan_to_num(1.0)
                parameter.add_(0.1 * spread * torch.randn(parameter.shape))
            for name, buffer in self.network.named_buffers():
                if name.endswith('running_mean'):
                    buffer.copy_(0.1 * torch.randn(buffer.shape))
                elif name.endswith('running_var'):
                    buffer.copy_(0.5 + torch.rand(buffer.shape))

    def sampled(self, count: int, seed: int = 0) -> list[Any]:
        """Return the smallest and the largest configuration, and random ones."""
        generator = random.Random(seed)
        drawn = [self.network.sample(generator) for _ in range(count)]
        return [self.network.smallest(), self.network.largest(), *drawn]

    def check_description(self) -> None:
        family = self.family
        assert isinstance(family.family, str) and family.family, 'a family has a name'
        assert isinstance(family.task, str) and family.task, 'a family says its task'
        assert isinstance(family.output_name, str) and family.output_name, (
            'a family names its output'
        )

    def check_layouts(self) -> None:
        network = self.network
        mapping = network.layout_mapping()
        again = self.family.from_layout(mapping)
        assert again.layout_mapping() == mapping, 'a layout survives as a mapping'
        shapes, others = (
            {name: value.shape for name, value in each.named_parameters()}
            for each in (network, again)
        )
        assert shapes == others, 'a network of the same layout has the same parameters'
        for illegal in (_UNKNOWN, {**mapping, _UNKNOWN: 1}):
            refused(
                lambda illegal=illegal: self.family.from_layout(illegal),  # type: ignore[misc]
                ConfigurationError,
                'a layout that is unknown, or has an unknown field,',
                'layout',
            )

    def check_configurations(self) -> None:
        network = self.network
        for configuration in self.sampled(5):
            again = network.configuration(configuration.to_mapping())
            assert again == configuration and hash(again) == hash(configuration), (
                f'a configuration survives as a mapping: {configuration}'
            )
        mapping = network.largest().to_mapping()
        missing = dict(list(mapping.items())[1:])
        for illegal in (missing, {**mapping, _UNKNOWN: 1}):
            refused(
                lambda illegal=illegal: network.configuration(illegal),  # type: ignore[misc]
                ConfigurationError,
                'a configuration with a missing or an unknown field',
                'configuration',
            )
        for field, value in mapping.items():
            legal = network.choices()[field]
            for wrong in (0, -1, _ILLEGAL, 'x', 2.5, None, True):
                if type(wrong) is int and wrong in legal:
                    continue
                entry = [wrong, *value[1:]] if isinstance(value, list) else wrong
                self._refused_field({**mapping, field: entry}, field, repr(wrong))
            lists = (value[1:], [*value, value[-1]], 3) if isinstance(value, list) else ()
            for other in lists:
                self._refused_field({**mapping, field: other}, field)

    def _refused_field(self, mapping: Mapping[str, Any], field: str, names: str = '') -> None:
        error: ConfigurationError | None = None
        try:
            self.network.configuration(mapping)
        except ConfigurationError as caught:
            error = caught
        assert error is not None, f'an illegal {field} is refused: {mapping[field]!r}'
        assert error.field.startswith(field), f'the error of an illegal {field} names it: {error}'
        assert names in str(error) and error.allowed in str(error), (
            f'the error of an illegal {field} says value and what is allowed: {error}'
        )

    def check_uniform(self) -> None:
        network = self.network
        values = {name: choices[-1] for name, choices in network.choices().items()}
        assert network.uniform(values) == network.largest(), (
            'a uniform configuration has the values given'
        )
        for name in values:
            refused(
                lambda name=name: network.uniform({**values, name: _ILLEGAL}),  # type: ignore[misc]
                ConfigurationError,
                f'an illegal value of {name} for all layers',
                name,
            )
        refused(
            lambda: network.uniform({**values, _UNKNOWN: 1}),
            ConfigurationError,
            'a value for an unknown field',
            _UNKNOWN,
        )

    def check_choices(self) -> None:
        network = self.network
        generator = random.Random(4)
        drawn = [network.sample(generator) for _ in range(200)]
        choices = network.choices()
        assert choices.keys() == network.largest().to_mapping().keys(), (
            'each field of a configuration has choices'
        )
        for field, allowed in choices.items():
            found = set().union(*(_values(each, field) for each in drawn))
            assert found == set(allowed), (
                f'samples have every choice of {field}, and no other: {found}'
            )
        assert self.sampled(10, seed=3) == self.sampled(10, seed=3), (
            'sampling repeats with its seed'
        )
        every = math.prod(len(allowed) for allowed in choices.values())
        assert len(set(self.sampled(20, seed=3))) >= min(every, 18), 'samples vary'

    def check_parts_of_choices(self) -> None:
        network = self.network
        for field, allowed in network.choices().items():
            for part in ([allowed[0]], [allowed[-1]], list(allowed[-2:])):
                self._check_part(field, part)
            more = [*allowed, -1]
            for illegal in ([_ILLEGAL], more, [True], ['x'], [], allowed[0], None):
                for call in (network.smallest, network.largest, self._sample):
                    refused(
                        lambda call=call, illegal=illegal: call({field: illegal}),  # type: ignore[misc] # noqa: B023
                        ConfigurationError,
                        f'what is no part of the choices of {field}',
                        field,
                    )
        refused(
            lambda: network.smallest({_UNKNOWN: [1]}),
            ConfigurationError,
            'a part of an unknown field',
            _UNKNOWN,
        )
        within = {name: tuple(reversed(allowed)) for name, allowed in network.choices().items()}
        assert (
            network.smallest(within) == network.smallest()
            and network.largest(within) == network.largest()
            and self._sample(within) == self._sample()
        ), 'a part is a set, whatever its order'

    def _sample(self, within: Mapping[str, Sequence[int]] | None = None) -> Any:
        return self.network.sample(random.Random(6), within)

    def _check_part(self, field: str, part: Sequence[int]) -> None:
        network = self.network
        within = {field: part}
        generator = random.Random(5)
        drawn = [network.sample(generator, within=within) for _ in range(50)]
        found = set().union(*(_values(each, field) for each in drawn))
        allowed = set(part)
        if field in network.fields_that_fall_back:
            allowed.add(network.choices()[field][0])
            found.add(network.choices()[field][0])
        assert found == allowed, f'samples keep to a part of {field}: {found} of {part}'
        assert len(set(drawn)) > 1 or len(part) == 1, 'the other fields stay free'
        ends = network.smallest(within=within), network.largest(within=within)
        assert all(_values(each, field) <= allowed for each in ends), (
            f'the smallest and the largest keep to a part of {field}'
        )
        counts = [network.multiply_adds(each) for each in drawn]
        low, high = (network.multiply_adds(each) for each in ends)
        assert low <= min(counts) and max(counts) <= high, (
            f'the smallest and the largest bound the multiply-adds: {low}, {high}'
        )

    def check_landmarks(self) -> None:
        network = self.network
        landmarks = network.landmarks()
        counts = [network.multiply_adds(each) for each in landmarks]
        assert counts == sorted(set(counts)), f'landmarks rise: {counts}'
        assert landmarks[-1] == network.largest(), 'the last landmark is the largest'
        for each in landmarks:
            assert network.configuration(each.to_mapping()) == each, 'landmarks are legal'

    def check_counts(self) -> None:
        network = self.network
        configurations = self.sampled(20)
        counted = len(configurations) if max(network.largest().size) < _SMALL else 5
        for index, configuration in enumerate(configurations):
            # With exits the largest path counts, which is all stages; with gates the whole does.
            parts: tuple[nn.Module, ...] = ()
            if all(len(onward) < 2 for onward in network.stage_routes(configuration)):
                parts = network.extract_stages(configuration, share_weights=True)
            parts = parts or (network.extract(configuration, share_weights=True),)
            static = nn.ModuleList(parts)
            parameters = sum(parameter.numel() for parameter in static.parameters())
            assert network.parameter_count(configuration) == parameters, (
                f'parameters are counted as the extracted module has them: {parameters}'
            )
            layers = sum(isinstance(each, (nn.Conv2d, nn.Linear)) for each in static.modules())
            assert network.layer_count(configuration) == layers, (
                f'layers are counted as the extracted module has them: {layers}'
            )
            if index >= counted:
                continue
            with FlopCounterMode(display=False) as counter, torch.no_grad():
                _run(parts, _images(configuration, count=1))
            # PyTorch counts a multiplication and an addition as two.
            expected = counter.get_total_flops() // 2
            assert network.multiply_adds(configuration) == expected, (
                f'multiply-adds are those that PyTorch counts: {expected}'
            )
        counts = [network.multiply_adds(each) for each in configurations]
        assert counts[0] == min(counts) and counts[1] == max(counts), (
            f'the smallest and the largest bound the multiply-adds: {counts}'
        )

    @torch.no_grad()
    def check_extraction(self) -> None:
        network = self.network
        for configuration in self.sampled(4):
            network.activate(configuration)
            images = _images(configuration)
            expected = network(images)
            scale = max(float(expected.abs().max()), 1.0)
            for share in (False, True):
                found = network.extract(configuration, share_weights=share)(images)
                assert float((found - expected).abs().max()) <= 1e-5 * scale, (
                    'an extracted module computes what the active network computes'
                )
        static = network.extract(network.largest())
        assert not any(each.training for each in static.modules()), (
            'an extracted module is in eval mode'
        )
        assert not any(parameter.requires_grad for parameter in static.parameters()), (
            'the parameters of an extracted module take no gradient'
        )

    @torch.no_grad()
    def check_steps(self) -> None:
        """Where a family says that a sub-network can be cut, its parts compute the same."""
        network = self.network
        for configuration in self.sampled(2):
            network.activate(configuration)
            places = network.places(configuration)
            both = network.steps(), network.extract_steps(configuration, share_weights=True)
            images = _images(configuration)
            expected = network(images)
            scale = max(float(expected.abs().max()), 1.0)
            for steps in both:
                found = [step.place for step in steps if step.place]
                assert found == list(places), (
                    f'steps have the places that the family says: {found}, {list(places)}'
                )
                values: tuple[torch.Tensor, ...] = (images,)
                for step in steps:
                    values = run_steps([step], *values)
                    if step.place:
                        assert tuple(values[0].shape[1:]) == places[step.place], (
                            f'the shape at {step.place} is {tuple(values[0].shape[1:])}'
                        )
                if steps:
                    assert len(values) == 1, 'the last step gives the answer alone'
                    assert float((values[0] - expected).abs().max()) <= 1e-5 * scale, (
                        'step after step the answer is that of the active network'
                    )
            names = {name for name, _ in network.named_parameters()}
            for step in both[1]:
                prefix = f'{step.name}.' if step.name else ''
                own = [f'{prefix}{name}' for name, _ in step.module.named_parameters()]
                assert names.issuperset(own), (
                    f'the parameters of step {step.name!r} bear their names in the network'
                )

    def check_stages(self) -> None:
        network = self.network
        configurations = (*self.sampled(2), *network.staged())
        for configuration, share in itertools.product(configurations, (False, True)):
            network.activate(configuration)
            parts = network.extract_stages(configuration, share_weights=share)
            if not parts:
                continue
            assert len(parts) > 1, 'what has one stage is one piece: extract_stages gives none'
            self._check_paths(parts, network.stage_routes(configuration), configuration)
            names = {name for name, _ in network.named_parameters()}
            assert all(name in names for part in parts for name, _ in part.named_parameters()), (
                'the parameters of a stage bear their names in the dynamic network'
            )

    def _check_paths(
        self,
        parts: Sequence[nn.Module],
        following: Sequence[Sequence[int]],
        configuration: Configuration,
    ) -> None:
        assert len(following) == len(parts), 'stage_routes has an entry for each stage'
        images = _images(configuration)
        answers: dict[int, torch.Tensor] = {}
        taken: dict[int, tuple[torch.Tensor, ...]] = {0: (images,)}
        for number, (part, onward) in enumerate(zip(parts, following)):
            assert not part.training, 'a stage is in eval mode'
            assert all(number < each < len(parts) for each in onward), (
                f'only later stages follow a stage: {following}'
            )
            assert number in taken, f'a stage leads to each but the first: {following}'
            found = part(*taken[number])
            assert isinstance(found, tuple) and (onward or len(found) == 1), (
                'a stage gives a tuple of tensors' if onward else 'the last stage gives its answer'
            )
            if not onward:
                answers[number] = found[0]
            if len(onward) > 1:
                assert found[0].shape == (len(images), len(onward)), (
                    'a gate gives a score for each stage that it chooses of'
                )
            for each in onward:
                # Its answer, where it has an exit, comes first and is not handed on.
                handed = _handed_on(found, part, parts[each])
                known = taken.setdefault(each, handed)
                assert [v.shape for v in known] == [v.shape for v in handed], (
                    'a stage takes the same of all that lead to it'
                )
        end = 0
        while following[end]:
            end = following[end][-1]
        # Where paths meet, what the last stage took here is not of the largest alone.
        if sum(map(len, following)) == len(parts) - 1:
            expected = self.network.extract(configuration)(images)
            scale = max(float(expected.abs().max()), 1.0)
            assert float((answers[end] - expected).abs().max()) <= 1e-5 * scale, (
                'stage after stage the answer is that of the extracted module'
            )

    def check_memory_of_extracted(self) -> None:
        network = self.network
        own = {parameter.data_ptr() for parameter in network.parameters()}
        copied = network.extract(network.largest())
        assert not own & {parameter.data_ptr() for parameter in copied.parameters()}, (
            'an extracted copy has weights of its own'
        )
        shared = network.extract(network.largest(), share_weights=True)
        assert all(parameter.data_ptr() in own for parameter in shared.parameters()), (
            'with shared weights those of the largest are those of the network'
        )
        before = {name: buffer.clone() for name, buffer in network.named_buffers()}
        static = network.extract(network.smallest(), share_weights=True)
        for name, buffer in static.named_buffers():
            if name.endswith(_STATISTICS):
                buffer.add_(1.0)
        assert all(torch.equal(value, before[name]) for name, value in network.named_buffers()), (
            'batch-norm statistics are always copied'
        )

    @torch.no_grad()
    def check_state(self) -> None:
        network = self.network
        state = network.state()
        rebuilt = self.family.from_layout(network.layout_mapping()).eval()
        rebuilt.load_state(load(save(state)))
        for configuration in self.sampled(3):
            network.activate(configuration)
            rebuilt.activate(configuration)
            rebuilt.load_batch_norm_statistics(load(save(network.batch_norm_statistics())))
            images = _images(configuration)
            assert torch.equal(
                rebuilt.extract(configuration)(images), network.extract(configuration)(images)
            ), 'state and statistics rebuild every sub-network to the bit'
        rebuilt.load_state(state, share_memory=True)
        addresses = {array.ctypes.data for array in state.values()}
        static = rebuilt.extract(network.largest(), share_weights=True)
        assert all(parameter.data_ptr() in addresses for parameter in static.parameters()), (
            'shared state and shared weights are the memory of the arrays'
        )
        name = sorted(state)[0]
        for arrays, said in (
            ({key: value for key, value in state.items() if key != name}, f'missing {name}'),
            ({**state, _UNKNOWN: state[name]}, f'left over {_UNKNOWN}'),
            ({**state, name: np.zeros((1, 2, 3), np.float32)}, f'{name} has shape (1, 2, 3)'),
        ):
            refused(
                lambda arrays=arrays: network.load_state(arrays),  # type: ignore[misc]
                StateError,
                'a state that does not fit',
                said,
            )

    def check_statistics(self) -> None:
        network = self.network
        state = network.state()
        for configuration in self.sampled(0):
            network.activate(configuration)
            own = network.batch_norm_statistics()
            found = statistics_of(network.extract(configuration))
            expected = own
            if not network.statistics_per_sub_network:
                assert own == {}, 'no sub-network has statistics of its own where all share them'
                expected = {name: array for name, array in state.items() if name in found}
            assert found.keys() == expected.keys() and all(
                np.array_equal(found[name], expected[name]) for name in expected
            ), 'statistics bear the names of the extracted module'
        refused(
            lambda: network.load_batch_norm_statistics({**own, _UNKNOWN: np.zeros(1)}),
            StateError,
            'statistics with one left over',
            _UNKNOWN,
        )
        for name in list(own)[:3]:
            fewer = {key: value for key, value in own.items() if key != name}
            for arrays in (fewer, {**own, name: own[name][:-1]}):
                refused(
                    lambda arrays=arrays: network.load_batch_norm_statistics(arrays),  # type: ignore[misc]
                    StateError,
                    'statistics that do not fit',
                    name,
                )

    @torch.no_grad()
    def check_channel_sorting(self) -> None:
        network = self.network
        largest = network.largest()
        images = _images(largest)
        network.activate(largest)
        before = network(images)
        network.sort_channels()
        scale = max(float(before.abs().max()), 1.0)
        assert float((network(images) - before).abs().max()) <= 1e-4 * scale, (
            'sorting channels leaves the largest sub-network as it is'
        )

    def check_freezing(self) -> None:
        """A family keeps its smallest sub-network while others train, or refuses by name."""
        network = self.network
        smallest, largest = network.smallest(), network.largest()
        error: ConfigurationError | None = None
        try:
            network.freeze(smallest)
        except ConfigurationError as caught:
            error = caught
        if error is not None:
            assert error.field == 'freeze', f'who can keep no sub-network says so: {error}'
        else:
            images = _images(smallest)
            before = network.extract(smallest)(images)
            self._train(largest)
            assert torch.equal(network.extract(smallest)(images), before), (
                'a frozen sub-network stays the same bits while others train'
            )
        network.freeze(None)
        assert all(parameter.requires_grad for parameter in network.parameters()), (
            'all train again where nothing is frozen'
        )

    def _train(self, configuration: Configuration) -> None:
        """Make one step of a training on noise."""
        network = self.network
        network.train()
        network.activate(configuration)
        parameters = [each for each in network.parameters() if each.requires_grad]
        optimiser = torch.optim.SGD(parameters, lr=0.1)
        loss: torch.Tensor = network(_images(configuration, count=4)).square().mean()
        loss.backward()
        optimiser.step()
        network.eval()


def _images(configuration: Configuration, count: int = 2) -> torch.Tensor:
    generator = torch.Generator().manual_seed(2)
    return torch.randn(count, 3, *configuration.size, generator=generator)


def _handed_on(
    found: tuple[torch.Tensor, ...], part: nn.Module, following: nn.Module
) -> tuple[torch.Tensor, ...]:
    """Return what the next stage takes: an answer or the scores of a gate are not handed on."""
    taken = inspect.signature(following.forward).parameters.values()
    if any(each.kind is each.VAR_POSITIONAL for each in taken):
        return found[1:] if getattr(part, 'decides', True) else found
    return found[-len(taken) :]


def _run(parts: Sequence[nn.Module], images: torch.Tensor) -> Any:
    """Return what the last stage gives, or a sub-network of one piece."""
    if len(parts) == 1:
        return parts[0](images)
    found: tuple[torch.Tensor, ...] = (images,)
    for part, following in itertools.pairwise(parts):
        found = part(*found)
        assert isinstance(found, tuple), 'a stage gives a tuple of tensors'
        found = _handed_on(found, part, following)
    last = parts[-1](*found)
    assert isinstance(last, tuple) and len(last) == 1, 'the last stage gives its answer'
    return last


def _values(configuration: Configuration, field: str) -> set[Any]:
    value = configuration.to_mapping()[field]
    return set(value) if isinstance(value, list) else {value}
