# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
Every engine against eager PyTorch with dynamically sliced weights, and against itself by hand.

The six published levels of Dynamic-OFA on `ofa_mbv3_d234_e346_k357_w1.2` (its file of levels, set
`nets_6`), random weights, one picture, one thread. The peer is the authors' code of Once-for-All
where `DYNAMIC_DNN_OFA_SOURCE` names it; elsewhere our network, activated and run eagerly, stands
in for it, which slices its weights in the same way.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
import json
import os
from pathlib import Path
import subprocess
import sys
import tempfile
import time
from typing import Any

import numpy as np
import psutil
from report import Figure, Report, figure
import torch
from torch import nn

from dynamic_dnn_ros.bundles.manifest import Manifest, SubNetwork, SuperNetwork
from dynamic_dnn_ros.bundles.reader import Bundle, Weights, read_bundle
from dynamic_dnn_ros.bundles.responses import LOGITS, PROBES, probe_picture
from dynamic_dnn_ros.bundles.writer import weights_content, write_bundle
from dynamic_dnn_ros.engines.automatic import fastest_engine
from dynamic_dnn_ros.engines.contract import EngineError, Precision, PreparedSubNetwork
from dynamic_dnn_ros.engines.registry import (
    ENGINE_NAMES,
    create_engine,
    engine_version,
    installed_engines,
)
from dynamic_dnn_ros.networks.graph_export import export_into
from dynamic_dnn_ros.networks.ofa_checkpoint import network_from_checkpoint
from dynamic_dnn_ros.networks.ofa_mobilenet_v3 import OfaMobileNetV3
from dynamic_dnn_ros.networks.onnx_export import modules, onnx_content
from dynamic_dnn_ros.pictures.input import Preprocessing, Resize
from dynamic_dnn_ros.pictures.placement import Size
from dynamic_dnn_ros.tasks.classification import Classification
from support import once_for_all
from support.shared_data import shared_data

RUNS = 5
ROUNDS = 7
"""In each run, each request once a round, in an order drawn anew."""

LIMIT_ROUNDS = 25
"""As `ROUNDS`, of the few requests whose times are nearly the same."""

LAYOUT = 'ofa_mbv3_d234_e346_k357_w1.2'
PREPROCESSING = Preprocessing(Resize.CENTER_CROP, (0.485, 0.456, 0.406), (0.229, 0.224, 0.225))

PEER = 'peer'
CONTROL = 'control'
BY_HAND = 'by hand'

SPEED = ': speed against the peer, geometric mean of the levels'

Request = Callable[[], object]
Forward = Callable[[torch.Tensor], torch.Tensor]
Activation = Callable[[], Forward]
"""Makes the peer run one level, and returns what runs it."""

Times = dict[str, np.ndarray]
"""Seconds of each request, runs x levels x rounds."""


