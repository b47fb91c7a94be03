# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
The sub-networks of a bundle as ONNX files, for engines that are not PyTorch.

One file a sub-network, with batch-norm folded into the convolutions. Input `image`: float32,
1 x 3 x height x width, red, green, blue, normalised as the bundle says,
(colour / 255 - mean) / standard_deviation. Output `logits`: float32, 1 x classes. Floating point
in the order of planes is what every runtime and every quantiser takes; the JSON beside the files
has what is needed to make it from a picture.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
import inspect
import json
from pathlib import Path
import tempfile
from typing import Any
import warnings

import numpy as np
from numpy.typing import NDArray
import torch
from torch import nn

from dynamic_dnn_ros.bundles.errors import BundleError
from dynamic_dnn_ros.bundles.manifest import Manifest, SubNetwork
from dynamic_dnn_ros.bundles.reader import Bundle
from dynamic_dnn_ros.bundles.responses import PROBES, probe_picture
from dynamic_dnn_ros.networks.contract import ConfigurationError, DynamicNetwork, StateError
from dynamic_dnn_ros.networks.registry import network_of, network_output
from dynamic_dnn_ros.pictures.placement import Size
from dynamic_dnn_ros.storage import write_whole

INPUT_NAME = 'image'
OUTPUT_NAME = 'logits'
DESCRIPTION_NAME = 'description.json'

#: Has all that the families need as single operators, and runtimes since 2023 read it.
OPERATOR_SET = 17

#: By how much outputs may differ, as a share of the largest output or of 1.
TOLERANCE = 1e-4

Batch = NDArray[np.float32]


class ExportError(RuntimeError):
    """A sub-network cannot be exported. The text says what to do."""


@dataclass(frozen=True)
class ExportedFile:
    """
    A file that was written and checked.

    `size` in bytes; `difference` the largest of its outputs from those of PyTorch, found by
    `evaluator`.
    """

    sub_network: SubNetwork
    path: Path
    size: int
    difference: float
    evaluator: str


def export_bundle(
    bundle: Bundle, folder: Path, identifiers: Sequence[str] = ()
) -> Iterator[ExportedFile]:
    """
    Write sub-networks as `<id>.onnx` and then a JSON file that describes them.

    :param identifiers: of the sub-networks; none stands for all
    :return: each file, as soon as it is there and its outputs are those of the sub-network
    :raises BundleError: for an unknown identifier, or when the bundle does not fit
    :raises ExportError: when a file cannot be written, or computes something else
    :raises ModuleNotFoundError: when `onnx` is not installed
    """
    import onnx  # a missing package is told before any work

    manifest = bundle.manifest
    chosen = exported(manifest, identifiers)
    written = []
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for entry, module in modules(bundle, chosen):
            batches = _probe_batches(entry.size, manifest)
            content = onnx_content(module, entry.size, network_output(manifest))
            onnx.checker.check_model(content, full_check=True)
            outputs = f'sub-network {entry.id!r}: the outputs of the ONNX file'
            difference, evaluator = checked_difference(content, module, batches, outputs)
            path = folder / f'{entry.id}.onnx'
            write_whole(path, content)
            written.append(ExportedFile(entry, path, len(content), difference, evaluator))
            yield written[-1]
        description = json.dumps(_description(bundle, written), indent=1) + '\n'
        write_whole(folder / DESCRIPTION_NAME, description.encode())
    except OSError as error:
        raise ExportError(
            f'{folder}: {error.filename or "a file"} cannot be written ({error.strerror}). '
            'Free space, mend the rights, or name another folder.'
        ) from error


def exported(manifest: Manifest, identifiers: Sequence[str]) -> Sequence[SubNetwork]:
    """
    Return the sub-networks to export.

    :param identifiers: of them; none stands for all that are no cascades
    :raises BundleError: for an unknown one, or a cascade
    """
    chosen = [manifest.sub_network(name) for name in identifiers]
    for entry in chosen:
        if entry.is_cascade:
            stages = ', '.join(stage.sub_network for stage in entry.stages)
            raise BundleError(
                f'sub-network {entry.id!r}',
                'is a cascade, which has no network of its own',
                f'Export the sub-networks that are its stages: {stages}',
            )
    return chosen or manifest.own_sub_networks


