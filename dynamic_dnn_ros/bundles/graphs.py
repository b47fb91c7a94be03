# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
A sub-network as a graph for engines that are not PyTorch, without a second copy of the weights.

A `.graph` file is one line of JSON and then an ONNX model (opset 17) whose input `picture` is
uint8, 1 x height x width x 3, and whose output `logits` is float32, 1 x classes. What
the weights file of the bundle has is not in it again: the line names these tensors, and
`onnx_model` puts them in. So all sub-networks of a bundle have one copy of their weights on disk.

An `.int8.graph` file is the same with weights of its own, in int8, that no weights file has.

Of a sub-network whose stages are parts of its network there is a graph for each stage,
`<id>.<number of the stage>.graph`. The first takes `picture`; the others take `carried_0`,
`carried_1`, ..., which are what the stage before hands on as `next_0`, `next_1`, ... A stage with
an exit gives its answer first, under the name that the whole network's answer has; one with a gate
gives the `scores` of that first. Where stages branch, each takes what those hand on that lead to
it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
import hashlib
import json
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dynamic_dnn_ros.bundles.errors import BundleError
from dynamic_dnn_ros.bundles.manifest import Manifest, SubNetwork
from dynamic_dnn_ros.bundles.stages import branches, routes

GRAPH_SUFFIX = '.graph'
QUANTISED_SUFFIX = f'.int8{GRAPH_SUFFIX}'
INPUT_NAME = 'picture'
OUTPUT_NAME = 'logits'

#: How the names of tensors begin that a stage takes, and that it hands on.
CARRIED, NEXT = 'carried_', 'next_'

#: The scores of a gate, N x stages that it chooses of.
SCORES = 'scores'

#: Of the file and of what is in it: another number, and a graph is made again.
FORMAT_VERSION = 1

REMEDY = "Run 'dynamic-dnn bundle export BUNDLE' on a computer that has PyTorch"

QUANTISED_REMEDY = (
    "Run 'dynamic-dnn bundle export BUNDLE --precision int8 --data PICTURES' on a computer that "
    'has PyTorch'
)

#: Where a tensor comes from: the weights that all share, or the sub-network's statistics.
NETWORK, STATISTICS = 'network', 'batch_norm'

# Numbers of fields in onnx.proto, release 1.14.
_MODEL_GRAPH, _GRAPH_INITIALIZER, _GRAPH_INPUT, _GRAPH_OUTPUT = 7, 5, 11, 12
_VALUE_NAME = 1
#: From a description of a tensor to its sides: its type, of a tensor, its shape, a side.
_VALUE_SHAPE = (2, 1, 2, 1)
#: A side that is called N and may be any number: a field 2 of one letter.
_FREE_SIDE = b'\x12\x01N'
_TENSOR_DIMS, _TENSOR_TYPE, _TENSOR_NAME, _TENSOR_RAW_DATA = 1, 2, 8, 9
_FLOAT = 1


@dataclass(frozen=True)
class TensorReference:
    """
    A tensor of the graph that is the leading part of one in the weights file.

    `name` is that in the graph; `source` is `NETWORK` or `STATISTICS`, `tensor` the name there.
    """

    name: str
    source: str
    tensor: str
    shape: tuple[int, ...]


@dataclass(frozen=True)
class Graph:
    """
    A graph; `key` tells of which sub-network and weights, see `graph_key`.

    `calibration` says with what a graph in int8 was calibrated; `stage` is the number of the stage
    that it is, None where it is the whole sub-network.
    """

    sub_network: str
    key: str
    references: Sequence[TensorReference]
    skeleton: bytes
    calibration: str = ''
    stage: int | None = None

    def content(self) -> bytes:
        """Return the content of its file."""
        header = {
            'format_version': FORMAT_VERSION,
            'sub_network': self.sub_network,
            'key': self.key,
            'tensors': [
                [entry.name, entry.source, entry.tensor, list(entry.shape)]
                for entry in self.references
            ],
            'calibration': self.calibration,
        }
        if self.stage is not None:
            header['stage'] = self.stage
        return json.dumps(header).encode() + b'\n' + self.skeleton


