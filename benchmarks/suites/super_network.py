# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
The bundles that ship: accuracy and latency of every sub-network, served as a node serves it.

Pictures go through the preprocessing of the bundle and the engine, one after the other. Next to
them stand architectures trained alone, where `dynamic-dnn train CONFIG --alone` has trained them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
import dataclasses
from itertools import zip_longest
import json
from pathlib import Path
import time
from typing import Any

import numpy as np
from report import Figure, Report, figure
import torch

from dynamic_dnn_ros.bundles.manifest import Manifest, SubNetwork
from dynamic_dnn_ros.bundles.reader import Bundle, read_bundle
from dynamic_dnn_ros.datasets.labelled_set import LabelledSet
from dynamic_dnn_ros.datasets.registry import open_dataset
from dynamic_dnn_ros.engines.contract import PreparedSubNetwork
from dynamic_dnn_ros.engines.registry import create_engine
from dynamic_dnn_ros.networks.checks import ConfigurationError
from dynamic_dnn_ros.networks.registry import network_of
from dynamic_dnn_ros.profiling.accuracy import measure_accuracies
from dynamic_dnn_ros.profiling.timing import workload
from dynamic_dnn_ros.search.space import SearchSpace
from support.shared_data import CIFAR10_TEST, REPOSITORY, shared_data

RUNS = 7
"""Of the latencies; accuracies come out the same each time, and are measured once."""

PICTURES = 10_000
"""To test on."""

TURNS = 40
"""Of each sub-network in a run, in an order drawn anew, so that disturbances hit all alike."""

RUNS_EACH_TURN = 5


@dataclasses.dataclass(frozen=True)
class Shipped:
    """
    A bundle that ships, and what is asked of it.

    :param pictures: the test pictures, a path in the data that tests use.
    :param accuracies: bars by place among the sub-networks, the fastest first.
    :param engine: that latencies are measured with.
    :param alone: places of those to compare with the same architecture trained alone.
    :param slope: bar of the largest ratio of latencies between two sub-networks whose accuracies
        differ by at most `SLOPE_POINTS`.
    """

    name: str
    pictures: str
    sub_networks: int
    accuracies: dict[int, str]
    engine: str = 'torch'
    latency_ratio: str | None = None
    alone: tuple[int, ...] = ()
    slope: str | None = None

    @property
    def training(self) -> str:
        """Return the configuration that it is trained with, from the root of the repository."""
        return f'config/training/{self.name}.yaml'

    @property
    def work(self) -> Path:
        """Return the folder that a training of that configuration works in."""
        return REPOSITORY / 'build' / 'training' / self.name


SHIPPED = (
    Shipped(
        'cifar10_ofa',
        CIFAR10_TEST,
        10,
        {0: '>= 0.82', -1: '>= 0.89'},
        latency_ratio='>= 4',
        alone=(0, 1, -1),
    ),
    # Published for the four levels: 56, 63, 69 and 71 % (arXiv 2105.03600).
    Shipped(
        'cifar10_incremental_group',
        CIFAR10_TEST,
        4,
        {0: '> 0.56', 1: '> 0.63', 2: '> 0.69', 3: '> 0.71'},
    ),
    # Published for AnyDepth: 1.82 times as fast for 2.0 AP less, on COCO.
    Shipped(
        'fruit_detector',
        'labelled/fruit',
        6,
        {},
        engine='onnxruntime',
        latency_ratio='>= 4',
        alone=(0, 1, -1),
        slope='>= 1.82',
    ),
)
SLOPE_POINTS = 2.0
MEGABYTES_TOGETHER = 20


def run(runs: int) -> Report:
    """Measure every bundle that is there."""
    figures: list[Figure] = []
    not_measured: list[str] = []
    sizes: list[float] = []
    identifiers = {}
    threads = torch.get_num_threads()
    pictures = {}
    try:
        for shipped in SHIPPED:
            folder = REPOSITORY / 'models' / shipped.name
            if not (folder / 'manifest.json').exists():
                not_measured.append(
                    f'`models/{shipped.name}` is absent: `dynamic-dnn train {shipped.training}` '
                    'makes it'
                )
                continue
            bundle = read_bundle(folder)
            task = bundle.manifest.task.name
            test = open_dataset(shared_data(shipped.pictures), task)
            chosen = some_of(test, PICTURES)
            pictures[shipped.name] = f'{len(chosen)} of {shipped.pictures}'
            identifiers[shipped.name] = [entry.id for entry in bundle.manifest.sub_networks]
            figures += measure(shipped, bundle, chosen, runs)
            rows, missing = alone(shipped, bundle.manifest, shipped.work)
            figures += rows
            not_measured += missing
            sizes.append(_size(bundle))
    finally:
        torch.set_num_threads(threads)
    if len(sizes) == len(SHIPPED):
        figures.append(
            figure('the bundles together', sum(sizes), 'MB', f'<= {MEGABYTES_TOGETHER}')
        )
    configuration = {
        'sub_networks': identifiers,
        'pictures': pictures,
        'engines': {shipped.name: shipped.engine for shipped in SHIPPED},
        'threads': 1,
        'latency': f"of one picture of the sub-network's resolution; {TURNS} turns of "
        f'{RUNS_EACH_TURN} in a run, after one that is not counted',
        'not_measured': not_measured,
    }
    return Report('super_network', 'measured', configuration, figures)