def onnx_content(module: nn.Module, size: Size, output_name: str = OUTPUT_NAME) -> bytes:
    """Return a static network as the content of an ONNX file, batch-norm folded."""
    return traced_model(module, torch.zeros(1, 3, *size), INPUT_NAME, output_name=output_name)


def traced_model(
    module: nn.Module,
    example: torch.Tensor | tuple[torch.Tensor, ...],
    input_name: str | Sequence[str],
    fold: bool = True,
    output_name: str | Sequence[str] = OUTPUT_NAME,
) -> bytes:
    """
    Return a static network, traced on an example, as the content of an ONNX file.

    One of several inputs, or outputs, has a name for each of them.

    By the exporter that traces: these networks have no control flow, it folds batch-norm, needs
    no package besides PyTorch and takes seconds where the one by torch.export takes most of a
    minute (PyTorch 2.13).

    :param fold: batch-norm and whatever else is constant; without, tensors keep values and names
    """
    # Older releases have no such argument and no other exporter.
    known = inspect.signature(torch.onnx.export).parameters
    options: dict[str, Any] = {'dynamo': False} if 'dynamo' in known else {}
    if not fold:
        # The exporter folds batch-norm where it knows that nothing will be trained.
        options['training'] = torch.onnx.TrainingMode.PRESERVE
        options['do_constant_folding'] = False
    with warnings.catch_warnings(), tempfile.TemporaryDirectory() as folder:
        warnings.simplefilter('ignore', DeprecationWarning)
        # Of padding, whose sizes are folded by whoever runs the graph.
        warnings.filterwarnings('ignore', 'Constant folding', UserWarning)
        file = Path(folder) / 'network.onnx'
        torch.onnx.export(
            module.eval(),
            example if isinstance(example, tuple) else (example,),
            file,
            input_names=[input_name] if isinstance(input_name, str) else list(input_name),
            output_names=[output_name] if isinstance(output_name, str) else list(output_name),
            opset_version=OPERATOR_SET,
            **options,
        )
        return file.read_bytes()


def evaluator_of(
    content: bytes, input_name: str = INPUT_NAME
) -> tuple[Callable[[NDArray[Any]], Batch], str]:
    """
    Return a function that runs an ONNX file, and the name of what runs it.

    That is ONNX Runtime where it is installed, the reference implementation of ONNX elsewhere.
    """
    try:
        import onnxruntime
    except ModuleNotFoundError:
        return reference_evaluator(content, input_name)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(content, options, providers=['CPUExecutionProvider'])
    name = f'ONNX Runtime {onnxruntime.__version__}'
    return lambda batch: session.run(None, {input_name: batch})[0], name


def reference_evaluator(
    content: bytes, input_name: str = INPUT_NAME
) -> tuple[Callable[[NDArray[Any]], Batch], str]:
    """Return a function that runs an ONNX file with the reference implementation, and its name."""
    import onnx
    from onnx.reference import ReferenceEvaluator

    evaluator: Any = ReferenceEvaluator(onnx.load_from_string(content))
    name = f'the reference implementation of ONNX {onnx.__version__}'
    return lambda batch: evaluator.run(None, {input_name: batch})[0], name


def checked_difference(
    content: bytes,
    module: nn.Module,
    inputs: Sequence[NDArray[Any]],
    what: str,
    input_name: str = INPUT_NAME,
) -> tuple[float, str]:
    """
    Return by how much an ONNX file's outputs differ from a module's, and what ran the file.

    :param what: whose outputs these are, for the error
    :raises ExportError: when that is more than `TOLERANCE`
    """
    evaluate, name = evaluator_of(content, input_name)
    with torch.inference_mode():
        expected = np.stack([module(torch.from_numpy(each)).numpy() for each in inputs])
    found = np.stack([evaluate(each) for each in inputs])
    return compared(found, expected, what, name), name


