# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""`dynamic-dnn train`: from pictures to a bundle, resumable."""

from __future__ import annotations

import argparse
import logging
from pathlib import Path
import sys

from dynamic_dnn_ros.bundles.errors import BundleError
from dynamic_dnn_ros.networks.contract import ConfigurationError
from dynamic_dnn_ros.training.configuration import (
    TrainingConfiguration,
    TrainingConfigurationError,
)
from dynamic_dnn_ros.training.pictures import PictureError
from dynamic_dnn_ros.training.recipe import train_bundle
from dynamic_dnn_ros.training.trainer import CheckpointError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of this command."""
    parser.add_argument(
        'configuration', metavar='CONFIG', type=Path, help='training configuration, a YAML file'
    )
    parser.add_argument('--quiet', action='store_true', help='show no progress bars')


def run(arguments: argparse.Namespace) -> int:
    """Run the command and return its exit code."""
    logging.basicConfig(level=logging.INFO, format='%(message)s')
    try:
        bundle = train_bundle(
            TrainingConfiguration.from_file(arguments.configuration), arguments.quiet
        )
    except (
        BundleError,
        CheckpointError,
        ConfigurationError,
        PictureError,
        TrainingConfigurationError,
    ) as error:
        print(error, file=sys.stderr)
        return 1
    except OSError as error:
        print(f'{error}; run the command again to continue', file=sys.stderr)
        return 1
    if bundle is not None:
        for entry in bundle.manifest.sub_networks:
            print(
                f'{entry.id}: accuracy {entry.accuracy:.2%}, '
                f'{entry.multiply_adds / 1e6:.2f} M multiply-adds, {entry.resolution} pixels'
            )
        print(f'written: {bundle.folder}')
    return 0
