# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""From a bundle to one with gates: the picture picks the rest of the network."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
import hashlib
from pathlib import Path
import re
from typing import Any

import numpy as np
import torch
from tqdm import tqdm

from dynamic_dnn_ros.bundles.graphs import GRAPH_SUFFIX
from dynamic_dnn_ros.bundles.locking import exclusive
from dynamic_dnn_ros.bundles.reader import Bundle, Weights
from dynamic_dnn_ros.bundles.responses import RESPONSES_NAME, responses_content
from dynamic_dnn_ros.bundles.writer import (
    MODEL_CARD_NAME,
    check_place,
    placed_bundle,
    weights_content,
    write_bundle,
)
from dynamic_dnn_ros.engines.registry import create_engine
from dynamic_dnn_ros.engines.verification import responses_of
from dynamic_dnn_ros.exits.card import with_section
from dynamic_dnn_ros.exits.errors import ExitError
from dynamic_dnn_ros.exits.gate_calibration import priced
from dynamic_dnn_ros.exits.gate_pictures import (
    HELD,
    TEST,
    TRAIN,
    ChoiceAnswers,
    answers_of_all,
    told_of,
)
from dynamic_dnn_ros.exits.gate_report import CARD_TITLE, TITLES, MadeGate, MadeGates, how, rows
from dynamic_dnn_ros.exits.gate_settings import GateSettings, chosen_entries, grafted
from dynamic_dnn_ros.exits.gate_times import PathTimes, gated_entry, stages_behind
from dynamic_dnn_ros.exits.gate_training import (
    Told,
    judged,
    train_gate,
    train_on_confidence,
)
from dynamic_dnn_ros.networks.contract import Arrays, ConfigurationError, DynamicNetwork
from dynamic_dnn_ros.networks.gate_layouts import GATES, GateLayout
from dynamic_dnn_ros.networks.gate_stages import Gate
from dynamic_dnn_ros.networks.gates import GateNetwork, with_gates
from dynamic_dnn_ros.networks.registry import network_of
from dynamic_dnn_ros.training.configuration import TrainingConfiguration
from dynamic_dnn_ros.training.tasks.registry import training_task