def some_of(pictures: LabelledSet[Any], count: int) -> LabelledSet[Any]:
    """Return a number of pictures, of each class its share; all where there are no more."""
    count = min(count, len(pictures))
    # They are sorted by class.
    spread = np.linspace(0, len(pictures) - 1, count).round().astype(int)
    return pictures.take(spread.tolist())


def measure(
    shipped: Shipped, bundle: Bundle, pictures: LabelledSet[Any], runs: int
) -> list[Figure]:
    """Return accuracies and latencies of a bundle's sub-networks, and what is asked of them."""
    entries = bundle.manifest.sub_networks
    engine = create_engine(shipped.engine, bundle, threads=1)
    prepared = [engine.prepare(entry, 'cpu') for entry in entries]
    manifest = bundle.manifest
    task = manifest.make_task()
    if pictures.labels != manifest.labels:
        raise ValueError(f'{shipped.name} has the labels {manifest.labels}')
    accuracies = measure_accuracies(
        prepared, task, manifest.labels, manifest.preprocessing, pictures
    )
    bars = {entries[place].id: bar for place, bar in shipped.accuracies.items()}
    latencies = np.array([_latencies(prepared, turn) for turn in range(runs)])
    name = shipped.name
    return [
        figure(f'{name}: sub-networks', len(entries), '', f'>= {shipped.sub_networks}'),
        *(
            figure(accuracy_name(name, identifier), value, '0..1', bars.get(identifier))
            for identifier, value in accuracies.items()
        ),
        figure(
            f'{name}: largest difference of an accuracy from the one in the bundle',
            max(abs(accuracies[entry.id] - entry.accuracy) for entry in entries) * 100,
            'points',
        ),
        *(
            figure(latency_name(name, entry.id), list(latencies[:, index]), 's')
            for index, entry in enumerate(entries)
        ),
        figure(
            f'{name}: latency of the slowest against the fastest',
            list(latencies.max(1) / latencies.min(1)),
            'ratio',
            shipped.latency_ratio,
        ),
        figure(
            f'{name}: latency that at most {SLOPE_POINTS:g} points save, largest ratio',
            [_slope(row, [accuracies[entry.id] for entry in entries]) for row in latencies],
            'ratio',
            shipped.slope,
        ),
        figure(f'{name}: size of the bundle', _size(bundle), 'MB'),
    ]


def _slope(latencies: Sequence[float], accuracies: Sequence[float]) -> float:
    """Return how much faster a sub-network is than another one that is little more accurate."""
    pairs = [*zip(latencies, accuracies)]
    return max(
        slow / fast
        for slow, more in pairs
        for fast, less in pairs
        if 0 <= (more - less) * 100 <= SLOPE_POINTS
    )


def _latencies(prepared: Sequence[PreparedSubNetwork], seed: int) -> list[float]:
    """Return the median latency of each sub-network, all in turns."""
    run_one = [workload(each) for each in prepared]
    seconds: list[list[float]] = [[] for _ in prepared]
    generator = np.random.default_rng(seed)
    for _ in range(TURNS):
        for index in generator.permutation(len(prepared)):
            run_one[index]()  # The caches hold another one's weights.
            for _ in range(RUNS_EACH_TURN):
                begun = time.perf_counter()
                run_one[index]()
                seconds[index].append(time.perf_counter() - begun)
    return [float(np.median(taken)) for taken in seconds]


