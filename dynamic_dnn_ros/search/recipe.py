# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The whole way from a trained bundle to one with the sub-networks worth keeping."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
import dataclasses
import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from dynamic_dnn_ros.bundles.locking import exclusive
from dynamic_dnn_ros.bundles.reader import Bundle, read_bundle
from dynamic_dnn_ros.datasets.contract import DataError
from dynamic_dnn_ros.networks.contract import ConfigurationError, DynamicNetwork, StateError
from dynamic_dnn_ros.networks.registry import network_of
from dynamic_dnn_ros.search.accuracy import Pool, Subject
from dynamic_dnn_ros.search.block_sums import BlockTable, Comparison
from dynamic_dnn_ros.search.cost import CostMeter, make_meter
from dynamic_dnn_ros.search.errors import SearchError
from dynamic_dnn_ros.search.evaluation import Evaluation, Evaluator
from dynamic_dnn_ros.search.evolution import Objectives, evolve
from dynamic_dnn_ros.search.journal import Journal
from dynamic_dnn_ros.search.pareto import front_length, near_front, pareto_front, spread
from dynamic_dnn_ros.search.results import PICTURE_NAME, Kept, Results, columns, stored_type
from dynamic_dnn_ros.search.settings import CostMeasure, SearchSettings
from dynamic_dnn_ros.search.space import Genes, SearchSpace
from dynamic_dnn_ros.storage import write_whole
from dynamic_dnn_ros.tasks.registry import task_class
from dynamic_dnn_ros.training.checkpoint import (
    CHECKPOINT_NAME,
    CheckpointError,
    held_out_otherwise,
    read_state,
)
from dynamic_dnn_ros.training.configuration import TrainingConfiguration
from dynamic_dnn_ros.training.export import manifest_entry
from dynamic_dnn_ros.training.tasks.contract import TrainingData
from dynamic_dnn_ros.training.tasks.registry import training_task

REPORT_NAME = 'report.json'
FOLDER = 'search'
"""Of the work folder: what a search has measured."""

#: Candidates this many tolerances off the front are measured again: they may lie on it.
_MARGIN = 2.0


@dataclasses.dataclass(frozen=True)
class Found:
    """
    What a search ends in.

    :param lost_profiles: platforms whose profiles were of the former sub-networks.
    :param folder: with the report and the picture.
    """

    bundle: Bundle
    results: Results
    lost_profiles: tuple[str, ...]
    folder: Path


def search_bundle(
    configuration: TrainingConfiguration,
    settings: SearchSettings,
    jobs: int,
    backend: str = 'loky',
    command: str = '',
    quiet: bool = False,
) -> Found:
    """
    Search the sub-networks of a trained bundle and write those worth keeping into it.

    Killed at any moment and called again, it continues: what was measured is not measured again.

    :param jobs: accuracies measured at once.
    :param backend: of joblib.
    :param command: what the user gave to `train` and `search`, for the model card.
    :raises BundleError: if the bundle is damaged, or another command writes it.
    :raises DataError: if the pictures cannot be used, or are of other classes.
    :raises EngineError: if the engine cannot run here.
    :raises SearchError: if the bundle is missing, the work folder is of another search, or the
        training held out other pictures.
    """
    if not configuration.output.exists():
        raise SearchError(
            f"{configuration.output} does not exist: run 'dynamic-dnn train' with the same "
            'configuration first'
        )
    with exclusive(configuration.output):
        return _search_bundle(configuration, settings, jobs, backend, command, quiet)