def make_gates(
    bundle: Bundle,
    configuration: TrainingConfiguration,
    settings: GateSettings,
    output: Path | None = None,
    command: str = '',
    say: Callable[[str], None] = print,
    quiet: bool | None = None,
) -> MadeGates:
    """
    Add sub-networks behind gates to a bundle, in place of those that it has.

    :param configuration: that the bundle was trained with: its pictures train the gates, those
        that it held out give the shares, and its test pictures the accuracies
    :param output: folder of the bundle to write; None: the bundle itself
    :param command: that was given, for the model card
    :param say: is told what is done
    :param quiet: show no progress; None: only where nobody looks
    :raises BundleError: when the bundle cannot be written
    :raises DataError: when the pictures cannot be used
    :raises EngineError: when a path cannot be run
    :raises ExitError: when the settings do not fit the bundle
    """
    folder = bundle.folder if output is None else output
    manifest = bundle.manifest
    if manifest.task.name != 'classification':
        raise ExitError(
            f'bundle {manifest.name!r} is for {manifest.task.name}: gates are trained for '
            'classification. A cascade works for every task: dynamic-dnn cascade'
        )
    plain = _without_gates(bundle)
    entries = chosen_entries(plain.manifest, settings.choices)
    if settings.alone:
        plain = with_only(plain, [entry.id for entry in entries])
    network = network_of(plain.manifest)
    weights = plain.weights()
    network.load_state(weights.network)
    choices = grafted(network, entries, settings)
    layout = GateLayout(
        settings.place, settings.squeeze, tuple(each.to_mapping() for each in choices)
    )
    family = with_gates(type(network))
    try:
        trial = family(network, [layout] * len(choices))
    except ConfigurationError as error:
        raise ExitError(f'no gate can be put on {entries[0].id!r}: {error}') from error
    with exclusive(folder):
        check_place(folder, bundle if output is None else None)
        task = training_task('classification')
        training, test = task.read(configuration, manifest.preprocessing, bool(quiet))
        pictures = (*training.split(configuration.held_out, configuration.seed), test)
        work = configuration.work / 'gates'
        work.mkdir(parents=True, exist_ok=True)
        sha256 = hashlib.sha256(bundle.weights_content).hexdigest()
        ask = ChoiceAnswers(
            network,
            configuration,
            pictures,
            settings.pictures,
            work,
            sha256,
            quiet,
            settings.views,
        )
        found, statistics = answers_of_all(
            ask, choices, settings.place, say, not settings.at_most_below
        )
        whole = entries[-1]
        right = ask.right_of(
            network.configuration(whole.configuration),
            weights.batch_norm_statistics.get(whole.id, {}),
        )
        say('timing the paths')
        names = [entry.id for entry in entries]
        timed = PathTimes(plain, trial, statistics, names, settings, quiet)
        told = {name: told_of(found, name) for name in (HELD, TEST)}
        gates = (
            _promised(found, told[HELD], right[HELD], timed, settings)
            if settings.at_most_below
            else _trained(told_of(found, TRAIN), timed, settings, quiet)
        )
        made = _made(trial, gates, told, float(right[TEST].mean()), timed, names)
        tested = told[TEST].right.float().mean(0).tolist()
        result = MadeGates(
            plain,
            made,
            tuple(names),
            tuple(zip(tested, timed.works)),
            timed.latency,
            timed.conditions,
            len(found[0][f'{TRAIN}.labels']) // settings.views,
            settings.views,
            len(told[TEST].labels),
            settings.alone,
        )
        written = _written(
            result,
            network,
            [gate for _, gate in gates],
            layout,
            statistics,
            configuration,
            folder,
            output is None,
            command,
        )
        return replace(result, bundle=written)


def with_only(bundle: Bundle, ids: Sequence[str]) -> Bundle:
    """Return a bundle with some of its sub-networks only, and their statistics; not written."""
    manifest = bundle.manifest
    kept = tuple(each for each in manifest.sub_networks if each.id in ids)
    weights = bundle.weights()
    own = {n: each for n, each in weights.batch_norm_statistics.items() if n in ids}
    content = weights_content(Weights(weights.network, own))
    changed = replace(manifest, sub_networks=kept)
    return replace(placed_bundle(bundle.folder, changed, content), other_files=bundle.other_files)


def _without_gates(bundle: Bundle) -> Bundle:
    """Return a bundle without the gates of an earlier call."""
    manifest = bundle.manifest
    source = manifest.super_network
    if GATES not in source.layout:
        return bundle
    rest = {name: value for name, value in source.layout.items() if name != GATES}
    kept = tuple(each for each in manifest.sub_networks if 'gate' not in each.configuration)
    weights = bundle.weights()
    network = {n: each for n, each in weights.network.items() if not n.startswith(f'{GATES}.')}
    ids = {each.id for each in kept}
    own = {n: each for n, each in weights.batch_norm_statistics.items() if n in ids}
    content = weights_content(Weights(network, own))
    changed = replace(manifest, source=replace(source, layout=rest), sub_networks=kept)
    return replace(placed_bundle(bundle.folder, changed, content), other_files=bundle.other_files)


def _trained(
    told: Told, timed: PathTimes, settings: GateSettings, quiet: bool | None
) -> list[tuple[str, Gate]]:
    costs = torch.tensor(timed.works)
    bar = tqdm(settings.complexities, 'training gates', unit='gate', disable=quiet)
    return [
        (
            f'complexity {complexity:g}',
            train_gate(told, costs, complexity, settings.squeeze, settings.epochs),
        )
        for complexity in bar
    ]


