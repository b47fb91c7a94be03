# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
Backbone, exits and clocks searched together (HADAS), against one after the other.

Backbones are sub-networks of `cifar10_ofa`. Their heads are trained here, for few epochs on few
pictures, and the same for all. Latencies of stages are measured here with ONNX Runtime on one
thread; **energy is simulated**, by the models of the boards that ship, of a mean picture, pictures
one after the other. Backbones are searched for the first board; exits and clocks of all that were
given exits for each board, and with the oracle. Rivals have the same heads and promises:

(a) the largest backbone with the exits that save most, at the clocks that the governors choose;
(b) the backbone with the least energy of those accurate enough, then the exits that save most,
    then the clocks.

With an oracle each picture leaves at the first exit that is right, in all three: the assumption
behind the published 57 %, and no figure that anything can reach.
"""

from __future__ import annotations

from collections.abc import Sequence
import dataclasses
from itertools import combinations

from report import Figure, figure

from dynamic_dnn_ros.bundles.reader import read_bundle
from dynamic_dnn_ros.search.joint.designs import Backbone, Design, Designer
from dynamic_dnn_ros.search.joint.genome import Choice
from dynamic_dnn_ros.search.joint.recipe import Measured, measured
from dynamic_dnn_ros.search.joint.search import Searched
from dynamic_dnn_ros.search.joint.settings import JointSettings
from dynamic_dnn_ros.search.journal import Journal
from dynamic_dnn_ros.search.recipe import FOLDER, given_by
from dynamic_dnn_ros.search.settings import SearchSettings
from dynamic_dnn_ros.training.configuration import TrainingConfiguration
from support.shared_data import CIFAR10_TEST, REPOSITORY, shared_data, shipped_bundle

BOARDS = ('xavier_nx_simulated', 'orin_nx_simulated')
WORK = REPOSITORY / 'build' / 'benchmarks' / 'joint'
"""What has been trained and measured; remove it to do all of it anew."""
PROMISE = 0.005
"""Loss of accuracy that the rivals' exits promise; the joint search may choose another one."""
SETTINGS = JointSettings(
    population=6,
    generations=3,
    survivors=0.34,
    inner_population=24,
    inner_generations=12,
    at_most_below=(0.002, PROMISE, 0.01, 0.02),
    head_epochs=4,
    head_pictures=2000,
)
BELOW = (0.0, 0.01, 0.03)
"""Points of accuracy below (a) at which the joint search is compared with (b)."""


def joint_figures(jobs: int = 1) -> list[Figure]:
    """Return the figures of all boards; a search that was ended goes on."""
    shared_data(CIFAR10_TEST)
    configuration = dataclasses.replace(
        TrainingConfiguration.from_file(REPOSITORY / 'config' / 'training' / 'cifar10_ofa.yaml'),
        output=shipped_bundle(),
        work=WORK,
    )
    bundle = read_bundle(configuration.output)
    given = given_by(configuration, bundle, jobs, 'loky', quiet=False)
    with Journal(WORK / FOLDER, given.subject) as journal:
        settings = SearchSettings(engine='onnxruntime')
        made = measured(configuration, settings, SETTINGS, journal, given, bundle)
        largest = made.with_heads(made.space.simplest(made.space.network.largest()))
        found = made.search(made.designer())
        rows = []
        for board in BOARDS:
            for oracle in (False, True):
                designer = made.designer(oracle, board)
                # Of the same backbones: their heads are trained once.
                searched = made.again(designer, found)
                rows += rows_of(board, made, designer, searched, largest, oracle)
    return rows


def rows_of(
    board: str,
    made: Measured,
    designer: Designer,
    searched: Searched,
    largest: Backbone,
    oracle: bool,
) -> list[Figure]:
    """Return the figures of one board, with an oracle or without."""
    first = with_governor(designer, largest)
    title = f'joint search, {board}' + (', with an oracle' if oracle else '')
    rows = [
        figure(f'{title}: accuracy of (a) on held-out pictures', first.accuracy, '0..1'),
        figure(f'{title}: energy of a picture, (a)', first.spent.energy, 'J'),
    ]
    for below in BELOW:
        accuracy = first.accuracy - below
        ours = searched.least_energy(accuracy)
        if ours is None:
            continue
        second = one_after_the_other(made, designer, searched, accuracy)
        where = f'{title}, {100 * below:g} points below (a)' if below else title
        if not below:
            rows.append(
                figure(
                    f'{where}: energy saved against (a), the largest with exits and governors',
                    1.0 - ours.spent.energy / first.spent.energy,
                    'share',
                )
            )
        rows.append(
            figure(
                f'{where}: energy saved against (b), one after the other',
                1.0 - ours.spent.energy / second.spent.energy,
                'share',
            )
        )
        named = (('joint', ours), ('(b)', second))
        rows += [
            figure(f'{where}: energy of a picture, {name}', each.spent.energy, 'J')
            for name, each in named
        ]
        if not oracle:
            rows += [
                figure(f'{where}: accuracy on test pictures, {name}', _tested(made, each), '0..1')
                for name, each in named
            ]
    return rows


def with_governor(designer: Designer, backbone: Backbone) -> Design:
    """Return a backbone with the exits that save most, at the clocks of the governors."""
    exits = best_exits(designer, backbone)
    return designer.governed(backbone, exits, promise_of(designer))


def promise_of(designer: Designer) -> int:
    """Return the position of the promise that rivals make."""
    return min(SETTINGS.at_most_below.index(PROMISE), designer.promises - 1)


def best_exits(designer: Designer, backbone: Backbone) -> tuple[int, ...]:
    """Return the exits with which the mean picture takes the least work, heads included."""
    highest = tuple(count - 1 for count in designer.board.steps)
    choices = [
        some
        for count in range(SETTINGS.most_exits + 1)
        for some in combinations(range(len(backbone.places)), count)
    ]
    return min(
        choices,
        key=lambda exits: (
            designer.design(backbone, Choice(exits, promise_of(designer), highest)).spent.time
        ),
    )


def one_after_the_other(
    made: Measured, designer: Designer, searched: Searched, accuracy: float
) -> Design:
    """
    Return what comes of choosing backbone, exits and clocks one after the other.

    :param accuracy: of the design that it is to reach, on the held-out pictures
    """
    spare = 0.0 if designer.promises == 1 else PROMISE
    fit = [each for each in searched.wholes if each.accuracy >= accuracy + spare]
    chosen = min(fit, key=lambda each: each.spent.energy, default=None) or max(
        searched.wholes, key=lambda each: each.accuracy
    )
    backbone = made.with_heads(chosen.configuration)
    exits = best_exits(designer, backbone)
    settings = every_clock(designer)
    designs = [
        designer.design(backbone, Choice(exits, promise_of(designer), each)) for each in settings
    ]
    return min(designs, key=lambda each: each.spent.energy)


def every_clock(designer: Designer) -> Sequence[tuple[int, ...]]:
    """Return all settings, as positions in the tables of the domains."""
    settings: list[tuple[int, ...]] = [()]
    for count in designer.board.steps:
        settings = [(*some, at) for some in settings for at in range(count)]
    return settings


def _tested(made: Measured, design: Design) -> float:
    answers = made.maker.test(design.backbone.configuration, made.given.test)
    mixture = design.mixture
    return answers.with_thresholds(mixture.exits, mixture.thresholds).accuracy
