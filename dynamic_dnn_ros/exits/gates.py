# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""From a bundle to one with gates: the picture picks the rest of the network."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
import hashlib
import math
from pathlib import Path
import re
import time
from typing import Any

import numpy as np
import torch
from tqdm import tqdm

from dynamic_dnn_ros.bundles.graphs import GRAPH_SUFFIX
from dynamic_dnn_ros.bundles.locking import exclusive
from dynamic_dnn_ros.bundles.manifest import SubNetwork
from dynamic_dnn_ros.bundles.reader import Bundle, Weights
from dynamic_dnn_ros.bundles.responses import RESPONSES_NAME, probe_picture, responses_content
from dynamic_dnn_ros.bundles.stages import Stage
from dynamic_dnn_ros.bundles.writer import (
    MODEL_CARD_NAME,
    check_place,
    placed_bundle,
    weights_content,
    write_bundle,
)
from dynamic_dnn_ros.engines.automatic import open_engine
from dynamic_dnn_ros.engines.contract import PreparedSubNetwork
from dynamic_dnn_ros.engines.registry import create_engine
from dynamic_dnn_ros.engines.verification import responses_of
from dynamic_dnn_ros.exits.card import with_section
from dynamic_dnn_ros.exits.errors import ExitError
from dynamic_dnn_ros.exits.gate_pictures import (
    HELD,
    TEST,
    TRAIN,
    ChoiceAnswers,
    answers_of_all,
    told_of,
)
from dynamic_dnn_ros.exits.gate_settings import GateSettings, chosen_entries, grafted
from dynamic_dnn_ros.exits.gate_training import Told, judged, train_gate
from dynamic_dnn_ros.networks.contract import Arrays, ConfigurationError, DynamicNetwork
from dynamic_dnn_ros.networks.gates import GATES, Gate, GateLayout, GateNetwork, with_gates
from dynamic_dnn_ros.networks.registry import network_of
from dynamic_dnn_ros.platforms.hardware import hardware_name
from dynamic_dnn_ros.training.configuration import TrainingConfiguration
from dynamic_dnn_ros.training.export import manifest_entry
from dynamic_dnn_ros.training.tasks.registry import training_task

#: Title of the section of the model card, and of the columns of its table.
CARD_TITLE = 'Gates'
TITLES = ('sub-network', 'complexity', 'accuracy', 'mean time', 'choices', 'taken')

_EARLY = 'early'
_DIGITS = 6
_RUNS_EACH_TURN = 4


@dataclass(frozen=True)
class MadeGate:
    """
    A sub-network behind a gate.

    `time` is its mean time over the held-out pictures as a share of its largest path's.
    """

    entry: SubNetwork
    complexity: float
    time: float


