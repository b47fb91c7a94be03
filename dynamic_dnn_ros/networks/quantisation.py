# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
Make graphs in int8 of a bundle's sub-networks, by quantisation after training.

Activations in unsigned, weights in signed eight bits, these with a scale for each filter; the
ranges of activations are those that calibration pictures give. Convolutions alone are quantised,
and of them not the first and not the depthwise ones: their few inputs have ranges that differ so
much that their rounding makes most of the error (in `cifar10_ofa` the response of the largest
sub-network departs by 15 % with them and by 3 % without), and in int8 they save no time.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
import hashlib
import logging
from pathlib import Path
import tempfile
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dynamic_dnn_ros.bundles.graphs import INPUT_NAME, Graph, graph_key, onnx_model
from dynamic_dnn_ros.bundles.reader import Bundle
from dynamic_dnn_ros.networks.graph_export import export_graphs
from dynamic_dnn_ros.pictures.placement import Size

#: Inputs of a filter up to which a convolution stays in float32: one in depthwise convolutions,
#: the three colours in the first.
FEW_INPUTS = 3

Pictures = Sequence[NDArray[np.uint8]]


def quantised_graphs(
    bundle: Bundle, pictures: Mapping[Size, Pictures], calibration: str
) -> Iterator[Graph]:
    """
    Make the graphs in int8 of all sub-networks of one piece, one after the other.

    Unlike other graphs they have weights of their own.

    :param pictures: to calibrate with, by size of the input: (height, width, 3) each
    :param calibration: what the pictures are, for whoever reads the graph
    :raises BundleError: when the bundle does not fit
    :raises ExportError: when a sub-network cannot be exported
    :raises ModuleNotFoundError: when `onnx` or `onnxruntime` is not installed
    """
    import onnxruntime.quantization  # noqa: F401 (a missing package is told before any work)

    manifest = bundle.manifest
    weights = bundle.weights()
    sha256 = hashlib.sha256(bundle.weights_content).hexdigest()
    whole = [entry.id for entry in manifest.own_sub_networks if not entry.stages]
    for graph in export_graphs(bundle, whole) if whole else ():
        entry = manifest.sub_network(graph.sub_network)
        statistics = weights.batch_norm_statistics[entry.id]
        model = onnx_model(graph, weights.network, statistics, entry.id)
        content = _quantised(model, pictures[entry.size])
        key = graph_key(manifest, sha256, entry, quantised=True)
        yield Graph(entry.id, key, [], content, calibration)


def _quantised(model: bytes, pictures: Pictures) -> bytes:
    """Return an ONNX model in int8."""
    from onnxruntime import quantization
    from onnxruntime.quantization import shape_inference

    logger = logging.getLogger()
    level = logger.level
    with tempfile.TemporaryDirectory() as folder:
        whole, prepared, quantised = (Path(folder) / name for name in 'wpq')
        whole.write_bytes(model)
        # It says on the root logger that this was not done, while it does it.
        logger.setLevel(logging.ERROR)
        try:
            # Batch-norm goes into the convolutions, which is what is to be quantised.
            shape_inference.quant_pre_process(str(whole), str(prepared), skip_symbolic_shape=True)
            quantization.quantize_static(
                str(prepared),
                str(quantised),
                _reader(pictures),
                quant_format=quantization.QuantFormat.QDQ,
                per_channel=True,
                activation_type=quantization.QuantType.QUInt8,
                weight_type=quantization.QuantType.QInt8,
                op_types_to_quantize=['Conv'],
                nodes_to_exclude=_with_few_inputs(prepared),
            )
        finally:
            logger.setLevel(level)
        return quantised.read_bytes()


def _reader(pictures: Pictures) -> Any:
    from onnxruntime.quantization import CalibrationDataReader

    # The library's class is untyped, and may not be there when this module is imported.
    class Reader(CalibrationDataReader):  # type: ignore[misc, unused-ignore]
        """Gives pictures one after the other, as models take them."""

        def __init__(self) -> None:
            self._pictures = iter(pictures)

        def get_next(self) -> dict[str, NDArray[np.uint8]] | None:
            """Return the next picture, or None after the last."""
            picture = next(self._pictures, None)
            return None if picture is None else {INPUT_NAME: picture[np.newaxis]}

    return Reader()


def _with_few_inputs(model: Path) -> list[str]:
    """Return the names of the convolutions that stay in float32."""
    import onnx

    graph = onnx.load(str(model)).graph
    inputs = {tensor.name: tensor.dims[1] for tensor in graph.initializer if len(tensor.dims) > 1}
    return [
        node.name
        for node in graph.node
        # A kernel that is computed in the graph has no shape there; it is left as it is.
        if node.op_type == 'Conv' and inputs.get(node.input[1], 0) <= FEW_INPUTS
    ]
