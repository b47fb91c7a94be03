# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Where engines that run ONNX models get those of a bundle's sub-networks."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
import fcntl
import hashlib
import os
from pathlib import Path
import shutil
import subprocess
import sys
import tempfile
import threading

from dynamic_dnn_ros.bundles.errors import BundleError
from dynamic_dnn_ros.bundles.graphs import (
    QUANTISED_REMEDY,
    REMEDY,
    Graph,
    file_name,
    graph_key,
    graph_name,
    onnx_model,
    parse_graph,
    stage_numbers,
    with_free_batch,
)
from dynamic_dnn_ros.bundles.manifest import Manifest, SubNetwork
from dynamic_dnn_ros.bundles.reader import Bundle
from dynamic_dnn_ros.bundles.writer import write_bundle
from dynamic_dnn_ros.engines.contract import EngineError

#: s, after which an export that does not end is given up, for each sub-network.
EXPORT_TIMEOUT = 120.0

#: How many graphs the cache keeps, the newest ones; a search makes hundreds, of 50 to 100 kB each.
KEPT = 1000

Say = Callable[[str], None]


def cache_folder() -> Path:
    """
    Return where this user's graphs and measurements of engines are kept.

    :raises EngineError: when this user has no home
    """
    base = os.environ.get('XDG_CACHE_HOME')
    if base:
        return Path(base) / 'dynamic_dnn_ros'
    try:
        return Path.home() / '.cache' / 'dynamic_dnn_ros'
    except RuntimeError as error:
        raise EngineError(
            'this user has no home folder, which the cache would lie in. Set HOME, or '
            'XDG_CACHE_HOME to a folder.'
        ) from error


@contextmanager
def cache_work(kind: str, say: Say) -> Iterator[Path]:
    """
    Have a folder in the cache, and be the only process that does work of this kind.

    Who had to wait may find that another one has done what it wanted. What a killed process left
    is removed by the next one.

    :param say: told that another process is waited for
    :raises EngineError: when the cache cannot be written
    """
    cache = cache_folder()
    try:
        cache.mkdir(parents=True, exist_ok=True)
        with open(cache / f'.{kind}.lock', 'wb') as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                say(f'waiting for another process that does the same in {cache}')
                fcntl.flock(lock, fcntl.LOCK_EX)
            for left in cache.glob(f'.{kind}_*'):
                shutil.rmtree(left, ignore_errors=True)
            with tempfile.TemporaryDirectory(prefix=f'.{kind}_', dir=cache) as work:
                yield Path(work)
    except OSError as error:
        raise EngineError(
            f'the cache {cache} cannot be written ({error.strerror or error}). Mend that, or set '
            'XDG_CACHE_HOME to another folder.'
        ) from error


