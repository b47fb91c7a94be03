# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""From a trained bundle to one of backbones with exits, searched together with their clocks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from dynamic_dnn_ros.bundles.locking import exclusive
from dynamic_dnn_ros.bundles.reader import Bundle, read_bundle
from dynamic_dnn_ros.bundles.writer import check_place
from dynamic_dnn_ros.networks.registry import family_class
from dynamic_dnn_ros.platforms.board_model import load_board
from dynamic_dnn_ros.search.card import updated_card
from dynamic_dnn_ros.search.errors import SearchError
from dynamic_dnn_ros.search.evaluation import measure_accuracies
from dynamic_dnn_ros.search.joint.backbones import BackboneMaker
from dynamic_dnn_ros.search.joint.board_costs import BoardCosts
from dynamic_dnn_ros.search.joint.card import joint_card
from dynamic_dnn_ros.search.joint.designs import Backbone, Designer
from dynamic_dnn_ros.search.joint.search import Searched, search_again, search_jointly
from dynamic_dnn_ros.search.joint.settings import MEASURED, JointSettings
from dynamic_dnn_ros.search.joint.stage_meter import StageMeter
from dynamic_dnn_ros.search.joint.writing import KeptDesign, write_joint_bundle
from dynamic_dnn_ros.search.journal import Journal
from dynamic_dnn_ros.search.recipe import FOLDER, Given, given_by, super_network
from dynamic_dnn_ros.search.settings import SearchSettings
from dynamic_dnn_ros.search.space import SearchSpace
from dynamic_dnn_ros.tasks.contract import Metric
from dynamic_dnn_ros.tasks.registry import task_class
from dynamic_dnn_ros.training.configuration import TrainingConfiguration
from dynamic_dnn_ros.training.tested import accuracy_data

_JOINT_FOLDER = 'joint'


@dataclasses.dataclass(frozen=True, eq=False)
class Measured:
    """
    What a joint search is made of: all that it needs of backbones, measured when it is asked for.

    Designs for another board, or by an oracle, are made of the same backbones.
    """

    configuration: TrainingConfiguration
    joint: JointSettings
    bundle: Bundle
    space: SearchSpace
    given: Given
    journal: Journal
    maker: BackboneMaker

    def accuracies(self, configurations: Sequence[Any]) -> Mapping[Any, float]:
        """Return the accuracy of backbones on the held-out pictures, 0..1."""
        given, journal = self.given, self.journal
        measure_accuracies(
            given.pool, journal, configurations, given.calibration, given.held_out, quiet=True
        )
        found = {}
        for each in configurations:
            accuracy = journal.accuracy(each.to_mapping())
            assert accuracy is not None
            found[each] = accuracy
        return found

    def with_heads(self, configuration: Any) -> Backbone:
        """Return a backbone with a head at every place, trained and measured."""
        self.accuracies([configuration])
        return self.maker.make(configuration, self.journal.statistics(configuration.to_mapping()))

    def designer(self, oracle: bool = False, platform: str = '') -> Designer:
        """
        Return what makes designs for a board.

        :param oracle: each picture leaves at the first exit that is right
        :param platform: simulated one; empty: that of the settings
        """
        joint = self.joint
        board = BoardCosts(load_board(platform or joint.platform), rate=joint.rate)
        return Designer(board, joint.at_most_below, joint.works == MEASURED, oracle)

    def search(self, designer: Designer, quiet: bool = False) -> Searched:
        """Run the search; what has been measured is not measured again."""
        with tqdm(desc='searching', unit='step', disable=quiet) as bar:

            def told(text: str) -> None:
                bar.set_postfix_str(text)
                bar.update()

            return search_jointly(
                self.space,
                designer,
                self.joint,
                self.configuration.seed,
                self.accuracies,
                self.with_heads,
                told,
            )

    def again(self, designer: Designer, before: Searched) -> Searched:
        """Search exits and clocks of the backbones of a search with another designer."""
        return search_again(self.space, designer, self.joint, self.configuration.seed, before)


@dataclasses.dataclass(frozen=True, eq=False)
class JointFound:
    """
    What a joint search ends in.

    :param oracle: the same with the oracle, where it was asked for: a bound, never written
    """

    bundle: Bundle
    kept: Sequence[KeptDesign]
    searched: Searched
    oracle: Searched | None


