# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
PyTorch as engine: all sub-networks are views of one copy of the weights.

A sub-network is traced, which takes a third of its time away where layers are small: 4.6 ms in
place of 6.8 for the largest of `cifar10_ofa`. Batch-norm folded into copies of the weights would
save another 15 %, at 4 bytes a parameter for each sub-network, so in float32 it is left as it is;
in the other precisions the weights are copied anyway, and it is folded. Planes are last in memory
(channels-last), which is how a picture comes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
import copy
import itertools
from pathlib import Path
import re
import threading
from typing import Any
import warnings

import numpy as np
import torch
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from dynamic_dnn_ros.bundles.errors import BundleError
from dynamic_dnn_ros.bundles.graphs import SCORES
from dynamic_dnn_ros.bundles.manifest import SubNetwork
from dynamic_dnn_ros.bundles.reader import Bundle
from dynamic_dnn_ros.bundles.stages import routes
from dynamic_dnn_ros.engines.background import return_free_memory
from dynamic_dnn_ros.engines.batches import settle_batches
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
from dynamic_dnn_ros.engines.staged import StagedSubNetwork, Step, Values, stages_of
from dynamic_dnn_ros.networks.contract import ConfigurationError, DynamicNetwork, StateError
from dynamic_dnn_ros.networks.registry import network_of, network_output
from dynamic_dnn_ros.pictures.input import Preprocessing

_TYPES = {
    Precision.FLOAT32: torch.float32,
    Precision.BFLOAT16: torch.bfloat16,
    Precision.FLOAT16: torch.float16,
}

_NEEDS = {
    Precision.BFLOAT16: 'that needs a processor with instructions for it, or a GPU',
    Precision.FLOAT16: 'that needs a GPU',
    Precision.INT8: 'this engine never does',
}

_DEVICES = {'gpu': 'cuda', 'cpu': 'cpu'}

Forward = Callable[[torch.Tensor], torch.Tensor]

#: Of a traced network, bytes for each layer: what runs its graph. Measured on levels of w1.2.
_LAYER = 100_000