def _search_bundle(
    configuration: TrainingConfiguration,
    settings: SearchSettings,
    jobs: int,
    backend: str,
    command: str,
    quiet: bool,
) -> Found:
    bundle = read_bundle(configuration.output)
    network = super_network(bundle)
    meter = make_meter(bundle, network, settings)
    given = given_by(configuration, bundle, jobs, backend, quiet)
    test = given.test
    folder = configuration.work / FOLDER
    with Journal(folder, given.subject) as journal:
        space = SearchSpace(network)
        evaluator = Evaluator(
            space,
            given.pool,
            meter,
            journal,
            given.calibration,
            given.held_out,
            settings.turns,
            quiet,
        )
        _evolve(space, evaluator, settings, configuration.seed, quiet)
        front, chosen = choose(evaluator, settings)
        results = Results(
            configuration,
            settings,
            meter,
            evaluator.evaluations,
            front,
            _tested(network, given.pool, journal, chosen, test, stored_type(bundle), quiet),
            _comparison(network, evaluator.evaluations, settings, meter),
            task_class(bundle.manifest.task.name).metric,
        )
        write_whole(folder / PICTURE_NAME, results.picture())
        report = json.dumps(results.report(), indent=1) + '\n'
        write_whole(folder / REPORT_NAME, report.encode())
        return Found(
            results.write(bundle, len(test), command),
            results,
            tuple(profile.platform for profile in bundle.profiles),
            folder,
        )


@dataclasses.dataclass(frozen=True)
class Given:
    """
    What a search begins with.

    :param training: pictures that were trained on.
    :param calibration: those of them that statistics are recalibrated on.
    :param subject: whatever accuracies depend on.
    """

    training: TrainingData
    calibration: TrainingData
    held_out: TrainingData
    test: TrainingData
    subject: Mapping[str, str]
    pool: Pool


def given_by(
    configuration: TrainingConfiguration, bundle: Bundle, jobs: int, backend: str, quiet: bool
) -> Given:
    """Read the pictures of the training of a bundle; raises as `search_bundle`."""
    training, held_out, test = served_pictures(configuration, bundle, quiet)
    check_held_out(configuration, len(training))
    calibration = training.first(configuration.recalibration_pictures)
    weights_sha256 = digest_of(bundle.weights().network)
    subject = {
        'weights': weights_sha256,
        'calibration pictures': digest_of(calibration.identity()),
        'held-out pictures': digest_of(held_out.identity()),
        'preprocessing': repr(bundle.manifest.preprocessing),
    }
    pool = Pool(Subject.of(bundle, weights_sha256), jobs, backend)
    return Given(training, calibration, held_out, test, subject, pool)


def super_network(bundle: Bundle) -> DynamicNetwork[Any]:
    """Return the super-network of a bundle, with its weights."""
    try:
        network = network_of(bundle.manifest)
        network.load_state(bundle.weights().network)
    except (ConfigurationError, StateError) as error:
        raise SearchError(f'{bundle.folder}: {error}. Train the bundle again') from error
    return network.eval()


def served_pictures(
    configuration: TrainingConfiguration, bundle: Bundle, quiet: bool
) -> tuple[TrainingData, TrainingData, TrainingData]:
    """
    Return training and held-out pictures, as the training split them, and test pictures.

    :raises DataError: if they cannot be read, or have other classes than the bundle.
    """
    # As they are served: the configuration may say otherwise by now.
    preprocessing = bundle.manifest.preprocessing
    training, test = training_task(bundle.manifest.task.name).read(
        configuration, preprocessing, quiet
    )
    for path, pictures in (
        (configuration.training_data, training),
        (configuration.test_data, test),
    ):
        if pictures.classes != tuple(bundle.manifest.labels):
            raise DataError(
                f'{path} has the classes {", ".join(pictures.classes)}, the bundle '
                f'{bundle.folder} has {", ".join(bundle.manifest.labels)}: give the data that '
                'it was trained on'
            )
    return *training.split(configuration.held_out, configuration.seed), test


def check_held_out(configuration: TrainingConfiguration, pictures: int) -> None:
    """Check, where the training's work folder is still there, that it held out the same."""
    path = configuration.work / CHECKPOINT_NAME
    try:
        state = read_state(path)
    except CheckpointError as error:
        raise SearchError(str(error)) from error
    different = '' if state is None else held_out_otherwise(state, configuration.seed, pictures)
    if different:
        raise SearchError(
            f'{path} {different}: restore seed, held_out and the training data, or train again'
        )


