# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
Make the graphs of a bundle's sub-networks, which ONNX Runtime and OpenVINO run.

As a program, `python -m dynamic_dnn_ros.networks.graph_export BUNDLE FOLDER ID...` writes them
into a folder: so the process of an engine never loads PyTorch.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
import hashlib
from pathlib import Path
import sys
from typing import Any

import numpy as np
from numpy.typing import NDArray
import torch
from torch import nn

from dynamic_dnn_ros.bundles.errors import BundleError
from dynamic_dnn_ros.bundles.graphs import (
    CARRIED,
    INPUT_NAME,
    NETWORK,
    NEXT,
    SCORES,
    STATISTICS,
    Graph,
    TensorReference,
    file_name,
    graph_key,
    graph_name,
    onnx_model,
)
from dynamic_dnn_ros.bundles.manifest import SubNetwork
from dynamic_dnn_ros.bundles.reader import Bundle, read_bundle
from dynamic_dnn_ros.bundles.responses import probe_picture
from dynamic_dnn_ros.bundles.stages import routes
from dynamic_dnn_ros.bundles.writer import rewrite_bundle
from dynamic_dnn_ros.networks.contract import statistics_prefix
from dynamic_dnn_ros.networks.onnx_export import (
    ExportError,
    activated,
    checked_difference,
    compared,
    exported,
    runner_of,
    traced_model,
)
from dynamic_dnn_ros.networks.registry import network_output
from dynamic_dnn_ros.pictures.input import Preprocessing

_PREFIX = 'network.'


def export_graphs(bundle: Bundle, identifiers: Sequence[str] = ()) -> Iterator[Graph]:
    """
    Make graphs, each as soon as its outputs are found to be those of the sub-network.

    :param identifiers: of the sub-networks; none stands for all
    :raises BundleError: for an unknown identifier, or when the bundle does not fit
    :raises ExportError: when a graph computes something else, or the stages are none of its family
    :raises ModuleNotFoundError: when `onnx` is not installed
    """
    import onnx  # noqa: F401 (a missing package is told before any work)

    manifest = bundle.manifest
    chosen = exported(manifest, identifiers)
    exporter = _Exporter(bundle)
    for entry, network, configuration in activated(bundle, chosen):
        if entry.stages:
            yield from exporter.staged(entry, network.extract_stages(configuration))
        else:
            yield exporter.whole(entry, network.extract(configuration).eval())


def export_into(bundle: Bundle) -> Bundle:
    """
    Put the graphs of all sub-networks into a bundle.

    :raises BundleError: as `rewrite_bundle`
    :raises ExportError: when a graph computes something else
    """
    files = {
        graph_name(
            bundle.manifest.sub_network(graph.sub_network), stage=graph.stage
        ): graph.content()
        for graph in export_graphs(bundle)
    }
    return rewrite_bundle(bundle, other_files=files)