def stage_numbers(sub_network: SubNetwork) -> tuple[int | None, ...]:
    """Return the number of each stage that has a graph of its own; None: the whole has one."""
    return tuple(range(len(sub_network.stages))) or (None,)


def graph_name(sub_network: SubNetwork, quantised: bool = False, stage: int | None = None) -> str:
    """Return the name of a sub-network's graph in its bundle, or of that of one of its stages."""
    suffix = QUANTISED_SUFFIX if quantised else GRAPH_SUFFIX
    return f'{file_name(sub_network.id, stage)}{suffix}'


def file_name(identifier: str, stage: int | None) -> str:
    """Return the name of a graph's file in a folder of nothing but graphs."""
    return identifier if stage is None else f'{identifier}.{stage}'


def graph_key(
    manifest: Manifest,
    weights_sha256: str,
    sub_network: SubNetwork,
    quantised: bool = False,
    stage: int | None = None,
) -> str:
    """Return the SHA-256 of all that a graph is made from."""
    made_from = [
        FORMAT_VERSION,
        manifest.super_network.family,
        dict(manifest.super_network.layout),
        weights_sha256,
        sub_network.id,
        dict(sub_network.configuration),
        list(manifest.preprocessing.mean),
        list(manifest.preprocessing.standard_deviation),
    ]
    if quantised:
        made_from.append('int8')
    if stage is not None:
        exits = [each.threshold is not None for each in sub_network.stages]
        made_from.append({'stage': stage, 'exits': exits})
        if branches(sub_network.stages):
            made_from.append([list(each) for each in routes(sub_network.stages)])
    return hashlib.sha256(json.dumps(made_from, sort_keys=True).encode()).hexdigest()


def parse_graph(content: bytes, where: object, key: str, quantised: bool = False) -> Graph:
    """
    Read the content of a graph's file.

    :param where: named in errors, the file usually
    :param key: that it has to have
    :param quantised: whether it is one in int8
    :raises BundleError: when it is damaged, of another version, or made from something else
    """
    remedy = QUANTISED_REMEDY if quantised else REMEDY
    line, newline, skeleton = content.partition(b'\n')
    try:
        header = json.loads(line)
        version = header['format_version']
        if version != FORMAT_VERSION:
            raise BundleError(
                where,
                f'has format version {version}, this release runs {FORMAT_VERSION}',
                remedy,
            )
        graph = Graph(
            str(header['sub_network']),
            str(header['key']),
            [
                TensorReference(str(name), str(source), str(tensor), tuple(map(int, shape)))
                for name, source, tensor, shape in header['tensors']
            ],
            skeleton,
            str(header.get('calibration', '')),
            None if header.get('stage') is None else int(header['stage']),
        )
        if not newline or not skeleton:
            raise ValueError('the ONNX model is missing')
    except BundleError:
        raise
    except (KeyError, OverflowError, RecursionError, TypeError, ValueError) as error:
        raise BundleError(where, f'is no graph of a sub-network ({error})', remedy) from error
    if graph.key != key:
        raise BundleError(
            where,
            f'was made for sub-network {graph.sub_network!r} from other weights, another '
            'configuration or by another version',
            remedy,
        )
    return graph


def onnx_model(
    graph: Graph,
    network: Mapping[str, NDArray[Any]],
    statistics: Mapping[str, NDArray[Any]],
    where: object,
) -> bytes:
    """
    Return the whole model, as the content of an ONNX file.

    A message of protocol buffers may be continued after its end: what repeats is appended to what
    there is. So the weights are written behind the skeleton, and no ONNX package is needed.

    :param network: the weights that all sub-networks share, float32
    :param statistics: batch-norm statistics of this one, float32
    :param where: named in errors
    :raises BundleError: when a tensor is missing or too small
    """
    sources = {NETWORK: network, STATISTICS: statistics}
    parts = [graph.skeleton]
    for entry in graph.references:
        tensor = sources.get(entry.source, {}).get(entry.tensor)
        fits = (
            tensor is not None
            and tensor.ndim == len(entry.shape)
            and all(size <= there for size, there in zip(entry.shape, tensor.shape))
        )
        if tensor is None or not fits:
            raise BundleError(
                where, f'needs the tensor {entry.tensor!r} of shape {entry.shape}', REMEDY
            )
        part = tensor[tuple(slice(size) for size in entry.shape)]
        parts.append(_initializer(entry.name, np.ascontiguousarray(part, '<f4')))
    return b''.join(parts)


