# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
Training over slow lines: each compression against whole gradients.

Computers are network namespaces, joined by lines that token buckets shape; they share the cores of
this one. A step is one of `cifar10_ofa`'s first phase. What is sent is what each computer's
interface counts.

Time to the same loss is the number of steps that it took, times the time of one. The steps are
those of a training over a fast line, since which gradients are sent depends on the ratio alone.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
import hashlib
import json
import os
from pathlib import Path
import subprocess
import sys
import tempfile
import time
from typing import Any

from network import FIRST_ADDRESS, INTERFACE, NamespacesError, Network
import numpy as np
from report import Figure, Report, figure
import yaml

from dynamic_dnn_ros.networks.registry import create
from dynamic_dnn_ros.storage import write_whole
from dynamic_dnn_ros.training.links.settings import Compression
from support.shared_data import DATA, REPOSITORY

RUNS = 1

#: Pictures to test on.
PICTURES = 4000

#: To train on; kept in a file, since decoding takes longer than a measurement.
TRAINING_PICTURES = 10_000

BATCH_SIZE = 32

MEGABIT = 1e6

#: Of the lines of the computers, bit/s.
LINES = {
    'two at 8 Mbit/s': (8 * MEGABIT,) * 2,
    'two at 100 Mbit/s': (100 * MEGABIT,) * 2,
    'two at 1 Gbit/s': (1000 * MEGABIT,) * 2,
    'four at 8 Mbit/s': (8 * MEGABIT,) * 4,
    'four, two at 1 Gbit/s, one at 100, one at 8 Mbit/s': (
        1000 * MEGABIT,
        1000 * MEGABIT,
        100 * MEGABIT,
        8 * MEGABIT,
    ),
}

#: How many times faster than with whole gradients a step must be.
FASTER = {
    'two at 8 Mbit/s': '>= 9',
    'two at 100 Mbit/s': '>= 2',
    'two at 1 Gbit/s': '>= 0.95',
    'four at 8 Mbit/s': '>= 9',
    'four, two at 1 Gbit/s, one at 100, one at 8 Mbit/s': '>= 9',
}

#: With `best`: in stages where the plan says that these are faster, else as `adaptive`.
METHODS = ('none', 'fp16', 'powersgd', 'top_k', 'adaptive', 'best')

#: Of a training over a line of 1 Gbit/s: the step after which it carries nothing for so long, and
#: that after which it carries a tenth.
CUT_AFTER, CUT_SECONDS = 10, 10.0
SLOWER_AFTER, DISTURBED_STEPS = 30, 60

#: Of a measurement; the first ones warm up and measure links.
STEPS = 14
WARM_UP = 7

#: Of the short recipe, and its seeds.
RECIPE_STEPS = 400
SEEDS = (0, 1, 2)

#: Loss that time is measured to: the mean of the last so many steps of a short training.
LOSS_STEPS = 40


def run(runs: int) -> Report:
    """Measure all lines, and the accuracy after a short training."""
    figures: list[Figure] = []
    not_measured: list[str] = []
    try:
        data = prepared(REPOSITORY / 'build' / 'benchmarks' / 'slow_links')
        with Network([8 * MEGABIT]).joined():
            pass
    except (NamespacesError, FileNotFoundError) as error:
        not_measured.append(f'all: {error}')
        return Report('slow_links', 'measured', {'not_measured': not_measured}, figures)
    seconds = {}
    for name, rates in LINES.items():
        answers = {
            method: [trained(rates, task(data, method, STEPS, seed=0)) for _ in range(runs)]
            for method in METHODS
        }
        figures += of_lines(name, answers)
        seconds[name] = {method: step_seconds(each) for method, each in answers.items()}
    figures += of_disturbances(data)
    figures += of_recipe(data, seconds, LINES['two at 1 Gbit/s'])
    configuration = {
        'network': 'ofa_mbv3_32x32, the largest sub-network at 24 pixels',
        'batch': f'{BATCH_SIZE} pictures a process',
        'ratio': Compression().ratio,
        'threads': 1,
        'lines': 'network namespaces at one bridge, shaped by tc (tbf) both ways, no delay added',
        'steps': f'{STEPS}, of which {WARM_UP} are not counted; of the recipe {RECIPE_STEPS}',
        'not_measured': not_measured,
    }
    return Report('slow_links', 'measured', configuration, figures)


