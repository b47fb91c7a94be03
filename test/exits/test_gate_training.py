# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Gates learn which choice suffices."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch.nn import functional

from dynamic_dnn_ros.exits.errors import ExitError
from dynamic_dnn_ros.exits.gate_settings import GateSettings, chosen_entries, grafted
from dynamic_dnn_ros.exits.gate_training import (
    Told,
    first_sure,
    judged,
    sufficing,
    train_gate,
    train_on_confidence,
)
from dynamic_dnn_ros.exits.gates import with_only
from dynamic_dnn_ros.networks.registry import network_of
from support.adaptive_bundle import make_adaptive_bundle
from support.bundles import make_bundle
from support.gated_bundle import make_gated_bundle

#: Networks are so small that threads only wait for each other.
pytestmark = pytest.mark.usefixtures('one_thread')


def told(count: int = 8192) -> Told:
    """Return pictures whose first channel says whether the small choice is right."""
    generator = torch.Generator().manual_seed(0)
    features = torch.randn(count, 8, generator=generator) * 3 + 5
    labels = torch.randint(4, (count,), generator=generator)
    truth = 4.0 * functional.one_hot(labels, 4)
    easy = features[:, :1] > 5
    small = torch.where(easy, truth, truth.roll(1, 1))
    return Told(features, torch.stack([small, truth], 1), labels)


def test_the_choice_that_suffices_is_the_smallest_that_is_right() -> None:
    right = torch.tensor([[1, 1, 1], [0, 1, 1], [0, 0, 1], [0, 0, 0], [0, 1, 0]]).bool()
    assert sufficing(right).tolist() == [0, 1, 2, 2, 1]


def test_a_gate_learns_which_pictures_are_hard() -> None:
    pictures = told()
    gate = train_gate(pictures, torch.tensor([0.2, 1.0]), 0.0, squeeze=4, epochs=8)
    accuracy, shares = judged(gate, pictures)
    assert accuracy > 0.95
    assert shares[0] == pytest.approx(0.5, abs=0.1)
    again = train_gate(pictures, torch.tensor([0.2, 1.0]), 0.0, squeeze=4, epochs=8)
    assert torch.equal(gate.score.weight, again.score.weight), 'a training repeats with its seed'


def test_complexity_trades_accuracy_for_cost() -> None:
    pictures = told()
    costs = torch.tensor([0.2, 1.0])
    shares = [
        judged(train_gate(pictures, costs, weight, squeeze=4, epochs=4), pictures)[1][1]
        for weight in (-20.0, 0.0, 20.0)
    ]
    assert shares[0] > 0.95 > shares[1] > 0.05 > shares[2]


def test_the_first_choice_that_is_sure() -> None:
    certain, even = [20.0, 0.0], [0.0, 0.0]
    logits = torch.tensor([[certain, even], [even, certain], [even, even]])
    expected = torch.tensor([[1.0, 0.0, 0.0], [0.5, 0.5, 0.0], [0.5, 0.25, 0.25]])
    torch.testing.assert_close(first_sure(logits), expected)


def test_a_gate_learns_of_which_pictures_a_choice_is_sure() -> None:
    pictures = told()
    # The small choice is right of all pictures, as of those that it was trained on.
    sure = pictures.features[:, :1] > 5
    truth = functional.one_hot(pictures.labels, 4)
    small = torch.where(sure, 9.0, 0.0) * truth
    gate = train_on_confidence(pictures.features, small[:, None], squeeze=16, epochs=20)
    chosen = gate.scored(pictures.features).argmax(1)
    assert float((chosen == (~sure[:, 0]).long()).float().mean()) > 0.95
    again = train_on_confidence(pictures.features, small[:, None], squeeze=16, epochs=20)
    assert torch.equal(gate.score.weight, again.score.weight), 'a training repeats with its seed'


@pytest.mark.parametrize(
    ('changes', 'said'),
    [
        ({'at_most_below': (1.5,)}, 'at most 1.5 below: a loss of accuracy is a number in 0..1'),
        ({'views': 0}, 'views is 0: at least 1'),
        ({'complexities': ()}, 'no complexity is given'),
        ({'complexities': (float('nan'),)}, 'a weight is a finite number'),
        ({'shared': 0}, 'shared is 0: at least 1'),
        ({'shared': 3, 'after': 1}, 'after is 1: a gate lies at the end of the 3 places'),
        ({'pictures': 10}, 'pictures is 10: at least 1000'),
    ],
)
def test_settings_that_cannot_be(changes: dict[str, object], said: str) -> None:
    with pytest.raises(ExitError, match=said):
        GateSettings(**changes)  # type: ignore[arg-type]


def test_a_bundle_of_some_sub_networks(tmp_path: Path) -> None:
    bundle = make_bundle(tmp_path / 'synthetic')
    found = with_only(bundle, ['s0', 's2'])
    assert [each.id for each in found.manifest.sub_networks] == ['s0', 's2']
    assert found.weights().batch_norm_statistics.keys() == {'s0', 's2'}
    assert found.weights().network.keys() == bundle.weights().network.keys()


@pytest.mark.parametrize(
    ('choices', 'said'),
    [
        (('s1', 's0'), "'s1' has stages itself: name sub-networks of one piece"),
        (('s0',), 'choices are s0: two different sub-networks are needed'),
        (('s0', 's0'), 'choices are s0, s0: two different sub-networks are needed'),
    ],
)
def test_choices_that_cannot_be(tmp_path: Path, choices: tuple[str, ...], said: str) -> None:
    manifest = make_gated_bundle(tmp_path / 'gated').manifest
    with pytest.raises(ExitError, match=said):
        chosen_entries(manifest, choices)


def test_choices_of_two_sizes(tmp_path: Path) -> None:
    manifest = make_bundle(tmp_path / 'synthetic').manifest
    with pytest.raises(ExitError, match="'s1' takes pictures of 32x32, and 's0' of 24x24"):
        chosen_entries(manifest, ('s0', 's1'))


def test_a_gate_on_a_family_that_cannot_be_cut(tmp_path: Path) -> None:
    manifest = make_adaptive_bundle(tmp_path / 'adaptive').manifest
    entries = [manifest.sub_network(name) for name in ('undivided', 'adaptive')]
    said = "no gate can be put on 'undivided'.*'adaptive_resnet' cannot be cut"
    with pytest.raises(ExitError, match=said):
        grafted(network_of(manifest), entries, GateSettings())