def _evolve(
    space: SearchSpace, evaluator: Evaluator, settings: SearchSettings, seed: int, quiet: bool
) -> None:
    with tqdm(
        total=settings.generations, desc='searching', unit='generation', disable=quiet
    ) as progress_bar:

        def evaluate(generation: list[Genes]) -> Objectives:
            objectives = evaluator.objectives(generation)
            progress_bar.update()
            progress_bar.set_postfix(candidates=len(evaluator.evaluations))
            return objectives

        start = space.start(settings.population, seed)
        evolve(space, start, settings.population, settings.generations, seed, evaluate)


def choose(
    evaluator: Evaluator, settings: SearchSettings
) -> tuple[list[Evaluation], list[Evaluation]]:
    """Measure the front again, and return it and the sub-networks of it to keep."""
    known: set[int] = set()
    while True:
        near = near_front(*columns(evaluator.evaluations), _MARGIN * settings.tolerance).tolist()
        if known.issuperset(near):
            break
        # One whose cost came out far too low the first time hid what it seemed to dominate, so
        # the front of the new costs may have others near it.
        known.update(near)
        evaluator.refine(near, settings.final_turns)
    refined = [
        each
        for each in (evaluator.evaluations[index] for index in near)
        if each.accuracy >= settings.minimum_accuracy
    ]
    if not refined:
        best = max(each.accuracy for each in evaluator.evaluations)
        raise SearchError(
            f'search.minimum_accuracy is {settings.minimum_accuracy}: the most accurate of '
            f'{len(evaluator.evaluations)} sub-networks has {best:.3f}. Lower it, or train longer'
        )
    accuracies, costs = columns(refined)
    indices = pareto_front(accuracies, costs, settings.tolerance)
    places = front_length(accuracies[indices], costs[indices])
    front = [refined[index] for index in indices]
    return front, [front[position] for position in spread(places, settings.sub_networks)]


def _tested(
    network: DynamicNetwork[Any],
    pool: Pool,
    journal: Journal,
    chosen: Sequence[Evaluation],
    test: TrainingData,
    stored: type[np.floating[Any]],
    quiet: bool,
) -> list[Kept]:
    """
    Return the chosen sub-networks with their accuracy on the test pictures.

    :param stored: the type in which the bundle has their statistics.
    """
    entries = []
    for mapping in (each.configuration.to_mapping() for each in chosen):
        rounded = {
            name: values.astype(stored).astype(np.float32)
            for name, values in journal.statistics(mapping).items()
        }
        entries.append((mapping, rounded))
    accuracies = dict(
        tqdm(pool.accuracies(entries, test), desc='testing', total=len(entries), disable=quiet)
    )
    return [
        Kept(
            manifest_entry(network, each.configuration, f's{index}', accuracies[index]),
            each,
            statistics,
        )
        for index, (each, (mapping, statistics)) in enumerate(zip(chosen, entries))
    ]


def _comparison(
    network: DynamicNetwork[Any],
    evaluations: Sequence[Evaluation],
    settings: SearchSettings,
    meter: CostMeter,
) -> Comparison | None:
    """Compare block sums with latencies, where they were measured on what the sums are for."""
    same = (settings.engine, meter.processor, settings.threads) == ('torch', 'cpu', 1)
    if settings.objective is not CostMeasure.LATENCY or not same or len(evaluations) < 2:
        return None
    table = BlockTable()
    sums = [
        table.sum(network.extract(each.configuration), each.configuration.size)
        for each in evaluations
    ]
    return Comparison.of(np.array(sums), columns(evaluations)[1])


def digest_of(values: Mapping[str, Any]) -> str:
    """Return the SHA-256 of named arrays and plain values, whatever their order."""
    digest = hashlib.sha256()
    for name in sorted(values):
        value = values[name]
        digest.update(name.encode())
        if isinstance(value, np.ndarray):
            digest.update(f'{value.dtype.str}{value.shape}'.encode())
            digest.update(np.ascontiguousarray(value).data)
        else:
            digest.update(repr(value).encode())
    return digest.hexdigest()
