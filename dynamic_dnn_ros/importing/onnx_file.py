# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Read a user's ONNX file, and refuse what no engine here could run."""

from __future__ import annotations

from pathlib import Path
import stat

from google.protobuf.message import DecodeError
import onnx
from onnx import ModelProto, TensorProto, external_data_helper

from dynamic_dnn_ros.importing.errors import ImportingError
from dynamic_dnn_ros.importing.graph_walk import nodes_of, tensors_of

#: What protobuf reads at most, less what is added in front; bytes.
LARGEST = 2**31 - 2**20

#: The oldest operator set that ONNX Runtime reads.
OLDEST_OPSET = 7

#: Domains of operators that ONNX Runtime has built in.
_KNOWN_DOMAINS = frozenset({'', 'ai.onnx', 'ai.onnx.ml', 'com.microsoft'})

_EXPORT_REMEDY = 'Export it again, with opset 17 for example, and plain ONNX operators'

#: How files begin that are often taken for ONNX, and what to do with them.
_OTHER_FILES = (
    (
        b'PK\x03\x04',
        'a PyTorch checkpoint or another zip archive',
        "Export it to ONNX first; a model of torchvision or timm with 'dynamic-dnn import-model'",
    ),
    (
        b'version https://git-lfs',
        'a Git LFS pointer in place of the file',
        "Fetch the file with 'git lfs pull'",
    ),
    (b'<', 'a web page or XML', 'Download the file itself; of OpenVINO models, take the ONNX'),
)
_TFLITE = b'TFL3'


def read_model(path: Path) -> ModelProto:
    """
    Read an ONNX file whole, its external data included.

    :raises ImportingError: for what is no ONNX, is too large, refers to data outside of its
        folder, or needs an operator set or operators that the engines lack
    """
    model = _parsed(path, _content(path))
    _take_external_data(model, path)
    _check_operators(model, path)
    return model


def _content(path: Path) -> bytes:
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):
            raise ImportingError(path, 'is no file', 'Name an ONNX file')
        if status.st_size > LARGEST:
            raise ImportingError(
                path,
                f'has {status.st_size / 1e9:.1f} GB; up to {LARGEST / 1e9:.1f} GB are read',
                'Take a smaller model, or store its weights as float16',
            )
        return path.read_bytes()
    except OSError as error:
        raise ImportingError(
            path, f'cannot be read ({error.strerror or error})', 'Name an ONNX file'
        ) from error


def _parsed(path: Path, content: bytes) -> ModelProto:
    if not content:
        raise ImportingError(path, 'is empty', 'Export or download it again')
    for beginning, what, remedy in _OTHER_FILES:
        if content.startswith(beginning):
            raise ImportingError(path, f'is {what}, not ONNX', remedy)
    if content[4:8] == _TFLITE:
        raise ImportingError(
            path, 'is a TensorFlow Lite file, not ONNX', "Convert it with 'tf2onnx' first"
        )
    model = ModelProto()
    try:
        model.ParseFromString(content)
    except DecodeError as error:
        raise ImportingError(
            path, 'is not ONNX, or is cut off', 'Export or download it again'
        ) from error
    if not model.graph.node or not model.graph.output or not model.opset_import:
        # Protobuf finds some message in many files.
        raise ImportingError(
            path, 'has no ONNX graph with nodes and outputs', 'Export or download it again'
        )
    return model


def _take_external_data(model: ModelProto, path: Path) -> None:
    """Read tensors that lie in files beside the model into it."""
    outside = [t for t in tensors_of(model) if t.data_location == TensorProto.EXTERNAL]
    if not outside:
        return
    folder = path.resolve().parent
    total = model.ByteSize()
    for tensor in outside:
        info = external_data_helper.ExternalDataInfo(tensor)
        file = _external_file(info.location, folder, path, tensor.name)
        size = file.stat().st_size
        length = size - (info.offset or 0) if info.length is None else info.length
        if length < 0 or (info.offset or 0) + length > size:
            raise ImportingError(
                path,
                f'its tensor {tensor.name!r} lies beyond the end of {info.location!r} '
                f'({size} bytes)',
                'The file of data is cut off or of another model: copy it again',
            )
        total += length
    if total > LARGEST:
        raise ImportingError(
            path,
            f'has {total / 1e9:.1f} GB with its external data; up to {LARGEST / 1e9:.1f} GB fit '
            'one file',
            'Take a smaller model, or store its weights as float16',
        )
    for tensor in outside:
        external_data_helper.load_external_data_for_tensor(tensor, str(folder))
        tensor.data_location = TensorProto.DEFAULT
        del tensor.external_data[:]


def _external_file(location: str, folder: Path, path: Path, tensor: str) -> Path:
    file = (folder / location).resolve()
    if not location or Path(location).is_absolute() or not file.is_relative_to(folder):
        raise ImportingError(
            path,
            f'its tensor {tensor!r} refers to data outside of its folder ({location!r}), which '
            'is not read',
            'Move the data beside the model and save the model anew, or export it as one file',
        )
    if not file.is_file():
        raise ImportingError(
            path,
            f'its weights lie in the file {location!r}, which is not beside it',
            'Copy that file too, or export the model as one file',
        )
    return file


def _check_operators(model: ModelProto, path: Path) -> None:
    opsets = {entry.domain or 'ai.onnx': entry.version for entry in model.opset_import}
    opset = opsets.get('ai.onnx')
    newest = onnx.defs.onnx_opset_version()
    if opset is not None and not OLDEST_OPSET <= opset <= newest:
        raise ImportingError(
            path,
            f'is of operator set {opset}; {OLDEST_OPSET} to {newest} are read here',
            'Export it again with opset 17, or install a newer onnx and onnxruntime',
        )
    own = {(function.domain, function.name) for function in model.functions}
    unknown = []
    for node in nodes_of(model):
        if (node.domain, node.op_type) in own:
            continue
        if node.domain not in _KNOWN_DOMAINS:
            unknown.append(f'{node.op_type} of {node.domain!r}')
        elif node.domain in ('', 'ai.onnx') and not onnx.defs.has(node.op_type):
            unknown.append(f'{node.op_type}, which is none of ONNX')
    if unknown:
        named = ', '.join(dict.fromkeys(unknown))
        raise ImportingError(
            path,
            f'needs operators that ONNX Runtime and OpenVINO do not have: {named}',
            f'{_EXPORT_REMEDY}. A plugin for NMS: export without NMS, it is done here',
        )
