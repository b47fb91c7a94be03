# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""ONNX Runtime as engine: the CPU and its clusters, NVIDIA GPUs by CUDA, TensorRT and DLAs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
import functools
from pathlib import Path
import re
import threading
from typing import Any
from weakref import WeakValueDictionary

import numpy as np
import onnxruntime

from dynamic_dnn_ros.bundles.manifest import SubNetwork
from dynamic_dnn_ros.bundles.reader import Bundle
from dynamic_dnn_ros.engines.background import return_free_memory
from dynamic_dnn_ros.engines.batches import settle_batches
from dynamic_dnn_ros.engines.clusters import clusters_here, kept_on
from dynamic_dnn_ros.engines.contract import (
    Batch,
    Engine,
    EngineError,
    LoadedSubNetwork,
    Outputs,
    Precision,
    PreparedSubNetwork,
    SharedMemory,
    library_failure,
    warm_up,
)
from dynamic_dnn_ros.engines.graph_source import Say, cache_folder
from dynamic_dnn_ros.engines.models import (
    InputFound,
    check_handover,
    check_inputs,
    models_of,
    places_of,
)
from dynamic_dnn_ros.engines.staged import StagedSubNetwork, Step, Values, stages_of
from dynamic_dnn_ros.pictures.placement import Size

#: The library has no annotations.
Session = Any

#: Processor and the providers that serve it, the first with the next for what it cannot run.
_PROVIDERS = {
    'gpu': ('CUDAExecutionProvider', 'CPUExecutionProvider'),
    'tensorrt': (
        'TensorrtExecutionProvider',
        'CUDAExecutionProvider',
        'CPUExecutionProvider',
    ),
    'cpu': ('CPUExecutionProvider',),
}

#: Cores of NVIDIA's deep learning accelerator, by the device that its driver makes. TensorRT runs
#: on the GPU what a core does not have. On a computer without the core it would quietly run all.
_DLA_CORES = {'dla0': '/dev/nvhost-nvdla0', 'dla1': '/dev/nvhost-nvdla1'}

#: On which processors it computes in a precision.
_PRECISIONS: dict[Precision, tuple[str, ...]] = {
    Precision.FLOAT32: ('gpu', 'tensorrt', 'cpu'),
    # A DLA has no float32.
    Precision.FLOAT16: ('tensorrt', *_DLA_CORES),
    Precision.BFLOAT16: (),
    # CUDA computes such graphs in float32, and TensorRT takes symmetric activations only.
    Precision.INT8: ('cpu',),
}

#: What the driver of an NVIDIA GPU makes: of a card, of a Jetson, in a Linux on Windows.
_DEVICES = ('/dev/nvidia0', '/dev/nvhost-gpu', '/dev/nvgpu', '/dev/dxg')

#: Of a session, bytes: a parameter in its own order, some of them in float32 in int8 too, and
#: all else.
_PARAMETER, _QUANTISED_PARAMETER, _SESSION = 4.5, 2.3, 2_000_000


#: Types of inputs, as numpy names them.
_TYPE = re.compile(r'tensor\((\w+)\)')


