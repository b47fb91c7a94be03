# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""`dynamic-dnn train`: from pictures to a bundle, resumable."""

from __future__ import annotations

import argparse
import json
import logging
from pathlib import Path
import shlex

from dynamic_dnn_ros.bundles.errors import BundleError
from dynamic_dnn_ros.bundles.manifest import Manifest
from dynamic_dnn_ros.datasets.contract import DataError
from dynamic_dnn_ros.engines.contract import EngineError
from dynamic_dnn_ros.networks.contract import ConfigurationError
from dynamic_dnn_ros.networks.given_weights import GivenWeightsError
from dynamic_dnn_ros.training.checkpoint import CheckpointError
from dynamic_dnn_ros.training.configuration import (
    TrainingConfiguration,
    TrainingConfigurationError,
)
from dynamic_dnn_ros.training.links.planning import advice
from dynamic_dnn_ros.training.links.planning import describe as describe_placements
from dynamic_dnn_ros.training.model_card import describe
from dynamic_dnn_ros.training.processes import WorkerError
from dynamic_dnn_ros.training.recipe import plan_training, train_alone, train_bundle
from dynamic_dnn_ros.training.tested import certainty, pictures_tested
from dynamic_dnn_ros.training.trainer import DivergenceError

ERRORS = (
    BundleError,
    CheckpointError,
    ConfigurationError,
    DivergenceError,
    EngineError,
    DataError,
    GivenWeightsError,
    TrainingConfigurationError,
    WorkerError,
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of this command."""
    parser.add_argument(
        'configuration', metavar='CONFIG', type=Path, help='training configuration, a YAML file'
    )
    parser.add_argument(
        '--alone',
        metavar='SUB_NETWORK',
        help='train the architecture of a sub-network of the bundle (s3), or of the largest or '
        'the smallest, alone and from scratch, and say how accurate it becomes; writes no bundle',
    )
    parser.add_argument(
        '--plan',
        action='store_true',
        help='measure network and links, say what a step would take, and train nothing',
    )
    parser.add_argument('--quiet', action='store_true', help='show no progress bars')


def run(arguments: argparse.Namespace) -> int:
    """Run the command and return its exit code."""
    logging.basicConfig(level=logging.INFO, format='%(message)s')
    configuration = TrainingConfiguration.from_file(arguments.configuration)
    if arguments.plan:
        _plan(configuration, arguments.quiet)
    elif arguments.alone is not None:
        _train_alone(configuration, arguments.alone, arguments.quiet)
    else:
        _train(configuration, str(arguments.configuration), arguments.quiet)
    return 0


def _train(configuration: TrainingConfiguration, command: str, quiet: bool) -> None:
    bundle = train_bundle(configuration, command, quiet)
    if bundle is not None:
        for entry in bundle.manifest.sub_networks:
            print(describe(entry))
        _say_how_sure(bundle.manifest)
        print(f'written: {bundle.folder}')
        if configuration.exits:
            folder = shlex.quote(str(bundle.folder))
            print(f'next: dynamic-dnn exits {folder} --configuration {shlex.quote(command)}')
        else:
            print(f'next: dynamic-dnn search {shlex.quote(command)}')


def _say_how_sure(manifest: Manifest) -> None:
    accuracies = [entry.accuracy for entry in manifest.sub_networks]
    count = pictures_tested(manifest.accuracy_data)
    if count:
        print(certainty('accuracy', manifest.make_task().metric, accuracies, count))


def _plan(configuration: TrainingConfiguration, quiet: bool) -> None:
    found = plan_training(configuration, quiet)
    if found is not None:
        print('\n'.join([*describe_placements(found), advice(found)]))


def _train_alone(configuration: TrainingConfiguration, which: str, quiet: bool) -> None:
    path = train_alone(configuration, which, quiet)
    if path is not None:
        result = json.loads(path.read_text(encoding='utf-8'))
        print(f'{which} trained alone: accuracy {result["accuracy"]:.2%}')
        print(f'written: {path}')