def _promised(
    found: Sequence[dict[str, np.ndarray]],
    held: Told,
    whole_right: np.ndarray,
    timed: PathTimes,
    settings: GateSettings,
) -> list[tuple[str, Gate]]:
    """Return a gate for each promise: one, which asks for more or less."""
    features = torch.from_numpy(found[0][f'{TRAIN}.features'])
    logits = torch.from_numpy(np.stack([each[f'{TRAIN}.logits'] for each in found[:-1]], 1))
    gate = train_on_confidence(features, logits, settings.squeeze, settings.epochs)
    return [
        (f'{100 * loss:g} points', priced(gate, held, whole_right, timed.works, loss))
        for loss in settings.at_most_below
    ]


def _made(
    network: GateNetwork,
    gates: Sequence[tuple[str, Gate]],
    told: dict[str, Told],
    whole: float,
    timed: PathTimes,
    names: Sequence[str],
) -> tuple[MadeGate, ...]:
    made = []
    for number, (asked, gate) in enumerate(gates):
        _, taken = judged(gate, told[HELD])
        accuracy, _ = judged(gate, told[TEST])
        works = [min(timed.beginning, *timed.works), *timed.works]
        stages = stages_behind(names, works, taken)
        entry = gated_entry(network, 0, f'gate_{number}', accuracy, stages)
        entry = replace(entry, configuration={'gate': number})
        made.append(MadeGate(entry, asked, whole - accuracy, entry.mean_work))
    return tuple(made)


def _written(
    result: MadeGates,
    network: DynamicNetwork[Any],
    gates: Sequence[Gate],
    layout: GateLayout,
    statistics: Sequence[Arrays],
    configuration: TrainingConfiguration,
    folder: Path,
    replaces: bool,
    command: str,
) -> Bundle:
    """Write the bundle with its gates; graphs are made where `onnx` is installed."""
    bundle, manifest = result.bundle, result.bundle.manifest
    family: Any = with_gates(type(network))
    gated: GateNetwork = family(network, [layout] * len(gates))
    for own, gate in zip(gated.gates, gates):
        own.load_state_dict(gate.state_dict())
    source = replace(manifest.super_network, layout=gated.layout_mapping())
    new = [each.entry for each in result.made]
    entries = sorted([*manifest.sub_networks, *new], key=lambda entry: entry.accuracy_for_targets)
    own_statistics = dict(bundle.weights().batch_norm_statistics)
    if gated.statistics_per_sub_network:
        together = gated.together(gated.gated(0), statistics)
        own_statistics.update((entry.id, together) for entry in new)
    dtype = np.float16 if configuration.stored_precision.value == 'float16' else np.float32
    content = weights_content(Weights(gated.state(), own_statistics), dtype)
    name = manifest.name if replaces else _name_of(folder, manifest.name)
    changed = replace(manifest, name=name, source=source, sub_networks=tuple(entries), profiles=())
    engine = create_engine('torch', placed_bundle(folder, changed, content), threads=1)
    files = {n: each for n, each in bundle.other_files.items() if not n.endswith(GRAPH_SUFFIX)}
    files[RESPONSES_NAME] = responses_content(responses_of(engine, entries))
    card = files.get(MODEL_CARD_NAME, f'# {manifest.name}\n'.encode()).decode()
    if name != manifest.name:
        card = card.replace(f'# {manifest.name}\n', f'# {name}\n', 1)
    files[MODEL_CARD_NAME] = with_section(
        card, CARD_TITLE, TITLES, rows(result), how(result, command)
    ).encode()
    current = bundle if replaces else None
    written = write_bundle(folder, changed, content, (), files, replaces=current)
    try:
        import onnx  # noqa: F401
    except ModuleNotFoundError:
        return written
    from dynamic_dnn_ros.networks.graph_export import export_into

    return export_into(written)


def _name_of(folder: Path, otherwise: str) -> str:
    name = folder.resolve().name
    return name if re.fullmatch(r'[a-z0-9_]+', name) else otherwise