def run(runs: int) -> Report:
    """Time all requests of a level in turns; then look at memory and the choice of an engine."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    not_measured = [
        'CUDA, TensorRT, GPUs of Intel, CUDA graphs: this machine has no such device',
    ]
    try:
        with tempfile.TemporaryDirectory() as folder, _own_cache(Path(folder)):
            bundle, peers, peer = published_levels(Path(folder) / 'w1_2')
            chosen, choice = _choice(bundle)
            figures, refused = _engines(bundle, peers, chosen, runs)
            not_measured += refused
            figures += _memory(bundle.folder, runs=min(runs, 3))
            figures += choice
    finally:
        torch.set_num_threads(threads)
    configuration = {
        'layout': LAYOUT,
        'levels': [dict(entry.configuration) for entry in bundle.manifest.sub_networks],
        'weights': 'random, with the batch-norm statistics of generated pictures',
        'peer': peer,
        'threads': 1,
        'rounds': ROUNDS,
        'rounds_of_the_limit': LIMIT_ROUNDS,
        'versions': {name: engine_version(name) for name in installed_engines()},
        'not_measured': not_measured,
    }
    return Report('engines', 'measured', configuration, figures)


@contextmanager
def _own_cache(folder: Path) -> Iterator[None]:
    """Let graphs and verdicts be made anew, and leave none behind."""
    before = os.environ.get('XDG_CACHE_HOME')
    os.environ['XDG_CACHE_HOME'] = str(folder / 'cache')
    try:
        yield
    finally:
        del os.environ['XDG_CACHE_HOME']
        if before is not None:
            os.environ['XDG_CACHE_HOME'] = before


def _levels() -> list[dict[str, Any]]:
    file = shared_data('platforms/xavier_nx/dynamic_ofa_levels.json')
    levels = json.loads(file.read_text())['levels']
    return [level for level in levels if level['set'] == 'nets_6']


def published_levels(folder: Path) -> tuple[Bundle, list[Activation], str]:
    """Return the levels as a bundle with graphs, the peer at each level, and who the peer is."""
    levels = _levels()
    missing = once_for_all.missing_code()
    if missing is None:
        theirs = once_for_all.authors_network(once_for_all.WIDTHS[LAYOUT], seed=0)
        _, ours = network_from_checkpoint(theirs.state_dict(), "the authors' network", LAYOUT)
        peer = "the authors' code of Once-for-All"
    else:
        torch.manual_seed(0)
        ours = OfaMobileNetV3.from_layout(LAYOUT).eval()
        with torch.no_grad():
            ours.classifier.weight.mul_(50.0)
        peer = f'our activated network ({missing})'
    entries, statistics = [], {}
    for level in levels:
        names = ('kernel_size', 'expand_ratio', 'depth', 'resolution')
        each = ours.configuration({name: level[name] for name in names})
        identifier = f'level_{level["level"]}'
        ours.activate(each)
        _calibrate(ours, each.size)
        statistics[identifier] = ours.batch_norm_statistics()
        entries.append(
            SubNetwork(
                identifier,
                each.to_mapping(),
                each.size,
                level['imagenet_top1'],
                ours.multiply_adds(each),
                ours.parameter_count(each),
                ours.layer_count(each),
            )
        )
    manifest = Manifest(
        'w1_2',
        SuperNetwork(ours.family, ours.layout_mapping()),
        tuple(f'class_{index}' for index in range(ours.layout.classes)),
        PREPROCESSING,
        tuple(entries),
    )
    content = weights_content(Weights(ours.state(), statistics))
    bundle = export_into(write_bundle(folder, manifest, content))

    def activated(entry: SubNetwork) -> Forward:
        configuration = ours.configuration(entry.configuration)

        ours.activate(configuration)
        ours.load_batch_norm_statistics(statistics[entry.id])
        if missing is not None:
            return ours
        once_for_all.activate(theirs, configuration)
        _take_statistics(theirs, ours)
        return theirs

    # A super-network runs one configuration at a time: each is activated when its turn comes.
    return bundle, [lambda entry=entry: activated(entry) for entry in entries], peer


def _take_statistics(theirs: Any, ours: OfaMobileNetV3) -> None:
    """Give the authors' network the statistics that ours has, layer by layer of the same order."""
    of_theirs = [m for m in theirs.modules() if isinstance(m, nn.BatchNorm2d)]
    of_ours = [m for m in ours.modules() if isinstance(m, nn.BatchNorm2d)]
    assert len(of_theirs) == len(of_ours)
    for one, other in zip(of_theirs, of_ours):
        assert one.num_features == other.num_features
        one.running_mean.copy_(other.running_mean)
        one.running_var.copy_(other.running_var)


@torch.no_grad()
def _calibrate(network: OfaMobileNetV3, size: Size) -> None:
    pictures = np.stack([probe_picture(index, size) for index in range(PROBES)])
    for _, module, _ in network.active_batch_norms():
        module.reset_running_stats()
        module.momentum = 1.0
    network.train()
    network(_normalised(pictures))
    network.eval()


def _normalised(pictures: np.ndarray) -> torch.Tensor:
    mean, deviation = (
        np.array(values, np.float32)
        for values in (PREPROCESSING.mean, PREPROCESSING.standard_deviation)
    )
    batch = (pictures.astype(np.float32) / 255 - mean) / deviation
    return torch.from_numpy(np.ascontiguousarray(batch.transpose(0, 3, 1, 2)))


