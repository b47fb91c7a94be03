# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Accuracy of many sub-networks at once, on all cores or on a cluster."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
import contextlib
import dataclasses
import functools
import importlib
import itertools
import os
import threading
from typing import Any

from joblib import Parallel, delayed, parallel_config
from joblib.parallel import get_active_backend
import numpy as np
import numpy.typing as npt
from safetensors.numpy import load
import torch

from dynamic_dnn_ros.bundles.reader import Bundle
from dynamic_dnn_ros.networks.contract import Arrays, DynamicNetwork, statistics_of
from dynamic_dnn_ros.networks.registry import create
from dynamic_dnn_ros.search.errors import SearchError
from dynamic_dnn_ros.training.batches import Normalisation, use_channels_last
from dynamic_dnn_ros.training.evaluation import accuracy, recalibrate
from dynamic_dnn_ros.training.memory import keep_freed_memory
from dynamic_dnn_ros.training.tasks.contract import TrainingData

_NETWORK = 'network.'


@dataclasses.dataclass(frozen=True)
class Subject:
    """
    A super-network as it travels to other processes: joblib maps its arrays into their memory.

    :param weights: the content of the bundle's weights file, bytes.
    :param sha256: of the weights; names them in a process that keeps the network it made.
    :param owner: the process that measures costs.
    """

    family: str
    layout: Mapping[str, Any]
    weights: npt.NDArray[np.uint8]
    sha256: str
    mean: tuple[float, ...]
    standard_deviation: tuple[float, ...]
    owner: int

    @classmethod
    def of(cls, bundle: Bundle, sha256: str) -> Subject:
        """Return the super-network of a bundle."""
        source = bundle.manifest.super_network
        return cls(
            family=source.family,
            layout=dict(source.layout),
            weights=np.frombuffer(bundle.weights_content, np.uint8),
            sha256=sha256,
            mean=tuple(bundle.manifest.preprocessing.mean),
            standard_deviation=tuple(bundle.manifest.preprocessing.standard_deviation),
            owner=os.getpid(),
        )


class Pool:
    """Processes that measure accuracies, each on one thread."""

    def __init__(self, subject: Subject, jobs: int, backend: str) -> None:
        """
        Prepare the processes; they start with the first measurement.

        :param jobs: how many at once.
        :param backend: of joblib: `loky` for the cores of this machine, `ray` for a cluster.
        :raises SearchError: for a backend that joblib does not have, or that is not installed.
        """
        self._subject = subject
        self._jobs = jobs
        self._backend = backend
        if backend == 'ray':
            try:
                importlib.import_module('ray.util.joblib').register_ray()
            except ImportError as error:
                raise SearchError(
                    f'backend ray needs a package that is not installed ({error}): install '
                    "'ray', or name another backend"
                ) from error
        try:
            with parallel_config(backend=backend):
                pass
        except (ValueError, ImportError) as error:
            raise SearchError(f'backend {backend!r} cannot be used ({error})') from error

    def recalibrated(
        self,
        mappings: Sequence[Mapping[str, Any]],
        calibration: TrainingData,
        pictures: TrainingData,
    ) -> Iterator[tuple[int, float, Arrays]]:
        """
        Recalibrate configurations and measure their accuracy.

        :return: position, accuracy, 0..1, and batch-norm statistics of each, as they get ready.
        """
        yield from self._run(
            delayed(_recalibrated)(index, self._subject, mapping, calibration, pictures)
            for index, mapping in enumerate(mappings)
        )

    def accuracies(
        self, entries: Sequence[tuple[Mapping[str, Any], Arrays]], pictures: TrainingData
    ) -> Iterator[tuple[int, float]]:
        """
        Measure the accuracy of configurations with given batch-norm statistics.

        :return: position and accuracy, 0..1, of each, as they get ready.
        """
        yield from self._run(
            delayed(_accuracy)(index, self._subject, mapping, statistics, pictures)
            for index, (mapping, statistics) in enumerate(entries)
        )

    def _run(self, calls: Iterator[Any]) -> Iterator[Any]:
        # Copy on write: torch takes no arrays that it could not write to.
        options = {'n_jobs': self._jobs, 'mmap_mode': 'c'}
        with parallel_config(backend=self._backend):
            if get_active_backend()[0].supports_return_generator:
                yield from Parallel(return_as='generator_unordered', **options)(calls)
                return
            # Ray's gives results as lists only: short ones, so that a kill loses little.
            with Parallel(**options) as parallel:
                while some := list(itertools.islice(calls, self._jobs)):
                    yield from parallel(some)


def _recalibrated(
    index: int,
    subject: Subject,
    mapping: Mapping[str, Any],
    calibration: TrainingData,
    pictures: TrainingData,
) -> tuple[int, float, Arrays]:
    network = _network(_Named(subject), threading.get_ident())
    configuration = network.configuration(mapping)
    normalisation = Normalisation(subject.mean, subject.standard_deviation)
    with _one_thread():
        module = network.extract(configuration)
        use_channels_last(module)
        statistics: Arrays = {}
        if network.statistics_per_sub_network:
            recalibrate(module, calibration, configuration.size, normalisation)
            statistics = statistics_of(module)
        share = accuracy(module, pictures, configuration.size, normalisation)
    return index, share, statistics


def _accuracy(
    index: int,
    subject: Subject,
    mapping: Mapping[str, Any],
    statistics: Arrays,
    pictures: TrainingData,
) -> tuple[int, float]:
    network = _network(_Named(subject), threading.get_ident())
    configuration = network.configuration(mapping)
    normalisation = Normalisation(subject.mean, subject.standard_deviation)
    with _one_thread():
        network.activate(configuration)
        network.load_batch_norm_statistics(statistics)
        module = network.extract(configuration)
        use_channels_last(module)
        return index, accuracy(module, pictures, configuration.size, normalisation)


class _Named:
    """A subject that equals every other one with the same weights, to look networks up by."""

    def __init__(self, subject: Subject) -> None:
        self.subject = subject

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Named) and other.subject.sha256 == self.subject.sha256

    def __hash__(self) -> int:
        return hash(self.subject.sha256)


@functools.lru_cache(maxsize=8)
def _network(named: _Named, thread: int) -> DynamicNetwork[Any]:
    """Return the network of a subject, made once in each thread: one activates it at a time."""
    subject = named.subject
    if os.getpid() != subject.owner:
        # Costs are measured with memory as a node that serves has it.
        keep_freed_memory()
    network = create(subject.family, subject.layout)
    tensors = load(subject.weights.tobytes())
    network.load_state(
        {
            name[len(_NETWORK) :]: tensor.astype(np.float32)
            for name, tensor in tensors.items()
            if name.startswith(_NETWORK)
        }
    )
    return network.eval()


@contextlib.contextmanager
def _one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)
