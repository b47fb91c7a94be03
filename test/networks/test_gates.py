# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Gates on a family: what the choices share, what each has of its own."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from dynamic_dnn_ros.networks.contract import ConfigurationError, StateError
from dynamic_dnn_ros.networks.cutting import costs_at
from dynamic_dnn_ros.networks.family_checks import _Suite
from dynamic_dnn_ros.networks.gates import GateNetwork, with_gates
from dynamic_dnn_ros.networks.ofa_mobilenet_v3 import OfaMobileNetV3
from dynamic_dnn_ros.networks.registry import create
from dynamic_dnn_ros.networks.slimmable.network import Slimmable
from support.adaptive_bundle import adaptive_network
from support.gated_bundle import gated_layout
from support.slimmable import layout_of, transformer


def made(**changes: Any) -> GateNetwork:
    network = create('ofa_mobilenet_v3', gated_layout(**changes))
    assert isinstance(network, GateNetwork)
    return network.eval()


def transformer_layout() -> dict[str, Any]:
    """Return a transformer with a gate behind its first block: width and depth of the rest."""
    network = transformer().network
    first, whole = network.smallest(), network.largest()
    choices = [first, network.with_beginning(whole, first, 1)]
    gate = {'after': 1, 'squeeze': 4, 'choices': [each.to_mapping() for each in choices]}
    return {**layout_of(transformer()), 'gates': [gate]}


@pytest.mark.parametrize(
    ('family', 'layout'),
    [
        (OfaMobileNetV3, gated_layout()),
        (Slimmable, transformer_layout()),
    ],
    ids=['ofa_mobilenet_v3', 'transformer'],
)
def test_a_family_with_gates_keeps_its_contract(family: Any, layout: dict[str, Any]) -> None:
    suite = _Suite(with_gates(family), layout, 0)
    suite.check_stages()
    suite.check_extraction()
    suite.check_state()
    suite.check_statistics()


def test_tensors_keep_the_names_of_the_family() -> None:
    network = made()
    plain = OfaMobileNetV3.from_layout(network.backbone.layout_mapping())
    own = {name for name, _ in network.named_parameters()}
    added = own - {name for name, _ in plain.named_parameters()}
    assert {name.rsplit('.', 1)[0] for name in added} == {'gates.0.reduce', 'gates.0.score'}
    assert network.layout_mapping() == gated_layout()
    assert network.gated(0).to_mapping() == {'gate': 0}
    assert network.configuration({'gate': 0}) == network.gated(0)


@pytest.mark.parametrize(('after', 'handed'), [(0, 1), (1, 2)])
@torch.inference_mode()
def test_each_choice_has_statistics_of_its_own_and_the_beginning_is_shared(
    after: int, handed: int
) -> None:
    network = made(after=after)
    configuration = network.gated(0)
    generator = np.random.default_rng(0)
    of_choices = []
    beginning: dict[str, Any] = {}
    for choice in configuration.choices:
        network.activate(choice)
        found = {
            name: (0.5 + generator.random(array.shape)).astype(np.float32)
            for name, array in network.batch_norm_statistics().items()
        }
        beginning = beginning or found
        shared, _ = network._names_around(choice, 0)
        of_choices.append(
            {name: beginning[name] if name in shared else each for name, each in found.items()}
        )
    network.activate(configuration)
    own = network.together(configuration, of_choices)
    assert {name.split('.')[0] for name in own} >= {'stem', 'choice_0', 'choice_1'}
    network.load_batch_norm_statistics(own)
    assert network.batch_norm_statistics().keys() == own.keys()
    images = torch.randn(2, 3, *configuration.size)
    first, *rest = network.extract_stages(configuration)
    scores, *features = first(images)
    assert len(features) == handed
    assert scores.shape == (2, 2)
    for part, choice, statistics in zip(rest, configuration.choices, of_choices):
        network.activate(choice)
        network.load_batch_norm_statistics(statistics)
        expected = network.extract(choice)(images)
        torch.testing.assert_close(part(*features)[0], expected)
    network.activate(configuration)
    for broken in ({**own, 'nonesuch': np.zeros(1)}, dict(list(own.items())[1:])):
        with pytest.raises(StateError, match='do not fit gate 0'):
            network.load_batch_norm_statistics(broken)


@torch.inference_mode()
def test_answers_of_choices_are_exits() -> None:
    narrow, wide = gated_layout()['gates'][0]['choices']
    middle = {**narrow, 'depth': [1, 2]}
    network = made(squeeze=0, after=1, choices=[narrow, middle, wide])
    configuration = network.gated(0)
    generator = np.random.default_rng(0)
    of_choices: list[Any] = []
    for choice in configuration.choices:
        network.activate(choice)
        of_choices.append(
            {
                name: (0.5 + generator.random(array.shape)).astype(np.float32)
                for name, array in network.batch_norm_statistics().items()
            }
        )
        # Each has the statistics of `narrow` where it begins as that: `middle` in both places.
        shared, _ = network._names_around(choice, int(len(of_choices) == 2))
        beginning = {name: each for name, each in of_choices[0].items() if name in shared}
        of_choices[-1].update(beginning)
    network.activate(configuration)
    network.load_batch_norm_statistics(network.together(configuration, of_choices))
    values: tuple[torch.Tensor, ...] = (torch.randn(2, 3, *configuration.size),)
    images = values[0]
    assert network.stage_routes(configuration) == ((1,), (2,), ())
    for part, choice, statistics in zip(
        network.extract_stages(configuration), configuration.choices, of_choices
    ):
        answer, *values = part(*values)
        network.activate(choice)
        network.load_batch_norm_statistics(statistics)
        torch.testing.assert_close(answer, network.extract(choice)(images))
    assert not values
    _Suite(with_gates(OfaMobileNetV3), network.layout_mapping(), 0).check_stages()
    # What the stages run, and nothing twice: less than the choices one after the other.
    alone = [network.multiply_adds(choice) for choice in configuration.choices]
    assert max(alone) < network.multiply_adds(configuration) < sum(alone)
    layers = map(network.layer_count, configuration.choices)
    assert network.layer_count(configuration) < sum(layers)