class TorchEngine(Engine):
    """Runs sub-networks on the processor and on CUDA devices."""

    name = 'torch'

    def __init__(
        self,
        bundle: Bundle,
        threads: int,
        precision: Precision = Precision.FLOAT32,
        say: Callable[[str], None] = lambda text: None,
    ) -> None:
        """
        Build the network of a bundle and check every configuration of it.

        :param threads: for one inference on the CPU
        :param precision: bfloat16 where the processor has it, float16 on a GPU
        :raises EngineError: for a precision that no processor here has
        :raises BundleError: when the family is unknown, a configuration is illegal, or the
            weights do not fit the layout
        """
        self.precision = precision
        if not self.processors:
            raise EngineError(
                f'PyTorch does not compute in {precision.value} here: '
                f'{_NEEDS[precision]}. Ask for {Precision.FLOAT32.value!r}.'
            )
        torch.set_num_threads(threads)
        self._manifest = bundle.manifest
        weights = bundle.weights()
        self._statistics = weights.batch_norm_statistics
        # Activating a sub-network changes the shared network, so one thread at a time prepares.
        self._lock = threading.Lock()
        remedy = 'Export the bundle again'
        try:
            network = network_of(self._manifest)
            network.load_state(weights.network, share_memory=True)
        except (ConfigurationError, StateError) as error:
            raise BundleError(bundle.folder, str(error), remedy) from error
        self._networks: dict[str, DynamicNetwork[Any]] = {'cpu': network}
        for entry in self._manifest.sub_networks:
            try:
                configuration = network.configuration(entry.configuration)
            except ConfigurationError as error:
                raise BundleError(
                    bundle.folder,
                    f'sub-network {entry.id!r} has an illegal configuration: {error}',
                    remedy,
                ) from error
            if configuration.size != entry.size:
                raise BundleError(
                    bundle.folder,
                    f'sub-network {entry.id!r} says size {entry.size}, its configuration '
                    f'{configuration.size}',
                    remedy,
                )

    @property
    def processors(self) -> tuple[str, ...]:
        """Return the processors of this machine that PyTorch can use in the precision."""
        on_cpu = {Precision.FLOAT32} | ({Precision.BFLOAT16} if _has_bfloat16() else set())
        on_gpu = set(_TYPES) if torch.cuda.is_available() else set()
        return tuple(
            processor
            for processor, precisions in (('gpu', on_gpu), ('cpu', on_cpu))
            if self.precision in precisions
        )

    def prepare(self, sub_network: SubNetwork, processor: str) -> PreparedSubNetwork:
        """
        Extract one sub-network and run it until its first slow runs are over.

        :raises EngineError: for a processor that is not here, or has no memory left
        :raises BundleError: when its batch-norm statistics do not fit
        """
        if processor not in self.processors:
            raise EngineError(
                f'processor {processor!r} is not here. '
                f'PyTorch runs {self.precision.value} on: {", ".join(self.processors)}.'
            )
        device = _DEVICES[processor]
        try:
            with self._lock:
                modules, shared = self._extracted(sub_network, device)
                if sub_network.stages:
                    prepared = self._staged(sub_network, processor, modules, shared)
                else:
                    prepared = self._loaded(sub_network, processor, modules[0], shared)
            warm_up(prepared)
            settle_batches(prepared, self.largest_batch)
            return_free_memory()
        except (RuntimeError, MemoryError) as error:  # memory of a device: a RuntimeError
            if isinstance(error, EngineError):
                raise
            raise library_failure(
                f'PyTorch cannot prepare sub-network {sub_network.id!r} on {processor!r}', error
            ) from error
        return prepared

    def memory_needed(self, sub_network: SubNetwork) -> int:
        """Return an estimate of what is no view of the shared weights, bytes."""
        own = 0 if self.precision is Precision.FLOAT32 else 2 * sub_network.parameters
        return own + _LAYER * sub_network.layers

    def _extracted(
        self, sub_network: SubNetwork, device: str
    ) -> tuple[tuple[nn.Module, ...], set[int]]:
        """Return a sub-network as modules, one a stage, and the addresses of all shared memory."""
        if device not in self._networks:
            self._networks[device] = copy.deepcopy(self._networks['cpu']).to(device)
        network = self._networks[device]
        configuration = network.configuration(sub_network.configuration)
        try:
            network.activate(configuration)
            network.load_batch_norm_statistics(self._statistics[sub_network.id])
        except StateError as error:
            raise BundleError(
                f'sub-network {sub_network.id!r}', str(error), 'Export the bundle again'
            ) from error
        shared = {tensor.untyped_storage().data_ptr() for tensor in network.parameters()}
        if not sub_network.stages:
            return (network.extract(configuration, share_weights=True).eval(),), shared
        modules = network.extract_stages(configuration, share_weights=True)
        if len(modules) != len(sub_network.stages):
            raise EngineError(
                f'sub-network {sub_network.id!r} has {len(sub_network.stages)} stages, and family '
                f'{network.family!r} has {len(modules) or "none"} of its configuration. Write the '
                'bundle again with the stages of its family.'
            )
        return modules, shared

    def _staged(
        self,
        sub_network: SubNetwork,
        processor: str,
        networks: Sequence[nn.Module],
        shared: set[int],
    ) -> PreparedSubNetwork:
        device = _DEVICES[processor]
        steps: list[Step] = []
        pictures = torch.zeros(1, *sub_network.size, 3, dtype=torch.uint8)
        # What each stage takes, as soon as one that leads to it has run.
        taken: dict[int, tuple[torch.Tensor, ...]] = {0: (pictures,)}
        following = routes(sub_network.stages)
        own = 0
        for number, (network, stage) in enumerate(zip(networks, stages_of(sub_network))):
            network = self._converted(network).eval()
            module = network if number else _Normalised(network, self._manifest.preprocessing)
            module = module.to(device).eval()
            own += _own_memory(module, shared)
            values = tuple(value.to(device) for value in taken[number])
            with torch.inference_mode():
                found = module(*values)
            given = found if isinstance(found, tuple) else (found,)
            last = not following[number]
            if len(given) < stage.decides + (not last) or (last and len(given) > 1):
                first = 'scores of a gate' if stage.gate else 'an answer'
                raise EngineError(
                    f'stage {stage.name!r} of sub-network {sub_network.id!r} gives {len(given)} '
                    f'tensors{f", {first} among them," if stage.decides else ""} and '
                    f'{"is the last" if last else "hands on to the next"}. Mend '
                    f'`extract_stages` of family {self._manifest.super_network.family!r}.'
                )
            forward = _traced(module, values) if processor == 'cpu' else module
            name = network_output(self._manifest) if stage.exit else SCORES
            steps.append(_step(forward, name if stage.decides else '', device))
            for each in following[number]:
                self._hand_on(sub_network, (number, each), given[stage.decides :], taken)
        memory = own + _LAYER * sub_network.layers
        return StagedSubNetwork(sub_network, processor, steps, memory, 'PyTorch', _joined)

    def _hand_on(
        self,
        sub_network: SubNetwork,
        pair: tuple[int, int],
        handed: tuple[torch.Tensor, ...],
        taken: dict[int, tuple[torch.Tensor, ...]],
    ) -> None:
        """Note what a stage hands on to another one, which has to take the same from all."""
        one, other = (sub_network.stages[number].name for number in pair)
        known = taken.setdefault(pair[1], handed)
        shapes, others = ([tuple(each.shape) for each in values] for values in (handed, known))
        if shapes != others:
            raise EngineError(
                f'stage {one!r} of sub-network {sub_network.id!r} hands on {shapes} to {other!r}, '
                f'which takes {others} of another stage. Mend `extract_stages` of family '
                f'{self._manifest.super_network.family!r}.'
            )

    def _converted(self, network: nn.Module) -> nn.Module:
        """Return a network in the engine's precision."""
        if self.precision is Precision.FLOAT32:
            return network
        network = folded(network).to(_TYPES[self.precision])
        # PyTorch's annotations leave this form of `to` out.
        return network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def _loaded(
        self, sub_network: SubNetwork, processor: str, network: nn.Module, shared: set[int]
    ) -> PreparedSubNetwork:
        network = self._converted(network)
        module = _Normalised(network, self._manifest.preprocessing).to(_DEVICES[processor]).eval()
        own = _own_memory(module, shared)
        example = torch.zeros(1, *sub_network.size, 3, dtype=torch.uint8)
        if processor == 'gpu':
            forward: Forward = _CudaGraph(module, example)
        else:
            forward = _traced(module, (example,))
        return LoadedSubNetwork(
            sub_network,
            processor,
            _computing(forward, network_output(self._manifest)),
            own + _LAYER * sub_network.layers,
            'PyTorch',
        )


