# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Networks with early exits, of any family that can be cut."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest
import torch

from dynamic_dnn_ros.networks.contract import ConfigurationError
from dynamic_dnn_ros.networks.cutting import part
from dynamic_dnn_ros.networks.exit_heads import Head, HeadLayout
from dynamic_dnn_ros.networks.exits import ExitNetwork, with_exits
from dynamic_dnn_ros.networks.family_checks import check_family
from dynamic_dnn_ros.networks.incremental_group import LAYOUTS as GROUPS
from dynamic_dnn_ros.networks.incremental_group import IncrementalGroup, LayerLayout
from dynamic_dnn_ros.networks.ofa_mobilenet_v3 import OfaMobileNetV3
from dynamic_dnn_ros.networks.registry import create
from dynamic_dnn_ros.networks.slimmable.network import Slimmable
from support.bundles import LAYOUT
from support.slimmable import layout_of, transformer

#: Networks are so small that threads only wait for each other.
pytestmark = pytest.mark.usefixtures('one_thread')

EARLY = {'after': 'stages.0', 'reads': 'map', 'channels': LAYOUT.stages[0].width, 'widths': [8]}
LATE = {'after': 'stages.1', 'reads': 'map', 'channels': LAYOUT.stages[1].width, 'widths': []}
GROUP_LAYOUT = dataclasses.replace(
    GROUPS['incremental_group_32x32'],
    groups=4,
    layers=(LayerLayout(8, 2), LayerLayout(8, 2)),
    resolution=16,
).to_mapping()
TOKENS = {'after': 'blocks.0', 'reads': 'tokens', 'channels': 24, 'widths': [8]}
FIRST = {'after': 'groups.0', 'reads': 'answer', 'channels': 10, 'widths': []}
SECOND = {**FIRST, 'after': 'groups.1'}


def mobile(*heads: dict[str, Any]) -> ExitNetwork:
    torch.manual_seed(0)
    network = create('ofa_mobilenet_v3', {**LAYOUT.to_mapping(), 'exits': list(heads)})
    assert isinstance(network, ExitNetwork)
    return network.eval()


def images(network: ExitNetwork, count: int = 2) -> torch.Tensor:
    return torch.randn(count, 3, *network.largest().size)


@pytest.mark.parametrize(
    ('family', 'layout'),
    [
        (OfaMobileNetV3, {**LAYOUT.to_mapping(), 'exits': [EARLY, LATE]}),
        (IncrementalGroup, {**GROUP_LAYOUT, 'exits': [FIRST, SECOND]}),
        (Slimmable, {**layout_of(transformer()), 'exits': [TOKENS]}),
    ],
)
def test_a_family_with_exits_keeps_the_contract(family, layout):
    check_family(with_exits(family), layout)


@torch.no_grad()
def test_stages_answer_as_the_network_that_trains():
    network = mobile(EARLY, LATE)
    batch = images(network)
    network.activate(network.largest())
    early, late, last = network.answers(batch)
    assert torch.equal(last, network(batch))
    first, second, third = network.extract_stages(network.largest(), share_weights=True)
    answer, *handed = first(batch)
    torch.testing.assert_close(answer, early)
    answer, *handed = second(*handed)
    torch.testing.assert_close(answer, late)
    torch.testing.assert_close(third(*handed)[0], last)


@torch.no_grad()
def test_exits_that_are_left_out_run_in_no_stage():
    network = mobile(EARLY, LATE)
    only_late = dataclasses.replace(network.largest(), exits=(0, 1))
    first, rest = network.extract_stages(only_late)
    names = {name for name, _ in first.named_parameters()}
    assert not any(name.startswith('exits.0') for name in names)
    assert any(name.startswith('exits.1') for name in names)
    assert network.extract_stages(dataclasses.replace(network.largest(), exits=(0, 0))) == ()
    assert network.multiply_adds(only_late) < network.multiply_adds(network.largest())
    assert not any(name.startswith('exits') for name, _ in rest.named_parameters())