def _engines(
    bundle: Bundle, peers: Sequence[Activation], chosen: str, runs: int
) -> tuple[list[Figure], list[str]]:
    """Return speed and outputs of each engine, and what cannot be measured."""
    prepared, refused = _prepared(bundle)
    levels = bundle.manifest.sub_networks
    by_hand = _by_hand(bundle)
    times: Times = _empty([PEER, *prepared], runs, len(levels), ROUNDS)
    limits: Times = _empty([chosen, CONTROL, *by_hand], runs, len(levels), LIMIT_ROUNDS)
    differences: dict[str, list[float]] = {name: [] for name in prepared}
    generator = np.random.default_rng(0)
    for index, entry in enumerate(levels):
        picture = probe_picture(0, entry.size)
        batch = _normalised(picture[None])
        with torch.inference_mode():
            forward = peers[index]()
            expected = forward(batch)[0].numpy()
            for name, sub_networks in prepared.items():
                found = sub_networks[index].run(picture)[LOGITS][0]
                differences[name].append(_difference(found, expected, name))
            requests: dict[str, Request] = {PEER: lambda f=forward, b=batch: f(b)}
            for name, sub_networks in prepared.items():
                requests[name] = lambda s=sub_networks[index], p=picture: s.run(p)
            few = {chosen: requests[chosen], CONTROL: requests[chosen]}
            few.update({name: of_level(index) for name, of_level in by_hand.items()})
            for turn in range(runs):
                for name, seconds in _turn(requests, ROUNDS, generator).items():
                    times[name][turn, index] = seconds
                for name, seconds in _turn(few, LIMIT_ROUNDS, generator).items():
                    limits[name][turn, index] = seconds
    figures = _figures(times, differences, prepared, levels)
    return figures + _limits(limits, chosen, by_hand), refused


def _empty(names: Sequence[str], runs: int, levels: int, rounds: int) -> Times:
    return {name: np.empty((runs, levels, rounds)) for name in names}


def _difference(found: np.ndarray, expected: np.ndarray, name: str) -> float:
    if name.endswith('float32'):
        # In units of the largest logit, or of 1.
        return float(np.abs(found - expected).max()) / max(1.0, float(np.abs(expected).max()))
    return Classification().departure({LOGITS: found[None]}, {LOGITS: expected[None]})


def _turn(
    requests: Mapping[str, Request], rounds: int, generator: np.random.Generator
) -> dict[str, list[float]]:
    """Return the seconds of each request in each round, in random order."""
    names = list(requests)
    seconds: dict[str, list[float]] = {name: [] for name in names}
    for _ in range(rounds):
        for name in generator.permutation(names):
            requests[name]()  # The caches hold another one's weights.
            begun = time.perf_counter()
            requests[name]()
            seconds[name].append(time.perf_counter() - begun)
    return seconds


def _prepared(bundle: Bundle) -> tuple[dict[str, list[PreparedSubNetwork]], list[str]]:
    prepared, refused = {}, []
    for name in ENGINE_NAMES:
        for precision in Precision:
            try:
                engine = create_engine(name, bundle, 1, precision)
                prepared[f'{name} {precision.value}'] = [
                    engine.prepare(entry, 'cpu') for entry in bundle.manifest.sub_networks
                ]
            except EngineError as error:
                refused.append(f'{name} in {precision.value}: {error}')
    return prepared, refused


def _by_hand(bundle: Bundle) -> dict[str, Callable[[int], Request]]:
    """Return for each engine what runs one level as its own documentation shows it."""
    contents = [
        onnx_content(module, entry.size)
        for entry, module in modules(bundle, bundle.manifest.sub_networks)
    ]
    batches = [
        _normalised(probe_picture(0, entry.size)[None]).numpy()
        for entry in bundle.manifest.sub_networks
    ]
    makers = {'onnxruntime': _onnxruntime_by_hand, 'openvino': _openvino_by_hand}
    found: dict[str, Callable[[int], Request]] = {}
    for name, make in makers.items():
        if name in installed_engines():
            requests = [make(content, batch) for content, batch in zip(contents, batches)]
            found[f'{name} {BY_HAND}'] = requests.__getitem__
    return found


def _onnxruntime_by_hand(content: bytes, batch: np.ndarray) -> Request:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(content, options, providers=['CPUExecutionProvider'])
    return lambda: session.run(None, {'image': batch})


