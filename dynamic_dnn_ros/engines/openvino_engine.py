# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""OpenVINO as engine: the CPU, and GPUs of Intel."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
import functools
import threading
from typing import Any

import numpy as np
import openvino

from dynamic_dnn_ros.bundles.graphs import output_names
from dynamic_dnn_ros.bundles.manifest import SubNetwork
from dynamic_dnn_ros.bundles.reader import Bundle
from dynamic_dnn_ros.engines.background import return_free_memory
from dynamic_dnn_ros.engines.contract import (
    Batch,
    Engine,
    EngineError,
    LoadedSubNetwork,
    Outputs,
    Precision,
    PreparedSubNetwork,
    library_failure,
    warm_up,
)
from dynamic_dnn_ros.engines.graph_source import Say
from dynamic_dnn_ros.engines.models import (
    InputFound,
    check_handover,
    check_inputs,
    models_of,
    places_of,
)
from dynamic_dnn_ros.engines.openvino_filters import with_chosen_filters
from dynamic_dnn_ros.engines.staged import StagedSubNetwork, Step, Values, stages_of

#: OpenVINO's name of a capability, and of the type that inference is asked to compute in.
_TYPES = {
    Precision.FLOAT32: ('FP32', 'f32'),
    Precision.BFLOAT16: ('BF16', 'bf16'),
    Precision.FLOAT16: ('FP16', 'f16'),
    # The graph says what is in int8; this is for the rest of it.
    Precision.INT8: ('INT8', 'f32'),
}

#: Of a parameter, bytes: OpenVINO keeps the weights of the model beside those that it has
#: compiled. In int8 it takes most, measured on the largest sub-network of `cifar10_ofa`.
_PARAMETER = {
    Precision.FLOAT32: 9,
    Precision.BFLOAT16: 6,
    Precision.FLOAT16: 6,
    Precision.INT8: 14,
}

#: Of a compiled model, beside its weights: graph, kernels and buffers, bytes; and of intermediate
#: results for each pixel of its input, measured on a detector (YOLOX-nano).
_MODEL, _PIXEL = 5_000_000, 140


@functools.cache
def core() -> openvino.Core:
    """
    Return the one `Core` of this process, which is never destroyed.

    OpenVINO's CPU plug-in gives the thread that loads it another stack for signal handlers, and
    its end gives back the stack that was there before. Where two of them end in the order in which
    they came, that is the stack of the first, which is gone, and the next signal ends the process
    with a segmentation fault (seen with OpenVINO 2026.4).
    """
    return openvino.Core()