def of_lines(name: str, answers: Mapping[str, Sequence[Sequence[Any]]]) -> list[Figure]:
    """Return what steps took over some lines, and what was sent."""
    whole = step_seconds(answers['none'])
    rows = []
    for method, each in answers.items():
        taken = step_seconds(each)
        sent = [np.median([part['bytes'][WARM_UP:] for part in one]) / 1e6 for one in each]
        rows += [
            figure(f'{name}, {method}: a step', taken, 's'),
            figure(f'{name}, {method}: sent by a process in a step', sent, 'MB'),
        ]
        if method != 'none':
            bar = FASTER[name] if method in ('adaptive', 'best') else None
            faster = [slow / fast for slow, fast in zip(whole, taken)]
            rows.append(figure(f'{name}, {method}: faster than whole gradients', faster, 'x', bar))
    for method in ('adaptive', 'best'):
        of_method = answers[method]
        predicted = [
            abs(one[0]['predicted'] / fast - 1)
            for one, fast in zip(of_method, step_seconds(of_method))
        ]
        how = f' ({of_method[0][0].get("placement", "data parallel")})' if method == 'best' else ''
        what = f'{name}, {method}{how}: the predicted step is off by'
        rows.append(figure(what, predicted, '', '<= 0.15'))
    return rows


def of_disturbances(data: Path) -> list[Figure]:
    """Return what a line that carries nothing for a while, and then less, does to a training."""
    answers = trained(
        (1000 * MEGABIT,) * 2, task(data, 'adaptive', DISTURBED_STEPS, seed=0), disturbed
    )
    seconds, compressed = answers[0]['seconds'], answers[0]['compressed']
    slow = [step for step in range(SLOWER_AFTER, len(compressed)) if compressed[step]]
    return [
        figure(
            f'a line carries nothing for {CUT_SECONDS:g} s: longest step',
            max(seconds[:SLOWER_AFTER]),
            's',
        ),
        figure(
            'steps that were trained all the same', len(seconds), 'steps', f'>= {DISTURBED_STEPS}'
        ),
        figure(
            'a line carries a tenth, 100 Mbit/s: steps until gradients are compressed',
            (slow[0] if slow else len(compressed)) - SLOWER_AFTER,
            'steps',
        ),
    ]


def disturbed(network: Network, steps: Callable[[], int]) -> None:
    """Cut a line for a while, then make it slower; `steps` says how many are done."""
    wait_for(lambda: steps() >= CUT_AFTER)
    network.cut(0, whole=False)
    time.sleep(CUT_SECONDS)
    network.cut(0, whole=True)
    wait_for(lambda: steps() >= SLOWER_AFTER)
    network.shape(0, 100 * MEGABIT)


def wait_for(condition: Callable[[], bool], seconds: float = 300.0) -> None:
    """Wait until something is so, at most for so long."""
    end = time.monotonic() + seconds
    while not condition() and time.monotonic() < end:
        time.sleep(0.02)


def step_seconds(answers: Sequence[Sequence[Any]]) -> list[float]:
    """Return the median time of a step, one a run."""
    return [float(np.median([part['seconds'][WARM_UP:] for part in one])) for one in answers]


def of_recipe(
    data: Path, seconds: Mapping[str, Mapping[str, Sequence[float]]], rates: Sequence[float]
) -> list[Figure]:
    """Train the short recipe, and return its accuracies and the time to the same loss."""
    # Over a fast line, with the ratio that a slow one leads to.
    methods = {'none': 'none', 'adaptive': 'top_k'}
    found = {
        method: [
            kept(rates, task(data, sent, RECIPE_STEPS, seed, tested=True))[0] for seed in SEEDS
        ]
        for method, sent in methods.items()
    }
    accuracies = {
        method: [answer['accuracy'] for answer in answers] for method, answers in found.items()
    }
    rows = [
        figure(f'short recipe, {method}: accuracy, {len(SEEDS)} seeds', values, '0..1')
        for method, values in accuracies.items()
    ]
    lost = 100 * (np.mean(accuracies['none']) - np.mean(accuracies['adaptive']))
    rows.append(
        figure('short recipe, adaptive: accuracy lost, mean', float(lost), 'points', '<= 0.3')
    )
    steps = {
        method: np.median([steps_to_loss(answer['losses'], found['none']) for answer in answers])
        for method, answers in found.items()
    }
    for name in ('two at 8 Mbit/s', 'two at 100 Mbit/s'):
        times = {
            method: float(steps[method] * np.median(seconds[name][method])) for method in methods
        }
        rows += [
            figure(f'{name}, {method}: to the same loss', taken, 's')
            for method, taken in times.items()
        ]
        rows.append(
            figure(
                f'{name}, adaptive: faster to the same loss',
                times['none'] / times['adaptive'],
                'x',
                FASTER[name],
            )
        )
    return rows