def _openvino_by_hand(content: bytes, batch: np.ndarray) -> Request:
    import openvino

    core = openvino.Core()
    model = core.read_model(content, openvino.Tensor(np.zeros(0, np.uint8)))
    properties = {
        'PERFORMANCE_HINT': 'LATENCY',
        'INFERENCE_NUM_THREADS': 1,
        'INFERENCE_PRECISION_HINT': 'f32',
    }
    request = core.compile_model(model, 'CPU', properties).create_infer_request()
    request.set_input_tensor(openvino.Tensor(batch, shared_memory=True))

    def infer() -> object:
        request.infer()
        return request.get_output_tensor().data

    return infer


def _ratios(times: Times, one: str, other: str) -> list[float]:
    """
    Return how many times as long one request takes as another, one ratio a run.

    The median of the ratios within each round, since what disturbs a round disturbs both; of these
    the geometric mean over the levels.
    """
    medians = np.median(times[one] / times[other], axis=2)
    return [float(value) for value in np.exp(np.log(medians).mean(axis=1))]


def _figures(
    times: Times,
    differences: Mapping[str, Sequence[float]],
    prepared: Mapping[str, object],
    levels: Sequence[SubNetwork],
) -> list[Figure]:
    figures = []
    for precision, bar in (('float32', '>= 3.0'), ('bfloat16', '>= 5.5')):
        names = [name for name in prepared if name.endswith(precision)]
        if not names:
            continue
        fastest = _fastest(times, names)
        for name in names:
            figures.append(
                figure(
                    f'{name}{SPEED}',
                    _ratios(times, PEER, name),
                    'ratio',
                    bar if name == fastest else None,
                )
            )
            figures.append(
                figure(
                    f'{name}: largest difference of outputs from the peer'
                    if precision == 'float32'
                    else f'{name}: largest deviation of outputs from the peer',
                    max(differences[name]),
                    'of the largest logit' if precision == 'float32' else 'of their size',
                    '<= 0.001' if precision == 'float32' else None,
                )
            )
    fastest = _fastest(times, [name for name in prepared if name.endswith('float32')])
    for index, entry in enumerate(levels):
        for name in (PEER, fastest):
            medians = np.median(times[name][:, index], axis=1)
            figures.append(figure(f'{entry.id}: {name}', [float(m) for m in medians], 's'))
    return figures


def _fastest(times: Times, names: Sequence[str]) -> str:
    reference = next(iter(times))
    return min(names, key=lambda name: float(np.median(_ratios(times, name, reference))))


def _limits(times: Times, chosen: str, by_hand: Mapping[str, object]) -> list[Figure]:
    """Return what the package costs beside the engines themselves."""
    figures = [
        figure(f'control: {chosen} against itself', _ratios(times, CONTROL, chosen), 'ratio')
    ]
    if not by_hand:
        return figures
    limit = _fastest(times, list(by_hand))
    return [
        *figures,
        figure(
            f'what auto chose ({chosen}) against the fastest engine by hand '
            f'({limit.partition(" ")[0]})',
            _ratios(times, chosen, limit),
            'ratio',
            '<= 1.03',
        ),
        *(
            figure(f'{chosen} against {name}', _ratios(times, chosen, name), 'ratio')
            for name in by_hand
            if name != limit
        ),
    ]


def draw(report: Report, path: Path) -> None:
    """Draw how much faster than the peer each engine is."""
    from matplotlib.figure import Figure as Canvas

    rows = [row for row in report.figures if row.name.endswith(SPEED)]
    canvas = Canvas(figsize=(8.0, 0.6 + 0.42 * len(rows)), dpi=110, layout='constrained')
    axes = canvas.add_subplot()
    values = [row.value for row in rows]
    spread = [[row.value - row.low for row in rows], [row.high - row.value for row in rows]]
    colours = ['#d9661f' if 'bfloat16' in row.name else '#1f4f8f' for row in rows]
    bars = axes.barh(range(len(rows)), values, 0.7, xerr=spread, color=colours)
    axes.bar_label(bars, fmt='%.2f', fontsize=8, padding=6)
    axes.set_yticks(range(len(rows)), [row.name.removesuffix(SPEED) for row in rows])
    axes.invert_yaxis()
    axes.axvline(1.0, color='#777777', linewidth=0.8)
    axes.set_xlabel('times as fast as eager PyTorch that slices its weights, one thread')
    axes.set_title(f'{report.configuration["layout"]}, six levels', loc='left', fontsize=12)
    for side in ('top', 'right'):
        axes.spines[side].set_visible(False)
    path.parent.mkdir(parents=True, exist_ok=True)
    canvas.savefig(path, metadata={'Software': None})