@pytest.mark.parametrize('squeeze', [0, 4], ids=['answers', 'scores'])
@pytest.mark.parametrize('after', [0, 1])
@pytest.mark.parametrize(
    ('family', 'layout'),
    [('ofa_mobilenet_v3', gated_layout()), ('slimmable', transformer_layout())],
    ids=['ofa_mobilenet_v3', 'transformer'],
)
def test_costs_are_those_of_what_the_largest_path_calls(
    family: str, layout: dict[str, Any], after: int, squeeze: int
) -> None:
    gate = {**layout['gates'][0], 'after': after, 'squeeze': squeeze}
    network = create(family, {**layout, 'gates': [gate]})
    assert isinstance(network, GateNetwork)
    configuration = network.eval().gated(0)
    found = called_on_the_largest_path(network)
    assert network.multiply_adds(configuration) == found[0]
    assert network.parameter_count(configuration) == found[1]
    assert network.layer_count(configuration) == found[2]


def test_what_the_first_choice_runs_up_to_the_gate_counts() -> None:
    early, late = (made(after=after) for after in (0, 1))
    # Choices depart after place 0 in both.
    assert early._departures == [(0, 0)] and late._departures == [(1, 0)]
    more = late.multiply_adds(late.gated(0)) - early.multiply_adds(early.gated(0))
    costs = list(costs_at(late.backbone, late.gated(0).choices[0]).values())
    assert more > costs[1].multiply_adds - costs[0].multiply_adds > 0, 'and a wider gate'


@torch.inference_mode()
def called_on_the_largest_path(network: GateNetwork) -> tuple[int, int, int]:
    """Return multiply-adds, parameters and layers of all that the largest path calls."""
    configuration = network.gated(0)
    stages, routes = network.extract_stages(configuration), network.stage_routes(configuration)
    called: list[torch.nn.Module] = []
    for stage in stages:
        for each in stage.modules():
            each.register_forward_hook(lambda module, *_: called.append(module))
    values: Sequence[torch.Tensor] = (torch.randn(1, 3, *configuration.size),)
    number, path = 0, [0]
    with FlopCounterMode(display=False) as counter:
        _, *values = stages[0](*values)
        while routes[number]:
            number = routes[number][-1]
            path.append(number)
            _, *values = stages[number](*values)
    parameters = sum(each.numel() for one in path for each in stages[one].parameters())
    layers = sum(isinstance(each, (torch.nn.Conv2d, torch.nn.Linear)) for each in called)
    # PyTorch counts a multiplication and an addition as two.
    return counter.get_total_flops() // 2, parameters, layers


@pytest.mark.parametrize(
    ('changes', 'field', 'said'),
    [
        ({'after': 9}, r'gates\[0\].after', 'of features, below 2'),
        ({'after': -1}, r'gates\[0\].after', 'from 0'),
        ({'squeeze': False}, r'gates\[0\].squeeze', 'a positive whole number'),
        ({'choices': []}, r'gates\[0\].choices', 'two configurations or more'),
        ({'first': {'expand_ratio': [3, 2, 2, 2]}}, r'gates\[0\].choices\[1\]', 'begins as the'),
        ({'first': {'resolution': 24}}, r'gates\[0\].choices\[1\]', 'begins as the first'),
        ({'first': {'depth': [9, 1]}}, r'gates\[0\].choices\[0\].depth', 'one of'),
        ({'extra': 1}, r'gates\[0\]', 'exactly the fields'),
    ],
)
def test_gates_that_cannot_be(changes: dict[str, Any], field: str, said: str) -> None:
    with pytest.raises(ConfigurationError, match=f'{field}.*{said}'):
        made(**changes)


def test_a_family_that_cannot_be_cut_is_named() -> None:
    network = adaptive_network()
    choices = [each.to_mapping() for each in network.landmarks()]
    gate = {'after': 0, 'squeeze': 4, 'choices': choices}
    with pytest.raises(
        ConfigurationError, match=r"gates\[0\].*family 'adaptive_resnet' cannot be cut"
    ):
        create('adaptive_resnet', {**network.layout_mapping(), 'gates': [gate]})


def test_no_such_gate() -> None:
    for wrong in (1, -1, True, 'x'):
        with pytest.raises(ConfigurationError, match='gate is .*the number of one of 1 gates'):
            made().configuration({'gate': wrong})


def test_a_beginning_is_grafted() -> None:
    network = OfaMobileNetV3.from_layout('ofa_mbv3_32x32')
    small, large = network.smallest(), network.largest()
    found = network.with_beginning(large, small, 0)
    assert found.depth == large.depth and found.resolution == small.resolution
    assert (found.expand_ratio[0], found.expand_ratio[1]) == (2, 4)
    found = network.with_beginning(small, large, 5)
    assert found.depth == (4, 2, 1, 1) and found.expand_ratio[:6] == large.expand_ratio[:6]
    with pytest.raises(ConfigurationError, match='place is 4: allowed is a number below 4'):
        network.with_beginning(large, small, 4)