class _Normalised(nn.Module):
    """A sub-network with the normalisation in front."""

    scale: torch.Tensor
    offset: torch.Tensor

    def __init__(self, network: nn.Module, preprocessing: Preprocessing) -> None:
        super().__init__()
        self.network = network
        mean = torch.tensor(preprocessing.mean).view(1, 3, 1, 1)
        deviation = torch.tensor(preprocessing.standard_deviation).view(1, 3, 1, 1)
        # (x / 255 - mean) / deviation, as one multiplication and one addition
        self.register_buffer('scale', 1 / (255 * deviation))
        self.register_buffer('offset', -mean / deviation)

    def forward(self, pictures: torch.Tensor) -> torch.Tensor | tuple[torch.Tensor, ...]:
        """Return the logits, N x classes, of uint8, N x height x width x 3; what a stage gives."""
        planes = pictures.permute(0, 3, 1, 2).float()
        batch = torch.addcmul(self.offset, planes, self.scale)
        found = self.network(batch.to(self._type))
        if isinstance(found, tuple):
            return found
        logits: torch.Tensor = found.float()
        return logits

    @property
    def _type(self) -> torch.dtype:
        return next(self.network.parameters()).dtype


def _computing(forward: Forward, output_name: str) -> Callable[[Batch], Outputs]:
    def compute(batch: Batch) -> Outputs:
        with torch.inference_mode():
            return {output_name: forward(_tensor(batch)).cpu().numpy()}

    return compute


def folded(module: nn.Module) -> nn.Module:
    """
    Return a copy of a static network in eval mode with batch-norm in its convolutions.

    A convolution and a batch-norm that are registered next to each other run in this order.
    """
    # torch.fx finds such pairs by itself, but while it traces it exchanges what calls a module for
    # all threads: the frame that another sub-network has in work would fail.
    copied = copy.deepcopy(module).eval()
    for parent in copied.modules():
        children = list(parent.named_children())
        for (name, first), (next_name, second) in itertools.pairwise(children):
            if isinstance(first, nn.Conv2d) and isinstance(second, nn.BatchNorm2d):
                setattr(parent, name, fuse_conv_bn_eval(first, second))
                setattr(parent, next_name, nn.Identity())
    return copied