def _memory(folder: Path, runs: int) -> list[Figure]:
    """Return the memory of all levels with each engine, and of as many separate models."""
    figures = []
    for name in installed_engines():
        found: dict[str, list[float]] = {}
        for _ in range(runs):
            for kind in ('shared', 'separate'):
                found.setdefault(kind, []).append(float(_in_process(kind, name, str(folder))))
        figures += [
            figure(f'{name}: memory of all six levels prepared', found['shared'], 'MB'),
            figure(f'{name}: memory of six separate static models', found['separate'], 'MB'),
            figure(
                f'{name}: all levels against six separate static models',
                [a / b for a, b in zip(found['shared'], found['separate'])],
                'ratio',
            ),
        ]
    return figures


def _memory_of(kind: str, name: str, folder: Path) -> float:
    """Return what this process grows by with the levels in memory, MB."""
    process = psutil.Process()
    if kind == 'shared':
        __import__(name)
        before = process.memory_full_info().uss
        bundle = read_bundle(folder)
        engine = create_engine(name, bundle, 1)
        kept: Any = [engine.prepare(entry, 'cpu') for entry in bundle.manifest.sub_networks]
        for prepared in kept:
            prepared.run(probe_picture(0, prepared.sub_network.size))
    else:
        files = _static_files(name, folder)
        __import__(name)
        before = process.memory_full_info().uss
        kept = [_static(name, file) for file in files]
    return float(process.memory_full_info().uss - before) / 1e6


def _static_files(name: str, folder: Path) -> list[Path]:
    """Return files that hold one whole static model each, made by another process."""
    kept = folder.parent / f'static_{"torch" if name == "torch" else "onnx"}'
    if not kept.exists():
        _in_process('export', str(kept), str(folder))
    return sorted(kept.iterdir())


def _export_static(kept: Path, folder: Path) -> None:
    part = kept.with_suffix('.part')
    part.mkdir()
    bundle = read_bundle(folder)
    for entry, module in modules(bundle, bundle.manifest.sub_networks):
        if kept.name.endswith('torch'):
            torch.save(module, part / f'{entry.id}.pt')
        else:
            content = onnx_content(module, entry.size)
            (part / f'{entry.id}.{entry.size.height}').write_bytes(content)
    part.rename(kept)


def _static(name: str, file: Path) -> object:
    if name == 'torch':
        module = torch.load(file, weights_only=False)
        with torch.inference_mode():
            module(torch.zeros(1, 3, 224, 224))
        return module
    side = int(file.suffix[1:])
    make = _onnxruntime_by_hand if name == 'onnxruntime' else _openvino_by_hand
    request = make(file.read_bytes(), np.zeros((1, 3, side, side), np.float32))
    request()
    return request


def _choice(bundle: Bundle) -> tuple[str, list[Figure]]:
    """Return what `auto` chooses, and what that takes for the first time and later."""
    seconds = []
    for _ in range(2):
        begun = time.perf_counter()
        name = fastest_engine(bundle, 1, Precision.FLOAT32, lambda text: print(text))
        seconds.append(time.perf_counter() - begun)
    return f'{name} {Precision.FLOAT32.value}', [
        figure('choice of the fastest engine, the first time', seconds[0], 's'),
        figure('choice of the fastest engine, later', seconds[1], 's'),
    ]


def _in_process(*arguments: str) -> str:
    """Run this file as a program in a process of its own; return the last line it prints."""
    folder = Path(__file__).resolve().parents[1]
    path = os.pathsep.join(
        [str(folder), str(folder.parent / 'test'), os.environ.get('PYTHONPATH', '')]
    )
    answer = subprocess.run(
        [sys.executable, __file__, *arguments],
        stdout=subprocess.PIPE,
        text=True,
        check=True,
        env={**os.environ, 'PYTHONPATH': path},
    )
    return (answer.stdout.splitlines() or [''])[-1]


if __name__ == '__main__':
    if sys.argv[1] == 'export':
        _export_static(Path(sys.argv[2]), Path(sys.argv[3]))
    else:
        torch.set_num_threads(1)
        print(_memory_of(sys.argv[1], sys.argv[2], Path(sys.argv[3])))