class OnnxRuntimeEngine(Engine):
    """
    Runs each sub-network of a super-network as a session of its own.

    Those of one separate model, each at its size, run in one session.
    """

    name = 'onnxruntime'

    def __init__(self, bundle: Bundle, threads: int, precision: Precision, say: Say) -> None:
        """
        Look at a bundle.

        :param threads: for one inference on the CPU
        :param precision: float16 is for TensorRT, int8 for the CPU, bfloat16 for none
        :param say: told once where graphs come from, when that is not the bundle
        :raises EngineError: for a precision that no processor here has, or the bundle has not
        :raises BundleError: when the weights cannot be read
        """
        self.precision = precision
        self._threads = threads
        self._available = tuple(onnxruntime.get_available_providers())
        self._clusters = clusters_here()
        if not self.processors:
            needs = 'this engine never does'
            if precision is Precision.FLOAT16:
                needs = 'that needs TensorRT'
            raise EngineError(
                f'ONNX Runtime does not compute in {precision.value} here: {needs}. Ask for '
                f"{Precision.FLOAT32.value!r}, or for the engine 'openvino' or 'torch'."
            )
        self._models = models_of(bundle, say, quantised=precision is Precision.INT8)
        # Of separate models by file and processor, for as long as one that runs in it is there.
        self._sessions: WeakValueDictionary[tuple[str, str], Session] = WeakValueDictionary()
        self._lock = threading.Lock()

    @property
    def processors(self) -> tuple[str, ...]:
        """Return the processors whose provider and device are here."""
        device = any(Path(name).exists() for name in _DEVICES)
        here = tuple(
            processor
            for processor, (provider, *_) in _PROVIDERS.items()
            if provider in self._available
            and (device or processor == 'cpu')
            and processor in _PRECISIONS[self.precision]
        )
        cores = (core for core, file in _DLA_CORES.items() if Path(file).exists())
        accelerators = tuple(cores) if here == ('tensorrt',) else ()
        return (*here, *accelerators, *(self._clusters if 'cpu' in here else ()))

    def prepare(self, sub_network: SubNetwork, processor: str) -> PreparedSubNetwork:
        """
        Make a session, and run it until its first slow runs are over.

        :raises EngineError: for a processor that is not here, a model that is refused, or a
            device that has no memory left
        """
        if processor not in self.processors:
            raise EngineError(self._missing(processor))
        if sub_network.stages:
            return self._staged(sub_network, processor)
        file = self._models.file(sub_network)
        if not file:
            session = self._loaded(sub_network, processor)
        else:
            # Two that loaded one file at once would have it twice.
            with self._lock:
                found = self._sessions.get((file, processor))
                if found is None:
                    found = self._sessions[file, processor] = self._loaded(sub_network, processor)
                session = found
        check_inputs(_found(session.get_inputs()), self._models, sub_network)
        prepared = LoadedSubNetwork(
            sub_network,
            processor,
            kept_on(self._clusters.get(processor), _computing(session)),
            self.memory_needed(sub_network),
            'ONNX Runtime',
            self.shared_memory(sub_network),
        )
        warm_up(prepared)
        self._settle_batches(prepared)
        return_free_memory()
        return prepared

    def _staged(self, sub_network: SubNetwork, processor: str) -> PreparedSubNetwork:
        """Make a session of each stage; between them, what is handed on lies in main memory."""
        stages = stages_of(sub_network)
        sessions = [self._loaded(sub_network, processor, number) for number in range(len(stages))]
        models = [(_found(each.get_inputs()), _found(each.get_outputs())) for each in sessions]
        check_handover(sub_network, models, self._models.remedy)
        prepared = StagedSubNetwork(
            sub_network,
            processor,
            [
                kept_on(self._clusters.get(processor), _step(session, stage.decides))
                for session, stage in zip(sessions, stages)
            ],
            self.memory_needed(sub_network),
            'ONNX Runtime',
        )
        warm_up(prepared)
        self._settle_batches(prepared)
        return_free_memory()
        return prepared

    def _settle_batches(self, prepared: PreparedSubNetwork) -> None:
        # TensorRT builds an engine anew for each number of pictures, which takes minutes.
        alone = prepared.processor in ('tensorrt', *_DLA_CORES)
        settle_batches(prepared, 1 if alone else self.largest_batch)

    def _loaded(
        self, sub_network: SubNetwork, processor: str, stage: int | None = None
    ) -> Session:
        """
        Return a session that has run once, but for a later stage, which takes no picture.

        :raises EngineError: as `prepare`
        """
        content = self._models.content(sub_network, stage, batches=self.largest_batch > 1)
        takes_picture = not stage
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = self._threads
        options.inter_op_num_threads = 1
        # Waiting threads leave the processor to others; warnings of the library are its own.
        options.add_session_config_entry('session.intra_op.allow_spinning', '0')
        options.log_severity_level = 3
        on_cpu = _providers_of(processor) == _PROVIDERS['cpu']
        if on_cpu:
            _share_arena()
            options.add_session_config_entry('session.use_env_allocators', '1')
            # Weights are taken outside of it, so that they go back when the session is closed.
            options.add_session_config_entry('session.use_device_allocator_for_initializers', '1')
        else:
            options.enable_cpu_mem_arena = False
        try:
            # Its threads keep to the CPUs of the one that makes them.
            make = kept_on(self._clusters.get(processor), onnxruntime.InferenceSession)
            session: Session = make(content, options, providers=self._provider_options(processor))
            if takes_picture:
                check_inputs(_found(session.get_inputs()), self._models, sub_network)
            if takes_picture and on_cpu:
                _give_back_arena(session, sub_network.size)
        except EngineError:
            raise
        except Exception as error:  # the library's errors have no common class
            raise library_failure(
                f'ONNX Runtime {onnxruntime.__version__} cannot run sub-network '
                f'{sub_network.id!r} on {processor!r}',
                error,
                f'Update onnxruntime, {self._models.remedy}, or name another engine.',
            ) from error
        # Kept by the library for a change of providers, which never comes: a copy of all weights.
        session._model_bytes = None
        wanted = _providers_of(processor)[0]
        if wanted not in session.get_providers():
            raise EngineError(
                f'ONNX Runtime cannot use {wanted} here, though it was built for it. Install the '
                f'CUDA or TensorRT release that onnxruntime {onnxruntime.__version__} needs, or '
                "name the processor 'cpu'."
            )
        return session

    def memory_needed(self, sub_network: SubNetwork) -> int:
        """Return an estimate of what a session takes, bytes; nothing where it is shared."""
        if self._models.file(sub_network):
            return 0
        return session_memory(sub_network, self.precision)

    def shared_memory(self, sub_network: SubNetwork) -> SharedMemory | None:
        """Return an estimate of a session that sub-networks of one separate model share."""
        file = self._models.file(sub_network)
        return SharedMemory(file, session_memory(sub_network)) if file else None

    def _provider_options(self, processor: str) -> list[tuple[str, dict[str, Any]]]:
        tensorrt: dict[str, Any] = {
            'trt_engine_cache_enable': True,
            'trt_engine_cache_path': str(cache_folder() / 'tensorrt'),
            'trt_fp16_enable': self.precision is Precision.FLOAT16,
        }
        if processor in _DLA_CORES:
            tensorrt |= {'trt_dla_enable': True, 'trt_dla_core': list(_DLA_CORES).index(processor)}
            # What it built for one core or the GPU is nothing for another.
            tensorrt['trt_engine_cache_path'] = str(cache_folder() / 'tensorrt' / processor)
        return [
            (provider, tensorrt if provider.startswith('Tensorrt') else {})
            for provider in _providers_of(processor)
            if provider in self._available
        ]

    def _missing(self, processor: str) -> str:
        here = ', '.join(self.processors)
        if processor in _DLA_CORES and self.precision is not Precision.FLOAT16:
            return (
                f'processor {processor!r} does not compute in {self.precision.value}. Name one '
                f"of: {here}; or ask for 'float16'."
            )
        if processor in _DLA_CORES:
            return (
                f'processor {processor!r} is not here: there is no {_DLA_CORES[processor]}, or '
                f'this onnxruntime has no TensorRT. ONNX Runtime runs on: {here}.'
            )
        if processor not in _PROVIDERS:
            return f'processor {processor!r} is not here. ONNX Runtime runs on: {here}.'
        provider = _PROVIDERS[processor][0]
        if provider not in self._available:
            return (
                f'processor {processor!r} is not here: this onnxruntime has no {provider}. '
                f"Install the package 'onnxruntime-gpu', or name one of: {here}."
            )
        if self.precision is not Precision.FLOAT32:
            return (
                f'processor {processor!r} does not compute in {self.precision.value} with ONNX '
                f"Runtime. Name one of: {here}; or ask for 'float32'."
            )
        return (
            f'processor {processor!r} is not here: there is no NVIDIA GPU, or no driver for it. '
            f'ONNX Runtime runs on: {here}.'
        )