@dataclass(frozen=True)
class MadeGates:
    """
    The gates that were made.

    :param choices: the names of the choices
    :param alone: the accuracy of each choice alone, 0..1, and its path's share of the cost
    :param latency: of the largest path, s
    :param without_others: whether the other sub-networks of the bundle are left out
    """

    bundle: Bundle
    made: tuple[MadeGate, ...]
    choices: tuple[str, ...]
    alone: tuple[tuple[float, float], ...]
    latency: float
    conditions: str
    trained_on: int
    tested_on: int
    without_others: bool = False


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
            network, configuration, pictures, settings.pictures, work, sha256, quiet
        )
        found, statistics = answers_of_all(ask, choices, settings.place, say)
        say('timing the paths')
        names = [entry.id for entry in entries]
        timed = _Timed(plain, trial, statistics, names, settings, quiet)
        told = {name: told_of(found, name) for name in (TRAIN, HELD, TEST)}
        gates = _trained(told[TRAIN], timed, settings, quiet)
        made = _made(trial, gates, told, timed, names, settings)
        tested = told[TEST].right.float().mean(0).tolist()
        result = MadeGates(
            plain,
            made,
            tuple(names),
            tuple(zip(tested, timed.works)),
            timed.latency,
            timed.conditions,
            len(told[TRAIN].labels),
            len(told[TEST].labels),
            settings.alone,
        )
        written = _written(
            result,
            network,
            gates,
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


def _stages(
    names: Sequence[str], works: Sequence[float], taken: Sequence[float]
) -> tuple[Stage, ...]:
    """Return the stages behind a gate; `works` begins with that of the shared beginning."""
    labels = [f'as_{name}' for name in names]
    first = Stage(_EARLY, work=round(works[0], _DIGITS), choices=tuple(labels))
    rest = [
        Stage(
            label,
            work=round(work, _DIGITS),
            taken=round(share, _DIGITS),
            last=index + 1 < len(labels),
        )
        for index, (label, work, share) in enumerate(zip(labels, works[1:], taken))
    ]
    return (first, *rest)


class _Timed:
    """What each path takes with an engine: gates that always choose the same are timed."""

    def __init__(
        self,
        bundle: Bundle,
        network: GateNetwork,
        statistics: Sequence[Arrays],
        names: Sequence[str],
        settings: GateSettings,
        quiet: bool | None,
    ) -> None:
        count = len(names)
        with torch.no_grad():
            for index, gate in enumerate(network.gates):
                assert isinstance(gate, Gate)
                gate.score.weight.zero_()
                gate.score.bias.copy_(torch.arange(count) == index)
        own = network.together(network.gated(0), statistics)
        even = [(index + 1) / (count + 1) for index in range(count)]
        stages = _stages(names, [even[0] / 2, *even[:-1], 1.0], [1 / count] * count)
        entries = [
            _entry(network, number, f'path_{number}', 0.0, stages) for number in range(count)
        ]
        source = replace(bundle.manifest.super_network, layout=network.layout_mapping())
        manifest = replace(
            bundle.manifest, source=source, sub_networks=tuple(entries), profiles=()
        )
        content = weights_content(Weights(network.state(), {each.id: own for each in entries}))
        engine = open_engine(
            settings.engine, placed_bundle(bundle.folder, manifest, content), settings.threads
        )
        prepared = [engine.prepare(entry, engine.processors[0]) for entry in entries]
        try:
            times = _times(prepared, settings.turns, quiet)
        finally:
            for each in prepared:
                each.close()
        beginnings, paths = times[:, 0], times[:, 1]
        self.latency = float(paths[-1])
        largest = float(max(paths))
        if largest > paths[-1]:
            raise ExitError(
                f'{names[int(np.argmax(paths))]!r} takes {largest * 1e3:.3g} ms here, and '
                f'{names[-1]!r} behind it {paths[-1] * 1e3:.3g} ms: name the fastest first'
            )
        self.beginning = float(np.median(beginnings)) / largest
        self.works = tuple(float(path) / largest for path in paths)
        self.conditions = (
            f'engine {engine.name} on {engine.processors[0]}, {settings.threads} thread(s), '
            f'{hardware_name()}'
        )


def _times(prepared: Sequence[PreparedSubNetwork], turns: int, quiet: bool | None) -> np.ndarray:
    """
    Return what the shared beginning and the whole path of each takes, s, paths x 2.

    All have their turns; a time is the median over the turns of its ratio to the last path's.
    """
    generator = np.random.default_rng(0)
    found = np.empty((turns, len(prepared), 2))
    pictures = [probe_picture(0, each.sub_network.size) for each in prepared]
    for turn in tqdm(range(turns), desc='timing', unit='turn', disable=quiet):
        for index in generator.permutation(len(prepared)):
            shortest = [math.inf, math.inf]
            for _ in range(_RUNS_EACH_TURN):
                begun = time.perf_counter()
                execution = prepared[index].begin(pictures[index])
                execution.advance()
                first = time.perf_counter() - begun
                while not execution.done:
                    execution.advance()
                shortest = [min(shortest[0], first), min(shortest[1], time.perf_counter() - begun)]
            found[turn, index] = shortest
    last = found[:, -1:, 1:]
    ratios: np.ndarray = np.median(found / last, axis=0) * float(np.median(last))
    return ratios


def _trained(told: Told, timed: _Timed, settings: GateSettings, quiet: bool | None) -> list[Gate]:
    costs = torch.tensor(timed.works)
    bar = tqdm(settings.complexities, 'training gates', unit='gate', disable=quiet)
    return [
        train_gate(told, costs, complexity, settings.squeeze, settings.epochs)
        for complexity in bar
    ]


def _made(
    network: GateNetwork,
    gates: Sequence[Gate],
    told: dict[str, Told],
    timed: _Timed,
    names: Sequence[str],
    settings: GateSettings,
) -> tuple[MadeGate, ...]:
    made = []
    for number, (gate, complexity) in enumerate(zip(gates, settings.complexities)):
        _, taken = judged(gate, told[HELD])
        accuracy, _ = judged(gate, told[TEST])
        works = [min(timed.beginning, *timed.works), *timed.works]
        stages = _stages(names, works, taken)
        entry = _entry(network, 0, f'gate_{number}', accuracy, stages)
        entry = replace(entry, configuration={'gate': number})
        made.append(MadeGate(entry, complexity, entry.mean_work))
    return tuple(made)


def _entry(
    network: GateNetwork, number: int, identifier: str, accuracy: float, stages: tuple[Stage, ...]
) -> SubNetwork:
    entry = manifest_entry(network, network.gated(number), identifier, round(accuracy, _DIGITS))
    return replace(entry, stages=stages)


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


def rows(result: MadeGates) -> list[tuple[str, ...]]:
    """Return a line of a table for each choice alone, and for each gate."""
    lines: list[tuple[str, ...]] = [
        (f'as {name}, alone', '-', f'{accuracy:.2%}', f'{work:.2f}', '-', '-')
        for name, (accuracy, work) in zip(result.choices, result.alone)
    ]
    for each in result.made:
        stages = each.entry.stages[1:]
        lines.append(
            (
                each.entry.id,
                f'{each.complexity:g}',
                f'{each.entry.accuracy:.2%}',
                f'{each.time:.2f}',
                ', '.join(stage.name for stage in stages),
                ', '.join(f'{stage.taken:.0%}' for stage in stages),
            )
        )
    return lines


def how(result: MadeGates, command: str) -> str:
    """Return how gates were made, for the model card."""
    text = (
        f'Trained on {result.trained_on} of the training pictures, with the network frozen; '
        f'accuracy on {result.tested_on} test pictures; shares on the pictures that the training '
        f'held out. Mean time: against the largest path, {result.latency * 1e3:.3g} ms with '
        f'{result.conditions}. All choices begin as the first one does; their batch-norm '
        'statistics were recalibrated.'
    )
    if result.without_others:
        text += f' Of what is told above, this bundle has {" and ".join(result.choices)} alone.'
    return f'{text}\n\n```\n{command}\n```' if command else text