def runner_of(content: bytes) -> tuple[Callable[[dict[str, Any]], list[NDArray[Any]]], str]:
    """Return a function that returns all outputs of an ONNX file, and what runs it."""
    try:
        import onnxruntime
    except ModuleNotFoundError:
        import onnx
        from onnx.reference import ReferenceEvaluator

        evaluator: Any = ReferenceEvaluator(onnx.load_from_string(content))
        name = f'the reference implementation of ONNX {onnx.__version__}'
        return lambda inputs: evaluator.run(None, inputs), name
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(content, options, providers=['CPUExecutionProvider'])
    return lambda inputs: session.run(None, inputs), f'ONNX Runtime {onnxruntime.__version__}'


def compared(found: NDArray[Any], expected: NDArray[Any], what: str, evaluator: str) -> float:
    """
    Return by how much outputs differ from those of PyTorch at most.

    :param what: whose outputs these are, for the error
    :param evaluator: what computed those that were found
    :raises ExportError: when that is more than `TOLERANCE`
    """
    import onnx

    difference = float(np.abs(found - expected).max())
    if not difference <= TOLERANCE * max(1.0, float(np.abs(expected).max())):
        raise ExportError(
            f'{what} differ by {difference:.1e} from those of PyTorch ({evaluator}), so it is not '
            f'written. Report this with the versions of torch ({torch.__version__}) and onnx '
            f'({onnx.__version__}).'
        )
    return difference


def modules(
    bundle: Bundle, chosen: Sequence[SubNetwork]
) -> Iterator[tuple[SubNetwork, nn.Module]]:
    """
    Extract sub-networks with their batch-norm statistics, in eval mode.

    :raises BundleError: when the bundle does not fit
    """
    for entry, network, configuration in activated(bundle, chosen):
        yield entry, network.extract(configuration).eval()


def activated(
    bundle: Bundle, chosen: Sequence[SubNetwork]
) -> Iterator[tuple[SubNetwork, DynamicNetwork[Any], Any]]:
    """
    Yield the network with each sub-network active, and its configuration.

    :raises BundleError: when the bundle does not fit
    """
    weights = bundle.weights()
    try:
        network = network_of(bundle.manifest)
        network.load_state(weights.network)
        for entry in chosen:
            configuration = network.configuration(entry.configuration)
            network.activate(configuration)
            network.load_batch_norm_statistics(weights.batch_norm_statistics[entry.id])
            yield entry, network, configuration
    except (ConfigurationError, StateError) as error:
        raise BundleError(
            bundle.folder, str(error), "See 'dynamic-dnn bundle check' for all that is wrong"
        ) from error


def _probe_batches(size: Size, manifest: Manifest) -> list[Batch]:
    mean = np.array(manifest.preprocessing.mean)
    deviation = np.array(manifest.preprocessing.standard_deviation)
    return [
        np.ascontiguousarray(
            ((probe_picture(index, size) / 255 - mean) / deviation).transpose(2, 0, 1)[None],
            np.float32,
        )
        for index in range(PROBES)
    ]


def _output(bundle: Bundle) -> dict[str, Any]:
    manifest = bundle.manifest
    if manifest.task.name == 'classification':
        shape: list[Any] = [1, len(manifest.labels)]
        return {'name': OUTPUT_NAME, 'type': 'float32', 'shape': shape}
    name = network_output(manifest)
    return {'name': name, 'type': 'float32', 'task': manifest.to_mapping()['task']}


def _description(bundle: Bundle, written: Sequence[ExportedFile]) -> dict[str, Any]:
    mapping = bundle.manifest.to_mapping()
    return {
        'bundle': bundle.manifest.name,
        'bundle_sha256': bundle.sha256,
        'labels': mapping['labels'],
        'preprocessing': mapping['preprocessing'],
        'input': {
            'name': INPUT_NAME,
            'type': 'float32',
            'shape': [1, 3, 'height', 'width'],
            'channels': ['red', 'green', 'blue'],
            'value': '(colour / 255 - mean) / standard_deviation',
        },
        'output': _output(bundle),
        'operator_set': OPERATOR_SET,
        'sub_networks': [
            {
                'id': file.sub_network.id,
                'file': file.path.name,
                'height': file.sub_network.size.height,
                'width': file.sub_network.size.width,
                'accuracy': file.sub_network.accuracy,
                'multiply_adds': file.sub_network.multiply_adds,
                'largest_difference': file.difference,
                'checked_with': file.evaluator,
            }
            for file in written
        ],
    }