class GraphSource:
    """
    Finds the graphs of one bundle: in it, in the user's cache, or by exporting them.

    The export needs PyTorch and runs in a process of its own, so that this one does not load it.
    """

    def __init__(self, bundle: Bundle, say: Say, quantised: bool = False) -> None:
        """
        Find graphs of a bundle.

        :param say: told of a graph that is passed over, and of an export; once each
        :param quantised: those in int8; they are in the bundle or nowhere
        :raises EngineError: when the bundle has none in int8 at all
        :raises BundleError: when the weights cannot be read
        """
        names = {
            graph_name(entry, quantised, stage)
            for entry in bundle.manifest.sub_networks
            for stage in stage_numbers(entry)
        }
        if quantised and not names & bundle.other_files.keys():
            raise EngineError(
                f'bundle {bundle.manifest.name!r} has no graphs in int8. {QUANTISED_REMEDY}, and '
                "install the bundle again; or ask for 'float32'."
            )
        self._quantised = quantised
        self._bundle = bundle
        self._say = say
        # Of the weights no other copy is kept than the content of their file.
        self._weights = bundle.weight_views()
        self._weights_sha256 = hashlib.sha256(bundle.weights_content).hexdigest()
        self._lock = threading.Lock()
        self._said: set[str] = set()
        self._failure = ''

    def model(
        self, sub_network: SubNetwork, stage: int | None = None, batches: bool = False
    ) -> bytes:
        """
        Return the ONNX model of a sub-network: `picture`, uint8, to `logits`; see bundles.graphs.

        :param stage: the number of a stage, for the model of that alone
        :param batches: whether it is declared to take any number of pictures at once
        :raises EngineError: when there is none, and none can be made
        :raises BundleError: when the weights do not fit it
        """
        with self._lock:
            graph, where = self._graph(sub_network, stage)
        statistics = self._weights.batch_norm_statistics.get(sub_network.id, {})
        if batches:
            graph = replace(graph, skeleton=with_free_batch(graph.skeleton))
        return onnx_model(graph, self._weights.network, statistics, where)

    def _graph(self, sub_network: SubNetwork, stage: int | None) -> tuple[Graph, object]:
        key = self._key(sub_network, stage)
        name = graph_name(sub_network, self._quantised, stage)
        passed_over = ''
        content = self._bundle.other_files.get(name)
        if content is not None:
            where = self._bundle.folder / name
            try:
                return parse_graph(content, where, key, self._quantised), where
            except BundleError as error:
                passed_over = str(error)
                self._say_once(f'{error} It is passed over.')
        if self._quantised:
            # No cache: to make one, pictures are needed.
            raise EngineError(
                f'sub-network {sub_network.id!r} has no graph in int8: '
                f'{passed_over or f"the bundle has no {name}. {QUANTISED_REMEDY}."}'
            )
        path = self._cached(key)
        graph = self._read(path, key)
        if graph is None and not self._failure:
            self._export()
            graph = self._read(path, key)
        if graph is None:
            raise EngineError(
                f'sub-network {sub_network.id!r} has no graph for this engine: '
                f'{passed_over or f"the bundle has no {name}"}; here it cannot be made: '
                f'{self._failure or "the export wrote none"}. {REMEDY}, and install the bundle '
                'again.'
            )
        return graph, path

    def _key(self, sub_network: SubNetwork, stage: int | None) -> str:
        manifest = self._bundle.manifest
        return graph_key(manifest, self._weights_sha256, sub_network, self._quantised, stage)

    def _read(self, path: Path, key: str) -> Graph | None:
        """Return a graph of the cache; one that is damaged is removed, and made again."""
        try:
            content = path.read_bytes()
            digest, _, content = content.partition(b'\n')
            if digest.decode(errors='replace') != hashlib.sha256(content).hexdigest():
                raise BundleError(path, 'is damaged', 'It is made again')
            return parse_graph(content, path, key)
        except BundleError as error:
            self._say_once(str(error))
            with suppress(OSError):
                path.unlink()
        except OSError:
            pass
        return None

    def _export(self) -> None:
        """Export all sub-networks that the cache does not have; `_failure` says why not."""
        manifest = self._bundle.manifest
        try:
            with cache_work('export', self._say_once) as work:
                missing = [each for each in manifest.sub_networks if not self._present(each)]
                if not missing:
                    return  # Another process has exported them meanwhile.
                self._say_once(
                    f'bundle {manifest.name!r} has no graphs for this engine: exporting '
                    f'{len(missing)} of them to {cache_folder()}, once. '
                    "'dynamic-dnn bundle export' puts them into the bundle."
                )
                self._failure = self._exported(work, manifest, missing)
        except (BundleError, EngineError) as error:
            self._failure = str(error).rstrip('.')

    def _present(self, sub_network: SubNetwork) -> bool:
        return all(self._has(sub_network, stage) for stage in stage_numbers(sub_network))

    def _has(self, sub_network: SubNetwork, stage: int | None) -> bool:
        key = self._key(sub_network, stage)
        content = self._bundle.other_files.get(graph_name(sub_network, stage=stage))
        if content is not None:
            try:
                parse_graph(content, '', key)
            except BundleError:
                pass
            else:
                return True
        return self._cached(key).exists()

    def _exported(self, work: Path, manifest: Manifest, missing: list[SubNetwork]) -> str:
        """Export in a process, and keep what it wrote; return what went wrong, or nothing."""
        # The bundle may not lie on disk, or no longer as it was read.
        bundle = write_bundle(work / 'bundle', manifest, self._bundle.source_content)
        out = work / 'graphs'
        out.mkdir()
        command = [sys.executable, '-m', 'dynamic_dnn_ros.networks.graph_export']
        command += [str(bundle.folder), str(out), *(each.id for each in missing)]
        try:
            done = subprocess.run(
                command,
                capture_output=True,
                text=True,
                timeout=EXPORT_TIMEOUT * max(1, len(missing)),
                check=False,
            )
        except subprocess.TimeoutExpired as error:
            return f'the export did not end within {error.timeout:.0f} s'
        graphs = [(each, stage) for each in missing for stage in stage_numbers(each)]
        for sub_network, stage in graphs:
            file = out / file_name(sub_network.id, stage)
            if file.exists():
                content = file.read_bytes()
                digest = hashlib.sha256(content).hexdigest().encode()
                part = work / 'part'
                part.write_bytes(digest + b'\n' + content)
                os.replace(part, self._cached(self._key(sub_network, stage)))
        _forget_oldest(max(KEPT, len(graphs)))
        if done.returncode == 0:
            return ''
        lines = done.stderr.strip().splitlines()
        return lines[-1] if lines else f'the export ended with code {done.returncode}'

    def _cached(self, key: str) -> Path:
        return cache_folder() / f'{key}.graph'

    def _say_once(self, text: str) -> None:
        if text not in self._said:
            self._said.add(text)
            self._say(text)


def _forget_oldest(kept: int) -> None:
    """Remove graphs from the cache until so many are left; other processes may do the same."""
    ages = []
    for path in cache_folder().glob('*.graph'):
        with suppress(FileNotFoundError):
            ages.append((path.stat().st_mtime, path))
    for _, path in sorted(ages)[:-kept]:
        path.unlink(missing_ok=True)