class _Exporter:
    """Makes the graphs of one bundle."""

    def __init__(self, bundle: Bundle) -> None:
        self._manifest = bundle.manifest
        self._weights = bundle.weights()
        self._sha256 = hashlib.sha256(bundle.weights_content).hexdigest()
        self._output = network_output(bundle.manifest)

    def whole(self, entry: SubNetwork, module: nn.Module) -> Graph:
        """Return the graph of a sub-network of one piece."""
        wrapped = _FromPicture(module, self._manifest.preprocessing).eval()
        pictures = [probe_picture(index, entry.size)[None] for index in (0, 1)]
        traced = traced_model(
            wrapped,
            torch.from_numpy(pictures[0]),
            INPUT_NAME,
            fold=False,
            output_name=self._output,
        )
        graph, model = self._graph(entry, traced, None)
        outputs = f'sub-network {entry.id!r}: the outputs of its graph'
        checked_difference(model, wrapped, pictures, outputs, INPUT_NAME)
        return graph

    def staged(self, entry: SubNetwork, modules: Sequence[nn.Module]) -> Iterator[Graph]:
        """Yield the graphs of the stages of a sub-network."""
        if len(modules) != len(entry.stages):
            raise ExportError(
                f'sub-network {entry.id!r} has {len(entry.stages)} stages, and family '
                f'{self._manifest.super_network.family!r} has {len(modules) or "none"} of its '
                'configuration. Write the bundle again with the stages of its family.'
            )
        pictures: list[tuple[torch.Tensor, ...]] = [
            (torch.from_numpy(probe_picture(index, entry.size)[None]),) for index in (0, 1)
        ]
        following = routes(entry.stages)
        # What each stage takes of two pictures, as soon as one that leads to it has run.
        taken: dict[int, list[tuple[torch.Tensor, ...]]] = {0: pictures}
        for number, module in enumerate(modules):
            wrapped: nn.Module = _Onward(module).eval()
            names: Sequence[str] = [f'{CARRIED}{index}' for index in range(len(taken[number][0]))]
            if number == 0:
                wrapped = _FromPicture(module, self._manifest.preprocessing).eval()
                names = [INPUT_NAME]
            prefix = statistics_prefix(module)
            graph, handed = self._stage(entry, number, wrapped, names, taken[number], prefix)
            yield graph
            for each in following[number]:
                taken.setdefault(each, handed)

    def _stage(
        self,
        entry: SubNetwork,
        number: int,
        module: nn.Module,
        names: Sequence[str],
        taken: Sequence[tuple[torch.Tensor, ...]],
        prefix: str,
    ) -> tuple[Graph, list[tuple[torch.Tensor, ...]]]:
        """Return the graph of a stage, and what it hands on of each that it takes."""
        stage = entry.stages[number]
        last = not routes(entry.stages)[number]
        decides = last or stage.threshold is not None or bool(stage.choices)
        with torch.inference_mode():
            found = [_tensors(module(*values)) for values in taken]
        onward = len(found[0]) - decides
        if onward < 0 or last != (onward == 0):
            first = 'scores of a gate' if stage.choices else 'an answer'
            raise ExportError(
                f'stage {stage.name!r} of sub-network {entry.id!r} gives {len(found[0])} tensors, '
                f'{f"{first} among them, " if decides else ""}so it hands on {onward}'
                f'{" and is the last" if last else ""}. Mend `extract_stages` of its family.'
            )
        outputs = [SCORES if stage.choices else self._output] * decides
        outputs += [f'{NEXT}{index}' for index in range(onward)]
        traced = traced_model(module, taken[0], names, fold=False, output_name=outputs)
        if number:
            traced = _with_all_inputs(traced, names, taken[0])
        graph, model = self._graph(entry, traced, number, prefix)
        what = f'sub-network {entry.id!r}, stage {stage.name!r}: the outputs of its graph'
        run, evaluator = runner_of(model)
        for values, expected in zip(taken, found):
            inputs = {name: value.numpy() for name, value in zip(names, values)}
            for one, other in zip(run(inputs), expected):
                compared(one, other.numpy(), what, evaluator)
        return graph, [tensors[decides:] for tensors in found]

    def _graph(
        self, entry: SubNetwork, traced: bytes, stage: int | None, prefix: str = ''
    ) -> tuple[Graph, bytes]:
        """
        Return a graph without the weights that the bundle has, and the whole model of it.

        :param prefix: of its batch-norm statistics in the bundle
        """
        import onnx

        model = onnx.load_from_string(traced)
        _name_pooling(model.graph)
        statistics = self._weights.batch_norm_statistics[entry.id]
        sources = {NETWORK: self._weights.network, STATISTICS: statistics}
        references = _take_out(model.graph, sources, prefix)
        key = graph_key(self._manifest, self._sha256, entry, stage=stage)
        graph = Graph(entry.id, key, references, model.SerializeToString(), stage=stage)
        name = graph_name(entry, stage=stage)
        return graph, onnx_model(graph, self._weights.network, statistics, name)


