# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
Which engine is the fastest for a bundle on this computer? Measured, since it differs by both.

Each engine is measured by a process of its own, so that those that are not taken leave nothing
behind in this one and one that crashes harms nobody: `python -m dynamic_dnn_ros.engines.automatic
BUNDLE ENGINE THREADS PRECISION` prints what it has found. What was found is kept in the user's
cache, for the same weights, versions of engines and computer.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
import hashlib
import json
import logging
import os
from pathlib import Path
import platform
import subprocess
import sys
import tempfile
import time
from typing import Any

import numpy as np

from dynamic_dnn_ros.bundles.errors import BundleError
from dynamic_dnn_ros.bundles.manifest import SubNetwork
from dynamic_dnn_ros.bundles.reader import Bundle, read_bundle
from dynamic_dnn_ros.bundles.responses import RESPONSES_NAME, probe_picture, sampled
from dynamic_dnn_ros.bundles.writer import write_bundle
from dynamic_dnn_ros.engines.contract import Engine, EngineError, Outputs, Precision
from dynamic_dnn_ros.engines.graph_source import EXPORT_TIMEOUT, Say, cache_folder, cache_work
from dynamic_dnn_ros.engines.registry import (
    AUTO,
    BY_BUNDLE,
    create_engine,
    default_engine,
    engine_version,
    installed_engines,
    suitable_engines,
)

_LOGGER = logging.getLogger(__name__)

#: s, of runs of each sub-network that is measured; the shortest run counts.
SECONDS = 0.1

MINIMUM_RUNS = 5


@dataclass(frozen=True)
class Trial:
    """
    What one engine took, and answered; `latencies` and `answers` are by sub-network.

    Latencies in seconds; an answer is all outputs for the first probe, as lists. `problem` is
    empty unless the engine is of no use here.
    """

    engine: str
    latencies: dict[str, float]
    answers: dict[str, dict[str, Any]]
    problem: str = ''


def fastest_engine(
    bundle: Bundle,
    threads: int,
    precision: Precision,
    say: Say,
    engines: Callable[[], Sequence[str]] = installed_engines,
) -> str:
    """
    Return the installed engine with the shortest latencies, the geometric mean of some
    sub-networks, among those whose answers are right.

    Right is an answer that is near the one recorded in the bundle; where none is recorded, near
    that of PyTorch, or else of the first engine.

    :param say: told the verdict once, when it is measured
    :raises EngineError: when none is installed or of use, with the reasons, or the cache cannot
        be written
    """
    suitable = suitable_engines(bundle.manifest)
    names = tuple(engines())
    if engines is installed_engines:
        names = tuple(name for name in names if name in suitable)
    if not names:
        raise EngineError(
            f'no engine is installed that runs bundle {bundle.manifest.name!r}. Install one: '
            f'{", ".join(map(repr, suitable))}.'
        )
    path = cache_folder() / f'engine_{_key(bundle, threads, precision, names)}.json'
    kept = _kept(path)
    if kept in names:
        return kept
    # Two that measured at once would measure each other.
    with cache_work('measure', say) as work:
        kept = _kept(path)
        if kept in names:
            return kept  # Another process has measured it meanwhile.
        trials = _trials(bundle, names, threads, precision, work)
        name, reasons = verdict(trials, bundle)
        if not name:
            raise EngineError(
                f'no installed engine runs bundle {bundle.manifest.name!r} in {precision.value}: '
                f'{"; ".join(reasons)}. Install another one, or ask for another precision.'
            )
        say(f'engine {name!r} is the fastest here: {"; ".join(reasons)}')
        _keep(path, name, reasons)
        return name


def open_engine(
    name: str,
    bundle: Bundle,
    threads: int,
    precision: Precision = Precision.FLOAT32,
    say: Say = _LOGGER.warning,
    largest_batch: int = 1,
) -> Engine:
    """
    Create the engine that a user asks for.

    :param name: of an engine, `AUTO` for the fastest one, `BY_BUNDLE` for the bundle's default
    :param threads: for one inference on the CPU, at least 1
    :param say: told what a user should know once: what is exported, what `AUTO` has measured
    :param largest_batch: as for `registry.create_engine`
    :raises EngineError: as `fastest_engine` and `registry.create_engine`
    :raises BundleError: when the bundle does not fit
    """
    if name == BY_BUNDLE:
        name = default_engine(bundle.manifest)
    elif name == AUTO:
        name = fastest_engine(bundle, threads, precision, say)
    return create_engine(name, bundle, threads, precision, say, largest_batch)


def verdict(trials: Sequence[Trial], bundle: Bundle) -> tuple[str, list[str]]:
    """Return the engine to take, empty where none is of use, and what is to be said of each."""
    task = bundle.manifest.make_task()
    expected: dict[str, dict[str, Any]] = {}
    for trial in trials:
        expected = expected or dict(trial.answers)
    for identifier, recorded in bundle.responses.items():
        expected[identifier] = {name: output[:1] for name, output in recorded.items()}
    reasons, means = [], {}
    for trial in trials:
        if trial.problem:
            reasons.append(f'{trial.engine}: {trial.problem}')
            continue
        departure = max(
            task.departure(_arrays(answer, expected[name]), _arrays(expected[name]))
            for name, answer in trial.answers.items()
        )
        times = ', '.join(f'{name} {s * 1e3:.2f} ms' for name, s in trial.latencies.items())
        if not departure <= task.departure_limit:
            reasons.append(
                f'{trial.engine}: {times}, but its answers depart by {departure:.0%}: not taken'
            )
            continue
        reasons.append(f'{trial.engine}: {times}')
        means[trial.engine] = float(np.mean(np.log(list(trial.latencies.values()))))
    return min(means, key=lambda name: means[name], default=''), reasons


