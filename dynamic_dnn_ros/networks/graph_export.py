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
    INPUT_NAME,
    NETWORK,
    STATISTICS,
    Graph,
    TensorReference,
    graph_key,
    graph_name,
    onnx_model,
)
from dynamic_dnn_ros.bundles.reader import Bundle, read_bundle
from dynamic_dnn_ros.bundles.responses import probe_picture
from dynamic_dnn_ros.bundles.writer import rewrite_bundle
from dynamic_dnn_ros.networks.onnx_export import (
    ExportError,
    checked_difference,
    modules,
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
    :raises ExportError: when a graph computes something else
    :raises ModuleNotFoundError: when `onnx` is not installed
    """
    import onnx

    manifest = bundle.manifest
    chosen = [manifest.sub_network(name) for name in identifiers] or list(
        manifest.own_sub_networks
    )
    weights = bundle.weights()
    sha256 = hashlib.sha256(bundle.weights_content).hexdigest()
    for entry, module in modules(bundle, chosen):
        wrapped = _FromPicture(module, manifest.preprocessing).eval()
        pictures = [probe_picture(index, entry.size)[None] for index in (0, 1)]
        model = onnx.load_from_string(
            traced_model(
                wrapped,
                torch.from_numpy(pictures[0]),
                INPUT_NAME,
                fold=False,
                output_name=network_output(manifest),
            )
        )
        _name_pooling(model.graph)
        statistics = weights.batch_norm_statistics[entry.id]
        references = _take_out(model.graph, {NETWORK: weights.network, STATISTICS: statistics})
        key = graph_key(manifest, sha256, entry)
        graph = Graph(entry.id, key, references, model.SerializeToString())
        whole = onnx_model(graph, weights.network, statistics, graph_name(entry))
        outputs = f'sub-network {entry.id!r}: the outputs of its graph'
        checked_difference(whole, wrapped, pictures, outputs, INPUT_NAME)
        yield graph


def export_into(bundle: Bundle) -> Bundle:
    """
    Put the graphs of all sub-networks into a bundle.

    :raises BundleError: as `rewrite_bundle`
    :raises ExportError: when a graph computes something else
    """
    files = {
        graph_name(bundle.manifest.sub_network(graph.sub_network)): graph.content()
        for graph in export_graphs(bundle)
    }
    return rewrite_bundle(bundle, other_files=files)


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
        """Return logits of uint8, N x height x width x 3."""
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
    graph: Any, sources: Mapping[str, Mapping[str, NDArray[Any]]]
) -> list[TensorReference]:
    """Remove from an ONNX graph all tensors that are parts of those given; say which they are."""
    from onnx import numpy_helper

    references, kept = [], []
    for initializer in graph.initializer:
        values = numpy_helper.to_array(initializer)
        name = initializer.name.removeprefix(_PREFIX)
        for source, tensors in sources.items():
            if _is_leading_part(values, tensors.get(name)):
                shape = tuple(values.shape)
                references.append(TensorReference(initializer.name, source, name, shape))
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
            (folder / graph.sub_network).write_bytes(graph.content())
    except ModuleNotFoundError as error:
        print(f'the Python package {error.name!r} is not installed', file=sys.stderr)
        return 1
    except (BundleError, ExportError) as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == '__main__':
    sys.exit(main(sys.argv[1:]))