def alone(shipped: Shipped, manifest: Manifest, work: Path) -> tuple[list[Figure], list[str]]:
    """
    Compare sub-networks with the same architecture trained alone, and say which are missing.

    Both figures of a comparison are those that training and search took, on all test pictures.
    """
    places = {0: 0, 1: len(manifest.sub_networks) // 2, -1: -1}
    wanted = [manifest.sub_networks[places[place]].id for place in shipped.alone]
    space = SearchSpace(network_of(manifest))
    found = {}
    missing = []
    for path in sorted(work.glob('alone_*/result.json')):
        result = json.loads(path.read_text(encoding='utf-8'))
        same = _sub_network_of(space, manifest, result['configuration'])
        if same is not None and result['accuracy_data'] == manifest.accuracy_data:
            found[same.id] = result
        else:
            missing.append(
                f'`{path.relative_to(work)}` of {shipped.name} is of an architecture, or of data, '
                'that the bundle does not have (now)'
            )
    rows = []
    for identifier, result in found.items():
        own = manifest.sub_network(identifier).accuracy
        rows += [
            figure(alone_name(shipped.name, identifier), result['accuracy'], '0..1'),
            figure(
                f'{shipped.name}: {identifier} in the super-network above the same trained alone',
                round((own - result['accuracy']) * 100, 6),
                'points',
                '>= -1',
            ),
        ]
    missing += [
        f'{identifier} of {shipped.name} trained alone: `dynamic-dnn train {shipped.training} '
        f'--alone {identifier}` does it, in the time that the whole took or less; then run this '
        'suite again'
        for identifier in wanted
        if identifier not in found
    ]
    return rows, missing


def _sub_network_of(
    space: SearchSpace, manifest: Manifest, mapping: Mapping[str, Any]
) -> SubNetwork | None:
    """Return the sub-network of a configuration, but for entries without effect; None: none."""
    configuration = space.network.configuration
    try:
        wanted = space.simplest(configuration(mapping))
    except ConfigurationError:
        return None  # Of a layout that the bundle had once.
    for entry in manifest.sub_networks:
        if space.simplest(configuration(entry.configuration)) == wanted:
            return entry
    return None


def accuracy_name(bundle: str, identifier: str) -> str:
    """Return the name of a figure."""
    return f'{bundle}: {identifier}, accuracy'


def latency_name(bundle: str, identifier: str) -> str:
    """Return the name of a figure."""
    return f'{bundle}: {identifier}, latency, median'


def alone_name(bundle: str, identifier: str) -> str:
    """Return the name of a figure."""
    return f'{bundle}: {identifier}, accuracy of the same architecture trained alone'


def _size(bundle: Bundle) -> float:
    return sum(path.stat().st_size for path in bundle.folder.iterdir()) / 1e6


def draw(report: Report, path: Path) -> None:
    """Draw accuracy over latency."""
    from matplotlib.figure import Figure as Canvas
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    rows = report.rows()
    canvas = Canvas(figsize=(8.0, 4.6), dpi=110, layout='constrained')
    axes = canvas.add_subplot()
    bundles: dict[str, Any] = report.configuration['sub_networks']
    looks = zip_longest(bundles.items(), ('#1f5fa8', '#3d8f5f', '#8a4fa8'), fillvalue='#1f5fa8')
    for (bundle, identifiers), colour in list(looks)[: len(bundles)]:
        latencies = [rows[latency_name(bundle, each)] for each in identifiers]
        middle = np.array([row.value for row in latencies]) * 1e3
        spread = np.array([[row.low, row.high] for row in latencies]).T * 1e3
        accuracies = [rows[accuracy_name(bundle, each)].value * 100 for each in identifiers]
        errors = np.abs(spread - middle)
        axes.errorbar(
            middle, accuracies, xerr=errors, color=colour, marker='o', lw=1.2, label=bundle
        )
        for identifier, x, y in zip(identifiers, middle, accuracies):
            axes.annotate(
                identifier,
                (x, y),
                xytext=(0, 7),
                textcoords='offset points',
                ha='center',
                fontsize=8,
            )
            trained = rows.get(alone_name(bundle, identifier))
            if trained is not None:
                axes.plot(x, trained.value * 100, marker='D', mfc='none', color='#d9661f', ls='')
    if any(', accuracy of the same' in name for name in rows):
        axes.plot([], [], marker='D', mfc='none', color='#d9661f', ls='', label='trained alone')
    axes.set_xscale('log')
    axes.xaxis.set_major_locator(LogLocator(base=10, subs=(1.0, 1.5, 2.0, 3.0, 5.0, 7.0)))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f'{value:g}'))
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.set_xlabel(f'latency of one picture, median (ms): one thread of {report.host["cpu"]}')
    axes.set_ylabel('accuracy (%): top-1, AP 50:95 of detectors')
    axes.grid(True, which='major', color='#e6e6e6', linewidth=0.8)
    axes.set_axisbelow(True)
    for side in ('top', 'right'):
        axes.spines[side].set_visible(False)
    axes.legend(loc='lower right', fontsize=8, frameon=True, edgecolor='none')
    axes.set_title('Sub-networks of the bundles that ship, as served', loc='left', fontsize=12)
    path.parent.mkdir(parents=True, exist_ok=True)
    canvas.savefig(path, metadata={'Software': None})