def measured(
    configuration: TrainingConfiguration,
    settings: SearchSettings,
    joint: JointSettings,
    journal: Journal,
    given: Given,
    bundle: Bundle,
) -> Measured:
    """Return what a joint search is made of, see `search_joint_bundle`."""
    network = super_network(bundle)
    meter = StageMeter(bundle, settings) if joint.works == MEASURED else None
    folder = configuration.work / _JOINT_FOLDER
    maker = BackboneMaker(
        bundle, network, configuration, joint, meter, given.training, given.held_out, folder
    )
    return Measured(configuration, joint, bundle, SearchSpace(network), given, journal, maker)


def search_joint_bundle(
    configuration: TrainingConfiguration,
    settings: SearchSettings,
    joint: JointSettings,
    output: Path,
    jobs: int,
    backend: str = 'loky',
    oracle: bool = False,
    command: str = '',
    quiet: bool = False,
) -> JointFound:
    """
    Search backbones of a trained bundle, their exits and clocks, and write those worth keeping.

    Killed at any moment and called again, it continues.

    :param settings: engine, processor, threads and turns of what is measured
    :param output: folder of the bundle to write
    :param oracle: search once more with the oracle, to compare with
    :param command: what the user gave, for the model card
    :raises BundleError: if the bundle is damaged, or the output cannot be written
    :raises DataError: if the pictures cannot be used, or are of other classes
    :raises EngineError: if the engine cannot run here
    :raises PlatformError: for a board that is not described
    :raises ConfigurationError: for an unknown family
    :raises SearchError: if the bundle is missing, or its task or family is not one that can have
        exits
    """
    _check_task(configuration)
    if not configuration.output.exists():
        raise SearchError(
            f"{configuration.output} does not exist: run 'dynamic-dnn train' with the same "
            'configuration first'
        )
    with exclusive(configuration.output):
        bundle = read_bundle(configuration.output)
        _check(bundle, joint)
        check_place(output)
        given = given_by(configuration, bundle, jobs, backend, quiet)
        with Journal(configuration.work / FOLDER, given.subject) as journal:
            made = measured(configuration, settings, joint, journal, given, bundle)
            designer = made.designer()
            searched = made.search(designer, quiet)
            bound = made.again(made.designer(oracle=True), searched) if oracle else None
            kept = kept_designs(made, searched)
            count = len(given.test)
            card = joint_card(made, kept, searched, designer, command, count)
            old = bundle.other_files.get('MODEL_CARD.md', b'').decode()
            text = updated_card(old, card, ('Sub-networks', 'Command')) if old else card
            written = write_joint_bundle(
                output,
                bundle,
                made.space.network,
                kept,
                designer.board,
                accuracy_data(configuration.data_name, count),
                text.encode(),
            )
            return JointFound(written, kept, searched, bound)


def kept_designs(made: Measured, searched: Searched) -> list[KeptDesign]:
    """Return the designs to keep, with what they come to on the test pictures."""
    kept = []
    for index, design in enumerate(searched.spread(made.joint.sub_networks)):
        configuration = design.backbone.configuration
        answers = made.maker.test(configuration, made.given.test)
        kept.append(
            KeptDesign(
                f'j{index}',
                design,
                answers.with_thresholds(design.mixture.exits, design.mixture.thresholds),
                made.maker.heads[configuration],
                made.journal.statistics(configuration.to_mapping()),
            )
        )
    return kept


def _check_task(configuration: TrainingConfiguration) -> None:
    """Refuse a training of another task before anything is read."""
    task = family_class(configuration.family).task
    if task_class(task).metric is not Metric.TOP1:
        raise SearchError(
            f'{configuration.name!r} is trained for {task}: a joint search knows the exits of '
            'classifiers alone. Search without --joint, and chain what it finds: dynamic-dnn '
            'cascade works for every task'
        )


def _check(bundle: Bundle, joint: JointSettings) -> None:
    load_board(joint.platform)
    if np.size(bundle.manifest.labels) < 2:
        raise SearchError(f'bundle {bundle.manifest.name!r} has one class: nothing to decide')