def test_weights_of_the_family_keep_their_names():
    network = mobile(EARLY)
    plain = create('ofa_mobilenet_v3', LAYOUT.to_mapping())
    own = {name for name in network.state() if not name.startswith('exits.0.')}
    assert own == plain.state().keys()
    # And what is loaded is what the family's network runs.
    network.load_state({name: np.zeros_like(array) for name, array in network.state().items()})
    assert not network(images(network)).any()


@torch.no_grad()
def test_groups_answer_without_heads():
    network = with_exits(IncrementalGroup).from_layout({**GROUP_LAYOUT, 'exits': [FIRST]}).eval()
    batch = images(network)
    network.activate(network.largest())
    early, last = network.answers(batch)
    smallest = network.backbone.smallest()
    torch.testing.assert_close(early, network.backbone.extract(smallest)(batch))
    torch.testing.assert_close(last, network(batch))
    assert sum(each.numel() for each in network.exits.parameters()) == 0


def test_a_head_reads_tokens_too():
    layout = HeadLayout.at('blocks.3', (17, 24), (16,))
    assert layout == HeadLayout('blocks.3', 'tokens', 24, (16,))
    head = Head(layout, 10)
    assert head(torch.randn(2, 17, 24)).shape == (2, 10)
    assert sum(count for _, count in layout.costs((17, 24), 10)) == sum(
        each.numel() for each in head.parameters()
    )


@pytest.mark.parametrize(
    ('change', 'said'),
    [
        ({'after': ''}, r"exits\[0\].after is '': allowed is the name of a place"),
        ({'reads': 'smell'}, r"exits\[0\].reads is 'smell': allowed is one of map, tokens"),
        ({'channels': 0}, r'exits\[0\].channels is 0'),
        ({'widths': [0]}, r'exits\[0\].widths\[0\] is 0'),
        ({'reads': 'answer'}, r'exits\[0\].widths is \(8,\): allowed is none'),
        ({'more': 1}, r'exits\[0\].exit is'),
    ],
)
def test_a_layout_that_is_refused(change, said):
    with pytest.raises(ConfigurationError, match=said):
        mobile({**EARLY, **change})


def test_exits_that_a_sub_network_cannot_have():
    network = mobile(EARLY, {**EARLY, 'channels': 3}, {**EARLY, 'after': 'stages.7'}, EARLY)
    assert network.largest().exits == (1, 0, 0, 0)
    mapping = network.largest().to_mapping()
    for flags, said in (
        ([0, 1, 0, 0], r'exits\[1\] is 1: allowed is 0: its head reads 3 channels'),
        ([0, 0, 1, 0], r'after stages.7, where this sub-network has no place'),
        ([1, 0, 0, 1], r'exits\[3\] is 1: allowed is 0: .* or another exit'),
        ([1, 0, 0], r'a list of 4 flags'),
    ):
        with pytest.raises(ConfigurationError, match=said):
            network.configuration({**mapping, 'exits': flags})
    # The second of two at one place is for another backbone.
    assert network.configuration({**mapping, 'exits': [0, 0, 0, 1]}).exits == (0, 0, 0, 1)


def test_a_family_that_cannot_be_cut_says_what_can_be_done():
    detector = create('ofa_detector', 'ofa_detector_96').layout_mapping()
    with pytest.raises(ConfigurationError, match='can be cut.*dynamic-dnn cascade'):
        create('ofa_detector', {**detector, 'exits': [EARLY]})
    with pytest.raises(ConfigurationError, match='at least one head'):
        mobile()


def test_a_part_between_two_places():
    network = mobile(EARLY)
    whole, batch = network.largest(), images(network)
    with torch.no_grad():
        before, after = (
            part(network, whole, begin, end) for begin, end in (('', 'stages.0'), ('stages.0', ''))
        )
        torch.testing.assert_close(after(*before(batch))[0], network.extract(whole)(batch))
    assert before.state_dict().keys().isdisjoint(after.state_dict().keys())
    with pytest.raises(ConfigurationError, match="end is 'stages.9': allowed is one of stages.0"):
        part(network, whole, end='stages.9')
    with pytest.raises(ConfigurationError, match="a place after 'stages.1'"):
        part(network, whole, 'stages.1', 'stages.0')