def _with_all_inputs(
    content: bytes, names: Sequence[str], values: Sequence[torch.Tensor]
) -> bytes:
    """Return a model with those inputs too that it does not use, which the tracer leaves out."""
    import onnx

    model = onnx.load_from_string(content)
    known = {each.name: each for each in model.graph.input}
    if len(known) == len(names):
        return content
    inputs = [
        known.get(name)
        or onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, list(value.shape))
        for name, value in zip(names, values)
    ]
    del model.graph.input[:]
    model.graph.input.extend(inputs)
    return bytes(model.SerializeToString())


def _tensors(found: torch.Tensor | tuple[torch.Tensor, ...]) -> tuple[torch.Tensor, ...]:
    return found if isinstance(found, tuple) else (found,)


class _Onward(nn.Module):
    """A later stage, under the name that the first one has."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, *values: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Return what the stage gives of what it takes."""
        found: tuple[torch.Tensor, ...] = self.network(*values)
        return found


class _FromPicture(nn.Module):
    """A sub-network with the normalisation in front: pictures as an engine gets them."""

    mean: torch.Tensor
    scale: torch.Tensor

    def __init__(self, network: nn.Module, preprocessing: Preprocessing) -> None:
        super().__init__()
        self.network = network
        mean = torch.tensor(preprocessing.mean)
        deviation = torch.tensor(preprocessing.standard_deviation)
        self.register_buffer('mean', (255 * mean).view(1, 3, 1, 1))
        self.register_buffer('scale', (1 / (255 * deviation)).view(1, 3, 1, 1))

    def forward(self, picture: torch.Tensor) -> torch.Tensor:
        """Return logits of uint8, N x height x width x 3; of a first stage what that gives."""
        planes = picture.permute(0, 3, 1, 2).float()
        logits: torch.Tensor = self.network((planes - self.mean) * self.scale)
        return logits


def _name_pooling(graph: Any) -> None:
    """
    Call the mean over all places what it is.

    ONNX Runtime keeps its own order in memory through a pooling, and not through a ReduceMean.
    """
    from onnx import helper

    for node in graph.node:
        values = {each.name: helper.get_attribute_value(each) for each in node.attribute}
        over_places = list(values.get('axes', ())) == [2, 3] and values.get('keepdims', 1) == 1
        if node.op_type == 'ReduceMean' and over_places:
            node.op_type = 'GlobalAveragePool'
            del node.attribute[:]


def _take_out(
    graph: Any, sources: Mapping[str, Mapping[str, NDArray[Any]]], prefix: str
) -> list[TensorReference]:
    """Remove from an ONNX graph all tensors that are parts of those given; say which they are."""
    from onnx import numpy_helper

    references, kept = [], []
    for initializer in graph.initializer:
        values = numpy_helper.to_array(initializer)
        name = initializer.name.removeprefix(_PREFIX)
        for source, tensors in sources.items():
            full = f'{prefix}{name}' if source == STATISTICS else name
            if _is_leading_part(values, tensors.get(full)):
                shape = tuple(values.shape)
                references.append(TensorReference(initializer.name, source, full, shape))
                break
        else:
            kept.append(initializer)
    del graph.initializer[:]
    graph.initializer.extend(kept)
    return references


def _is_leading_part(values: NDArray[Any], tensor: NDArray[Any] | None) -> bool:
    if tensor is None or tensor.ndim != values.ndim or values.dtype != np.float32:
        return False
    part = tensor[tuple(slice(size) for size in values.shape)]
    return np.array_equal(part, values)


def main(arguments: Sequence[str]) -> int:
    """Write the graphs of sub-networks into a folder; returns the exit code."""
    torch.set_num_threads(1)
    folder = Path(arguments[1])
    try:
        for graph in export_graphs(read_bundle(Path(arguments[0])), arguments[2:]):
            (folder / file_name(graph.sub_network, graph.stage)).write_bytes(graph.content())
    except ModuleNotFoundError as error:
        print(f'the Python package {error.name!r} is not installed', file=sys.stderr)
        return 1
    except (BundleError, ExportError) as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == '__main__':
    sys.exit(main(sys.argv[1:]))