def output_names(model: bytes) -> tuple[str, ...]:
    """
    Return the names of a model's outputs, in their order; no ONNX package is needed.

    :param model: the content of an ONNX file that is sound
    """
    names = []
    for number, part in _fields(memoryview(model)):
        if number == _MODEL_GRAPH:
            for inner, output in _fields(part):
                if inner == _GRAPH_OUTPUT:
                    names += [bytes(v).decode() for n, v in _fields(output) if n == _VALUE_NAME]
    return tuple(names)


def with_free_batch(model: bytes) -> bytes:
    """
    Return a model whose inputs and outputs are declared with any number of pictures.

    Nothing else is changed, so outputs for one picture are the same to the bit. Whether the
    operators within treat pictures one by one is not looked at.

    :param model: the content of an ONNX file that is sound
    """
    found = memoryview(model)
    for field in (_GRAPH_INPUT, _GRAPH_OUTPUT):
        found = memoryview(_edited(found, (_MODEL_GRAPH, field, *_VALUE_SHAPE)))
    return bytes(found)


def _edited(message: memoryview, path: Sequence[int]) -> bytes:
    """Return a message; of each message at the end of a path of fields the first is named."""
    parts = []
    number, *onward = path
    place = 0
    for begin, end, field, length in _located(message):
        if field != number:
            continue
        parts.append(bytes(message[place:begin]))
        content = message[end - length : end]
        parts.append(_bytes_field(number, _edited(content, onward) if onward else _FREE_SIDE))
        place = end
        if not onward:
            break
    parts.append(bytes(message[place:]))
    return b''.join(parts)


def _fields(message: memoryview) -> Iterator[tuple[int, memoryview]]:
    """Yield number and content of those fields of a message that have a length."""
    for _, place, number, length in _located(message):
        yield number, message[place - length : place]


def _located(message: memoryview) -> Iterator[tuple[int, int, int, int]]:
    """Yield begin, end and number of the fields that have a length, and the content's length."""
    place = 0
    while place < len(message):
        begin = place
        tag, place = _read_number(message, place)
        wire_type = tag & 7
        if wire_type == 2:
            length, place = _read_number(message, place)
            place += length
            yield begin, place, tag >> 3, length
        elif wire_type == 0:
            _, place = _read_number(message, place)
        else:
            place += 8 if wire_type == 1 else 4


def _read_number(message: memoryview, place: int) -> tuple[int, int]:
    """Return a number of variable length, and the place after it."""
    number = shift = 0
    while True:
        digit = message[place]
        place += 1
        number |= (digit & 0x7F) << shift
        shift += 7
        if digit < 0x80:
            return number, place


def _initializer(name: str, values: NDArray[np.float32]) -> bytes:
    """Return a model that has nothing but a graph that has nothing but this tensor."""
    raw = values.tobytes()
    tensor = b''.join(
        [
            *(_tag(_TENSOR_DIMS, 0) + _variable_length(size) for size in values.shape),
            _tag(_TENSOR_TYPE, 0) + _variable_length(_FLOAT),
            _bytes_field(_TENSOR_NAME, name.encode()),
            _bytes_field(_TENSOR_RAW_DATA, raw),
        ]
    )
    return _bytes_field(_MODEL_GRAPH, _bytes_field(_GRAPH_INITIALIZER, tensor))


def _tag(field: int, wire_type: int) -> bytes:
    return _variable_length(field << 3 | wire_type)


def _bytes_field(field: int, content: bytes) -> bytes:
    return _tag(field, 2) + _variable_length(len(content)) + content


def _variable_length(number: int) -> bytes:
    """Return a number as protocol buffers write it, seven bits a byte, the lowest first."""
    digits = bytearray()
    while number > 0x7F:
        digits.append(number & 0x7F | 0x80)
        number >>= 7
    digits.append(number)
    return bytes(digits)