def _tensor(batch: Batch) -> torch.Tensor:
    if not batch.flags.writeable:
        with warnings.catch_warnings():
            # It is only read.
            warnings.simplefilter('ignore', UserWarning)
            return torch.from_numpy(batch)
    return torch.from_numpy(batch)


def _joined(parts: Sequence[Any]) -> Any:
    if isinstance(parts[0], torch.Tensor):
        return torch.cat(tuple(parts))
    return np.concatenate(parts)  # pictures


def _own_memory(module: nn.Module, shared: set[int]) -> int:
    """Return the bytes of its tensors that are no views of shared memory."""
    return sum(
        tensor.untyped_storage().nbytes()
        for tensor in (*module.parameters(), *module.buffers())
        if tensor.untyped_storage().data_ptr() not in shared
    )


def _step(forward: Callable[..., Any], output_name: str, device: str) -> Step:
    """
    Return what runs one stage.

    :param output_name: of its answer, or of a gate's scores; empty: it has neither
    """

    def step(values: Values) -> tuple[Outputs | None, Values]:
        with torch.inference_mode():
            # Pictures, or what the stage before hands on.
            tensors = [
                each if isinstance(each, torch.Tensor) else _tensor(each).to(device)
                for each in values
            ]
            found = forward(*tensors)
            given = found if isinstance(found, tuple) else (found,)
            if not output_name:
                return None, given
            return {output_name: given[0].float().cpu().numpy()}, given[1:]

    return step


def _traced(module: nn.Module, examples: tuple[torch.Tensor, ...]) -> Callable[..., Any]:
    """
    Return a module without what Python takes between its layers; the weights stay shared.

    Made from the tracer's graph: `torch.jit.trace` makes classes besides, 10 MB for a level of
    w1.2, which PyTorch keeps for ever.
    """
    with torch.inference_mode(), warnings.catch_warnings():
        warnings.simplefilter('ignore')
        try:
            graph, _ = torch.jit._trace._get_trace_graph(module, examples)
            # Without where in the code each operation stands, a third of it all.
            plain = re.sub(r', scope: [^\n]*', '', graph.str(False))
            compute = torch._C._create_function_from_graph('forward', torch._C.parse_ir(plain))
            state = tuple(torch.jit._trace._unique_state_dict(module, keep_vars=True).values())
        except (AttributeError, NotImplementedError, RuntimeError, TypeError):
            # A release without this tracer, or a graph with a tensor in it, which text does not
            # hold: the module itself does the same in more time.
            return module

    def forward(*values: torch.Tensor) -> Any:
        return compute(*values, *state)

    return forward


class _CudaGraph:
    """
    A network whose kernels are launched as one for one picture, one by one for a batch.

    No machine that this was written on has a GPU: it has never run.
    """

    def __init__(self, module: nn.Module, example: torch.Tensor) -> None:
        self._lock = threading.Lock()
        with torch.inference_mode():
            self._input = example.to('cuda')
            stream = torch.cuda.Stream()
            stream.wait_stream(torch.cuda.current_stream())
            with torch.cuda.stream(stream):
                for _ in range(3):
                    module(self._input)
            torch.cuda.current_stream().wait_stream(stream)
            self._graph = torch.cuda.CUDAGraph()
            # Another thread may be using the GPU meanwhile.
            with torch.cuda.graph(self._graph, capture_error_mode='thread_local'):
                self._output = module(self._input)
        self._module = module

    def __call__(self, pictures: torch.Tensor) -> torch.Tensor:
        if len(pictures) > 1:
            batch: torch.Tensor = self._module(pictures.to('cuda'))
            return batch
        with self._lock:
            self._input.copy_(pictures)
            self._graph.replay()
            return self._output.cpu()


def _has_bfloat16() -> bool:
    """Return whether the processor has instructions for bfloat16; without, it is emulated."""
    try:
        information = Path('/proc/cpuinfo').read_text(errors='replace')
    except OSError:
        return False
    return (
        re.search(r'^(flags|Features)\s*:.*\b(avx512_bf16|amx_bf16|bf16)\b', information, re.M)
        is not None
    )
