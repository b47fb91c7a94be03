# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
The heads of one sub-network of a bundle: made, trained while it stays as it is, and asked.

    network, configuration = equipped(bundle, 's11', ['stages.1', 'stages.2'], (128,))
    train_heads(network, configuration, training, heads_phase(4, 2e-3), pictures, work)
    answers = answers_of(network, configuration, manifest, held_out)
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
import re
from typing import Any

import numpy as np
import torch
from tqdm import tqdm

from dynamic_dnn_ros.bundles.manifest import Manifest, SubNetwork
from dynamic_dnn_ros.bundles.reader import Bundle
from dynamic_dnn_ros.exits.errors import ExitError
from dynamic_dnn_ros.exits.mixtures import Answers
from dynamic_dnn_ros.networks.contract import ConfigurationError, DynamicNetwork, StateError
from dynamic_dnn_ros.networks.cutting import costs_at
from dynamic_dnn_ros.networks.exit_heads import HeadLayout
from dynamic_dnn_ros.networks.exits import EXITS, ExitConfiguration, ExitNetwork
from dynamic_dnn_ros.networks.registry import create, network_of, network_output
from dynamic_dnn_ros.pictures.placement import Placement, Size
from dynamic_dnn_ros.tasks.contract import DECIDING_LIMITS, MEASURING_LIMITS
from dynamic_dnn_ros.training.batches import Normalisation, plain_batches
from dynamic_dnn_ros.training.heads import HeadsAlone
from dynamic_dnn_ros.training.pictures import Pictures

#: The name of the stage behind the last exit.
LAST = 'last'


def network_with_weights(bundle: Bundle) -> DynamicNetwork[Any]:
    """
    Return the network of a bundle, with its weights.

    :raises BundleError: for a bundle of separate models
    :raises ExitError: where the weights do not fit the layout
    """
    try:
        network = network_of(bundle.manifest)
        network.load_state(bundle.weights().network)
    except (ConfigurationError, StateError) as error:
        raise ExitError(f'bundle {bundle.folder}: {error}. Export it again') from error
    return network


def default_places(
    network: DynamicNetwork[Any], configuration: Any, count: int
) -> tuple[str, ...]:
    """
    Return places that part the multiply-adds of a sub-network as evenly as they can.

    :param configuration: of the network, or of its family where it has exits
    """
    if isinstance(network, ExitNetwork):
        network = network.backbone
    costs = costs_at(network, configuration)
    whole = network.multiply_adds(configuration)
    found: dict[str, None] = {}
    for number in range(1, count + 1):
        wanted = whole * number / (count + 1)
        rest = [place for place in costs if place not in found]
        if rest:
            found[min(rest, key=lambda place: abs(costs[place].multiply_adds - wanted))] = None
    return tuple(place for place in costs if place in found)


def equipped(
    network: DynamicNetwork[Any],
    configuration: Any,
    places: Sequence[str],
    widths: Sequence[int],
    seed: int = 0,
) -> tuple[ExitNetwork, ExitConfiguration]:
    """
    Return a network with more heads, fresh ones, for the exits of one sub-network.

    :param network: of a family, or one that has exits already; it is not changed
    :param configuration: of the sub-network, in the family's own fields
    :param places: that exits come after
    :param widths: of the layers of each head
    :return: the network with the weights given, and the configuration with these exits alone
    :raises ExitError: where the sub-network cannot be cut at a place
    """
    base = network.backbone if isinstance(network, ExitNetwork) else network
    shapes = base.places(configuration)
    if not shapes:
        raise ExitError(
            f'family {base.family!r} does not say where its networks can be cut, so they can have '
            "no exits. 'dynamic-dnn cascade' makes cascades of whole sub-networks, for every "
            'family and task'
        )
    heads = []
    for place in places:
        if place not in shapes:
            raise ExitError(
                f'there is no place {place!r} in this sub-network: name some of '
                f'{", ".join(shapes)}'
            )
        heads.append(HeadLayout.at(place, shapes[place], widths))
    if len(set(places)) < len(places) or not places:
        raise ExitError(f'exits after {", ".join(places) or "nothing"}: name places, each once')
    layout = network.layout_mapping()
    old = layout.get(EXITS, [])
    layout = {**layout, EXITS: [*old, *(head.to_mapping() for head in heads)]}
    torch.manual_seed(seed)
    try:
        made = create(network.family, layout)
    except ConfigurationError as error:
        raise ExitError(str(error)) from error
    assert isinstance(made, ExitNetwork)
    made.load_state({**made.state(), **network.state()})
    flags = (0,) * len(old) + (1,) * len(heads)
    return made.eval(), ExitConfiguration(configuration, flags)