class OpenVinoEngine(Engine):
    """
    Compiles each sub-network for a device, and for its size.

    So sub-networks of one separate model share nothing: a model that is compiled for all sizes at
    once would take more time for each picture. So would one for several pictures, by 20 to 40 %
    with those that ship: one is what it takes.
    """

    name = 'openvino'

    def __init__(self, bundle: Bundle, threads: int, precision: Precision, say: Say) -> None:
        """
        Look at a bundle.

        :param threads: for one inference on the CPU
        :param precision: what a processor computes in; not all have all
        :param say: told once where graphs come from, when that is not the bundle
        :raises EngineError: for a precision that no processor here has, or the bundle has not
        :raises BundleError: when the weights cannot be read
        """
        self.precision = precision
        self._threads = threads
        self._core = core()
        self._capabilities: dict[str, set[str]] = {}
        for device in self._core.available_devices:
            # One that does not answer, for its driver perhaps, leaves the others.
            with suppress(RuntimeError):
                found = self._core.get_property(device, 'OPTIMIZATION_CAPABILITIES')
                self._capabilities[device] = set(found)
        if not self.processors:
            raise EngineError(
                f'no processor here computes in {precision.value} with OpenVINO: '
                f'{", ".join(map(str.lower, self._capabilities)) or "none is known to it"}. Ask '
                "for 'float32'."
            )
        self._models = models_of(bundle, say, quantised=precision is Precision.INT8)

    @property
    def processors(self) -> tuple[str, ...]:
        """Return the devices that compute in the precision; the name of a device, small."""
        capability = _TYPES[self.precision][0]
        fitting = [
            device.lower()
            for device, capabilities in self._capabilities.items()
            if capability in capabilities
        ]
        # A GPU that the system has is what it is to be used for.
        return tuple(sorted(fitting, key=lambda device: not device.startswith('gpu')))

    def prepare(self, sub_network: SubNetwork, processor: str) -> PreparedSubNetwork:
        """
        Compile a sub-network, and run it until its first slow runs are over.

        :raises EngineError: for a processor that is not here, a model that is refused, or a
            device that has no memory left
        """
        if processor not in self.processors:
            raise EngineError(
                f'processor {processor!r} is not here, or does not compute in '
                f'{self.precision.value}. OpenVINO runs that on: {", ".join(self.processors)}.'
            )
        if sub_network.stages:
            return self._staged(sub_network, processor)
        request, names = self._compiled(sub_network, processor)
        prepared = LoadedSubNetwork(
            sub_network,
            processor,
            _computing(request, self._models.picture, names),
            self.memory_needed(sub_network),
            'OpenVINO',
        )
        warm_up(prepared)
        return_free_memory()
        return prepared

    def _staged(self, sub_network: SubNetwork, processor: str) -> PreparedSubNetwork:
        """Compile each stage; between them, what is handed on lies in main memory."""
        stages = stages_of(sub_network)
        compiled = [
            self._compiled(sub_network, processor, number) for number in range(len(stages))
        ]
        models = [
            (list(map(_input, each.model_inputs)), list(map(_input, each.model_outputs)))
            for each, _ in compiled
        ]
        check_handover(sub_network, models, self._models.remedy)
        prepared = StagedSubNetwork(
            sub_network,
            processor,
            [_step(*each, stage.decides) for each, stage in zip(compiled, stages)],
            self.memory_needed(sub_network),
            'OpenVINO',
        )
        warm_up(prepared)
        return_free_memory()
        return prepared

    def _compiled(
        self, sub_network: SubNetwork, processor: str, stage: int | None = None
    ) -> tuple[openvino.InferRequest, Sequence[str]]:
        """
        Compile a sub-network, or a stage of it; return what runs it, and the names of its outputs.

        :raises EngineError: as `prepare`
        """
        content = self._models.content(sub_network, stage)
        properties: dict[str, Any] = {
            'PERFORMANCE_HINT': 'LATENCY',
            'NUM_STREAMS': '1',
            'INFERENCE_PRECISION_HINT': _TYPES[self.precision][1],
        }
        if processor == 'cpu':
            properties['INFERENCE_NUM_THREADS'] = self._threads
            # Several applications on one computer would all be pinned to its first cores.
            properties['ENABLE_CPU_PINNING'] = False
        try:
            model = self._core.read_model(content, openvino.Tensor(np.zeros(0, np.uint8)))
            if not stage:
                check_inputs(list(map(_input, model.inputs)), self._models, sub_network)
            if model.inputs[0].partial_shape.is_dynamic:
                model.reshape({self._models.picture: [1, *sub_network.size, 3]})
            model = with_chosen_filters(model)
            compiled = self._core.compile_model(model, processor.upper(), properties)
            return compiled.create_infer_request(), output_names(content)
        except EngineError:
            raise
        except (RuntimeError, MemoryError) as error:
            raise library_failure(
                f'OpenVINO {openvino.__version__} cannot run sub-network {sub_network.id!r} on '
                f'{processor!r}',
                error,
                f'Update openvino, {self._models.remedy}, or name another engine.',
            ) from error

    def memory_needed(self, sub_network: SubNetwork) -> int:
        """Return an estimate of what a compiled model takes, bytes."""
        pixels = sub_network.size.height * sub_network.size.width
        return _PARAMETER[self.precision] * sub_network.parameters + _PIXEL * pixels + _MODEL


def _input(found: Any) -> InputFound:
    shape = found.partial_shape
    sides: list[int | None] = []
    if shape.rank.is_static:
        sides = [None if side.is_dynamic else side.get_length() for side in shape]
    return InputFound(found.any_name, found.element_type.to_dtype().name, tuple(sides))


def _computing(
    request: openvino.InferRequest, input_name: str, names: Sequence[str]
) -> Callable[[Batch], Outputs]:
    # A request runs once at a time.
    lock = threading.Lock()

    def compute(batch: Batch) -> Outputs:
        # The picture itself is the input, unless it may not be written: nothing is copied.
        pixels = batch if batch.flags.writeable else batch.copy()
        tensor = openvino.Tensor(pixels, shared_memory=True)
        with lock:
            request.set_tensor(input_name, tensor)
            request.infer()
            # Copied: the next run writes where these lie.
            return {
                name: request.get_output_tensor(index).data.copy()
                for index, name in enumerate(names)
            }

    return compute


def _step(request: openvino.InferRequest, names: Sequence[str], decides: bool) -> Step:
    # A request runs once at a time.
    lock = threading.Lock()
    inputs = [entry.any_name for entry in request.model_inputs]
    places = places_of(inputs)

    def step(values: Values) -> tuple[Outputs | None, Values]:
        tensors = [
            # A tensor shares memory that it may write alone.
            openvino.Tensor(each if each.flags.writeable else each.copy(), shared_memory=True)
            for each in (values[place] for place in places)
        ]
        with lock:
            for name, tensor in zip(inputs, tensors):
                request.set_tensor(name, tensor)
            request.infer()
            # Copied: the next run writes where these lie.
            found = [request.get_output_tensor(index).data.copy() for index in range(len(names))]
        return ({names[0]: found[0]} if decides else None), tuple(found[decides:])

    return step