def _arrays(answer: Mapping[str, Any], like: Mapping[str, Any] | None = None) -> Outputs:
    """Return outputs as arrays: those of `like`, where not all that there are were recorded."""
    names = answer.keys() if like is None else answer.keys() & like.keys()
    return {name: np.asarray(answer[name]) for name in sorted(names)}


def measured_sub_networks(sub_networks: Sequence[SubNetwork]) -> list[SubNetwork]:
    """Return the smallest, the middle and the largest that is no cascade, as far as there are."""
    own = [entry for entry in sub_networks if not entry.is_cascade]
    by_size = sorted(own, key=lambda entry: entry.multiply_adds)
    places = sorted({0, len(by_size) // 2, len(by_size) - 1})
    return [by_size[place] for place in places]


def trial(bundle: Bundle, name: str, threads: int, precision: Precision) -> Trial:
    """Measure one engine in this process."""
    latencies, answers = {}, {}
    try:
        engine = create_engine(name, bundle, threads, precision, say=lambda text: None)
        for entry in measured_sub_networks(bundle.manifest.sub_networks):
            prepared = engine.prepare(entry, engine.processors[0])
            picture = probe_picture(0, entry.size)
            answers[entry.id] = {
                name: sampled(output).tolist() for name, output in prepared.run(picture).items()
            }
            shortest, runs, begun = np.inf, 0, time.perf_counter()
            while runs < MINIMUM_RUNS or time.perf_counter() - begun < SECONDS:
                started = time.perf_counter()
                prepared.run(picture)
                shortest = min(shortest, time.perf_counter() - started)
                runs += 1
            latencies[entry.id] = float(shortest)
            prepared.close()
    except (EngineError, BundleError) as error:
        return Trial(name, {}, {}, str(error))
    return Trial(name, latencies, answers)


def _trials(
    bundle: Bundle, names: Sequence[str], threads: int, precision: Precision, work: Path
) -> list[Trial]:
    """Measure engines one after the other, each in a process."""
    # The bundle may not lie on disk, or no longer as it was read.
    files = {k: v for k, v in bundle.other_files.items() if k != RESPONSES_NAME}
    copy = write_bundle(work / 'bundle', bundle.manifest, bundle.source_content, (), files)
    return [_in_process(copy.folder, name, threads, precision) for name in names]


def _in_process(folder: Path, name: str, threads: int, precision: Precision) -> Trial:
    command = [sys.executable, '-m', 'dynamic_dnn_ros.engines.automatic']
    command += [str(folder), name, str(threads), precision.value]
    try:
        # Its first act may be an export of three graphs and more.
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=4 * EXPORT_TIMEOUT, check=False
        )
        return Trial(**json.loads(done.stdout.splitlines()[-1]))
    except subprocess.TimeoutExpired:
        return Trial(name, {}, {}, 'does not come to an end')
    except (IndexError, TypeError, ValueError):
        last = (done.stderr.strip().splitlines() or [f'ended with code {done.returncode}'])[-1]
        return Trial(name, {}, {}, f'does not run here ({last})')


def _key(bundle: Bundle, threads: int, precision: Precision, names: Sequence[str]) -> str:
    manifest = bundle.manifest
    circumstances = [
        _content_sha256(bundle),
        [
            [entry.id, dict(entry.configuration), list(entry.size)]
            for entry in manifest.sub_networks
        ],
        [[name, engine_version(name)] for name in names],
        threads,
        precision.value,
        platform.node(),
        _processor(),
        platform.python_version(),
    ]
    return hashlib.sha256(json.dumps(circumstances, sort_keys=True).encode()).hexdigest()


def _content_sha256(bundle: Bundle) -> str:
    """Return a SHA-256 over all that is learned; the bundle may not be what its manifest says."""
    content = bundle.source_content
    parts = {'': content} if isinstance(content, bytes) else content
    hashes = {name: hashlib.sha256(part).hexdigest() for name, part in parts.items()}
    return hashlib.sha256(json.dumps(hashes, sort_keys=True).encode()).hexdigest()


def _processor() -> str:
    try:
        lines = Path('/proc/cpuinfo').read_text(errors='replace').splitlines()
    except OSError:
        lines = []
    models = [line.partition(':')[2].strip() for line in lines if line.startswith('model name')]
    return f'{models[0] if models else platform.machine()} x {os.cpu_count()}'


def _kept(path: Path) -> str:
    try:
        return str(json.loads(path.read_text())['engine'])
    except (OSError, KeyError, TypeError, ValueError):
        return ''


def _keep(path: Path, name: str, reasons: Sequence[str]) -> None:
    """Keep a verdict; where that is not possible, it is measured again next time."""
    try:
        with tempfile.NamedTemporaryFile(
            'w', dir=path.parent, prefix='.engine.', delete=False
        ) as file:
            json.dump({'engine': name, 'measured': list(reasons)}, file)
        os.replace(file.name, path)
    except OSError:
        return


def main(arguments: Sequence[str]) -> int:
    """Measure one engine and print what was found, as JSON."""
    folder, name, threads, precision = arguments
    found = trial(read_bundle(Path(folder)), name, int(threads), Precision(precision))
    print(json.dumps(vars(found)))
    return 0


if __name__ == '__main__':
    sys.exit(main(sys.argv[1:]))