def steps_to_loss(losses: Sequence[float], whole: Sequence[Mapping[str, Any]]) -> int:
    """Return after how many steps the mean loss is that of whole gradients at three quarters."""
    smooth = moving_mean(losses)
    wanted = np.median(
        [moving_mean(each['losses'])[3 * len(each['losses']) // 4 - LOSS_STEPS] for each in whole]
    )
    reached = np.flatnonzero(smooth <= wanted)
    return int(reached[0]) + LOSS_STEPS if len(reached) else len(losses)


def moving_mean(losses: Sequence[float]) -> Any:
    """Return the mean of each so many steps in a row."""
    return np.convolve(losses, np.full(LOSS_STEPS, 1 / LOSS_STEPS), 'valid')


def task(data: Path, method: str, steps: int, seed: int, tested: bool = False) -> dict[str, Any]:
    """Return what the processes are told; see `slow_links_worker.py`."""
    path = REPOSITORY / 'config' / 'training' / 'cifar10_ofa.yaml'
    configuration = yaml.safe_load(path.read_text(encoding='utf-8'))
    layout = create(configuration['family'], configuration['layout']).layout_mapping()
    return {
        'configuration': {**configuration, 'layout': layout, 'batch_size': BATCH_SIZE},
        'phase': 0,
        'compression': 'adaptive' if method == 'best' else method,
        'placement': 'best' if method == 'best' else 'data_parallel',
        'pictures': str(data / 'train.npz'),
        'test_pictures': str(data / 'test.npz') if tested else '',
        'steps': steps,
        'seed': seed,
    }


def kept(rates: Sequence[float], told: Mapping[str, Any]) -> list[dict[str, Any]]:
    """
    Return what the processes answered to such a task before, or have them train now.

    Accuracies take long, and do not depend on what else runs. What trains must be the same code.
    """
    sources = sorted((REPOSITORY / 'dynamic_dnn_ros' / 'training').rglob('*.py'))
    # Wherever this repository lies.
    asked = json.dumps([rates, told]).replace(str(REPOSITORY), '')
    content = [asked, *(path.read_text() for path in sources)]
    digest = hashlib.sha256('\0'.join(content).encode()).hexdigest()[:16]
    path = Path(told['pictures']).parent / f'answers_{digest}.json'
    if not path.exists():
        write_whole(path, json.dumps(trained(rates, told)).encode())
    answers: list[dict[str, Any]] = json.loads(path.read_text())
    return answers


def trained(
    rates: Sequence[float],
    told: Mapping[str, Any],
    meanwhile: Callable[[Network, Callable[[], int]], None] = lambda network, steps: None,
) -> list[dict[str, Any]]:
    """
    Return what the processes answer, one on each computer.

    :param meanwhile: is called while they train, with what says how many steps are done.
    """
    worker = Path(__file__).resolve().parents[1] / 'slow_links_worker.py'
    with tempfile.TemporaryDirectory() as folder, Network(rates).joined() as network:
        path = Path(folder) / 'task.json'
        progress = Path(folder) / 'progress'
        progress.write_text('0')
        path.write_text(json.dumps({**told, 'progress': str(progress)}))
        environment = {
            **os.environ,
            'WORLD_SIZE': str(len(rates)),
            'MASTER_ADDR': FIRST_ADDRESS,
            'MASTER_PORT': '29400',
            'GLOO_SOCKET_IFNAME': INTERFACE,
            'CUDA_VISIBLE_DEVICES': '',
        }
        processes = [
            subprocess.Popen(
                network.command(rank, [sys.executable, str(worker), str(path)]),
                env={**environment, 'RANK': str(rank)},
                stdout=subprocess.PIPE,
                text=True,
            )
            for rank in range(len(rates))
        ]
        try:
            meanwhile(network, lambda: int(progress.read_text() or 0))
            return [json.loads(process.communicate()[0]) for process in processes]
        finally:
            for process in processes:
                process.kill()
                process.wait()


def prepared(folder: Path) -> Path:
    """
    Return the folder with the pictures of all measurements, made once.

    :raises FileNotFoundError: if the data are absent.
    """
    from dynamic_dnn_ros.training.pictures import read_pictures

    for name, count in (('train', TRAINING_PICTURES), ('test', PICTURES)):
        path = folder / f'{name}.npz'
        if path.exists():
            continue
        archive = DATA / 'cifar10_jpeg' / f'{name}.tar.xz'
        if not archive.exists():
            raise FileNotFoundError(f'{archive} is absent')
        pictures = read_pictures(archive, quiet=True)
        chosen = pictures.take(np.random.default_rng(0).permutation(len(pictures))[:count])
        folder.mkdir(parents=True, exist_ok=True)
        np.savez(
            path,
            images=np.asarray(chosen.images),
            labels=chosen.labels,
            classes=np.array(chosen.classes),
        )
    return folder