def with_used_heads(
    network: ExitNetwork, entries: Sequence[SubNetwork], kept: Collection[int] = ()
) -> tuple[ExitNetwork, list[SubNetwork]]:
    """
    Return a network without the heads that no sub-network uses, and its sub-networks.

    :param entries: sub-networks of the network, or cascades
    :param kept: numbers of heads that stay all the same
    """
    flags = [each.configuration.get(EXITS, ()) for each in entries]
    used = [
        number
        for number in range(len(network.heads))
        if number in kept or any(some and some[number] for some in flags)
    ]
    if len(used) == len(network.heads) or not used:
        return network, list(entries)
    layout = network.layout_mapping()
    made = create(network.family, {**layout, EXITS: [layout[EXITS][n] for n in used]})
    assert isinstance(made, ExitNetwork)
    state = network.state()
    own = {name: each for name, each in state.items() if not name.startswith(f'{EXITS}.')}
    for new, old in enumerate(used):
        before = f'{EXITS}.{old}.'
        own.update(
            (f'{EXITS}.{new}.{name.removeprefix(before)}', each)
            for name, each in state.items()
            if name.startswith(before)
        )
    made.load_state(own)
    changed = [
        replace(each, configuration={**each.configuration, EXITS: [some[n] for n in used]})
        if some
        else each
        for each, some in zip(entries, flags)
    ]
    return made.eval(), changed


def stage_names(network: ExitNetwork, configuration: ExitConfiguration) -> tuple[str, ...]:
    """Return the name of the stage up to each exit of a sub-network, and of the last one."""
    places = network.exits_of(configuration)
    names = [re.sub('[^a-z0-9_]', '_', place.lower())[-32:] for place in places]
    return (*names, LAST)


def answers_of(
    network: ExitNetwork,
    configuration: ExitConfiguration,
    manifest: Manifest,
    pictures: Pictures,
    quiet: bool | None = None,
) -> Answers:
    """
    Return what a sub-network answers at each exit and at last, by the names of the stages.

    :param network: with the batch-norm statistics of the sub-network
    :param manifest: of the bundle, for task and preprocessing
    :param pictures: fitted as a bundle has camera frames fitted
    """
    module = HeadsAlone(network, configuration).eval()
    names = stage_names(network, configuration)
    return collected(names, module.answers, configuration.size, manifest, pictures, quiet)


@torch.no_grad()
def collected(
    names: Sequence[str],
    answers: Callable[[torch.Tensor], Sequence[torch.Tensor]],
    size: Size,
    manifest: Manifest,
    pictures: Pictures,
    quiet: bool | None = None,
) -> Answers:
    """
    Return several answers to each picture, by their names.

    :param answers: returns as many as there are names, of a batch
    :param manifest: of the bundle, for task and preprocessing
    :param pictures: fitted as a bundle has camera frames fitted
    """
    task = manifest.make_task()
    way = manifest.preprocessing
    placement = Placement.of(size, size, way)
    output_name = network_output(manifest)
    confidences: dict[str, list[float]] = {name: [] for name in names}
    results: dict[str, list[Any]] = {name: [] for name in names}
    truths: list[int] = []
    normalisation = Normalisation(way.mean, way.standard_deviation)
    bar = tqdm(total=len(pictures), desc='asking exits', unit='picture', disable=quiet)
    for images, labels in plain_batches(pictures, size, normalisation):
        truths += labels.tolist()
        for name, logits in zip(names, answers(images)):
            outputs = {output_name: logits.numpy()}
            for index in range(len(images)):
                confidences[name].append(task.confidence(outputs, index, size, DECIDING_LIMITS))
                results[name].append(
                    task.decode(outputs, index, placement, manifest.labels, MEASURING_LIMITS)
                )
        bar.update(len(images))
    bar.close()
    return Answers(
        {name: np.array(found, np.float64) for name, found in confidences.items()},
        results,
        truths,
    )