def _providers_of(processor: str) -> tuple[str, ...]:
    """Return the providers of a processor: of TensorRT for a DLA, of the CPU for a cluster."""
    return _PROVIDERS.get(processor, _PROVIDERS['tensorrt' if processor in _DLA_CORES else 'cpu'])


def session_memory(sub_network: SubNetwork, precision: Precision = Precision.FLOAT32) -> int:
    """
    Return an estimate of what a session takes, bytes.

    It was measured on levels of w1.2, in int8 on the largest sub-network of `cifar10_ofa`.
    """
    parameter = _QUANTISED_PARAMETER if precision is Precision.INT8 else _PARAMETER
    return round(parameter * sub_network.parameters) + _SESSION


@functools.cache
def _share_arena() -> None:
    """
    Have all sessions that ask for it take the memory of their intermediate results from one arena.

    It keeps what a run took for the next one, whichever sub-network's that is, and grows by what
    is asked for. Without an arena each run maps that memory anew, which takes 1 to 3 % of the time
    of levels of w1.2; an arena for each session would be 110 MB for the six of them.
    """
    memory = onnxruntime.OrtMemoryInfo(
        'Cpu', onnxruntime.OrtAllocatorType.ORT_ARENA_ALLOCATOR, 0, onnxruntime.OrtMemType.DEFAULT
    )
    limits = {
        'max_mem': 0,
        'arena_extend_strategy': 1,
        'initial_chunk_size_bytes': 1 << 20,
        'max_dead_bytes_per_chunk': -1,
    }
    onnxruntime.create_and_register_allocator(memory, onnxruntime.OrtArenaCfg(limits))


def _give_back_arena(session: Session, size: Size) -> None:
    """Run a session once, and return what the arena has kept from smaller ones."""
    options = onnxruntime.RunOptions()
    options.add_run_config_entry('memory.enable_memory_arena_shrinkage', 'cpu:0')
    (picture,) = session.get_inputs()
    session.run(None, {picture.name: np.zeros((1, *size, 3), np.uint8)}, options)


def _found(entries: Sequence[Any]) -> list[InputFound]:
    """Return inputs, or outputs, as they are described."""
    found = []
    for entry in entries:
        match = _TYPE.fullmatch(entry.type)
        shape = tuple(side if isinstance(side, int) else None for side in entry.shape)
        found.append(InputFound(entry.name, match[1] if match else entry.type, shape))
    return found


def _computing(session: Session) -> Callable[[Batch], Outputs]:
    names = [output.name for output in session.get_outputs()]
    (entry,) = session.get_inputs()
    input_name = entry.name

    def compute(batch: Batch) -> Outputs:
        return dict(zip(names, session.run(names, {input_name: batch})))

    return compute


def _step(session: Session, decides: bool) -> Step:
    names = [output.name for output in session.get_outputs()]
    inputs = [entry.name for entry in session.get_inputs()]
    places = places_of(inputs)

    def step(values: Values) -> tuple[Outputs | None, Values]:
        taken = (values[place] for place in places)
        found = session.run(names, dict(zip(inputs, taken)))
        return ({names[0]: found[0]} if decides else None), tuple(found[decides:])

    return step
