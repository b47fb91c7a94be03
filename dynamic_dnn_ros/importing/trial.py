# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
Run a model, in a process of its own with a limit of time and memory.

A model is a program: it may loop for hours, ask for all memory, or crash the runtime. Here that
costs this process only. `python -m dynamic_dnn_ros.importing.trial MODEL PICTURES ANSWERS` runs
pictures, an array of numpy, and writes what each output was.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
import resource
import signal
import subprocess
import sys
import tempfile
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import ModelProto
import psutil

from dynamic_dnn_ros.importing.errors import ImportingError
from dynamic_dnn_ros.importing.preparation import PICTURES
from dynamic_dnn_ros.parent_death import end_with_parent
from dynamic_dnn_ros.pictures.placement import Size
from dynamic_dnn_ros.tasks.contract import Outputs, TensorSpec

#: Seconds that loading and the runs may take.
TIME_LIMIT = 60.0

#: Pixels by which backbones of detectors usually divide their pictures.
_STRIDE = 32

_RUNTIME_REMEDY = (
    'Check that the model runs in ONNX Runtime by itself, or export it again with opset 17'
)


@dataclass(frozen=True)
class Trial:
    """What a model answered to each picture."""

    answers: tuple[Outputs, ...]

    @property
    def outputs(self) -> tuple[TensorSpec, ...]:
        """Return what the outputs are; an axis that was not always as long is open."""
        return tuple(
            TensorSpec(
                name, _common_shape([each[name] for each in self.answers]), str(value.dtype)
            )
            for name, value in self.answers[0].items()
        )

    @property
    def not_finite(self) -> tuple[str, ...]:
        """Return the names of outputs that held a value which is no finite number."""
        return tuple(
            name
            for name in self.answers[0]
            if not all(np.all(np.isfinite(each[name])) for each in self.answers)
        )


def run_model(
    model: ModelProto,
    pictures: NDArray[np.uint8],
    where: object,
    time_limit: float = TIME_LIMIT,
) -> Trial:
    """
    Run a model with its preparation in front, with ONNX Runtime, one picture after the other.

    :param pictures: shape (pictures, height, width, 3)
    :raises ImportingError: when it does not run, or not within the time and the memory there is
    """
    size = Size(*pictures.shape[1:3])
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        model_file, pictures_file, answers_file = (
            folder / each for each in ('model.onnx', 'pictures.npy', 'answers.npz')
        )
        model_file.write_bytes(model.SerializeToString())
        np.save(pictures_file, pictures)
        command = [sys.executable, '-m', __name__]
        command += [str(each) for each in (model_file, pictures_file, answers_file)]
        try:
            done = subprocess.run(
                command, capture_output=True, text=True, timeout=time_limit, check=False
            )
        except subprocess.TimeoutExpired as error:
            raise ImportingError(
                where,
                f'does not answer within {time_limit:g} s at {size}',
                'It may loop without end. Give more time with --time-limit if it is only slow',
            ) from error
        if done.returncode != 0:
            raise ImportingError(where, _failure(done, size), _remedy(size))
        with np.load(answers_file) as archive:
            stored = dict(archive)
    answers: list[dict[str, NDArray[Any]]] = [{} for _ in pictures]
    for key, value in stored.items():
        index, _, output = key.partition(':')
        answers[int(index)][output] = value
    return Trial(tuple(answers))


def shapes_in(
    model: ModelProto, values: Sequence[str], picture: NDArray[np.uint8], where: object
) -> Mapping[str, tuple[int, ...]]:
    """Return the shapes of values inside of a model, of those that can be asked for."""
    asked = ModelProto()
    asked.CopyFrom(model)
    made = {name for node in asked.graph.node for name in node.output}
    known = {output.name for output in asked.graph.output}
    for name in dict.fromkeys(values):
        if name in made and name not in known:
            asked.graph.output.add().name = name
    try:
        answer = run_model(asked, picture[None], where).answers[0]
    except ImportingError:
        return {}
    return {name: tuple(value.shape) for name, value in answer.items()}


def _common_shape(values: Sequence[NDArray[Any]]) -> tuple[int | None, ...]:
    shapes = [value.shape for value in values]
    if len({len(shape) for shape in shapes}) != 1:
        return ()
    return tuple(sizes[0] if len(set(sizes)) == 1 else None for sizes in zip(*shapes))


def _remedy(size: Size) -> str:
    """Return what to do about a model that does not run at a size."""
    odd = next((side for side in (size.width, size.height) if side % _STRIDE), None)
    if odd is None:
        return _RUNTIME_REMEDY
    lower = max(odd // _STRIDE, 1) * _STRIDE
    return (
        f'Many models take only multiples of {_STRIDE}: give {lower} or {lower + _STRIDE} in '
        f'place of {odd} to --resolutions, where it takes any size. {_RUNTIME_REMEDY}'
    )


def _failure(done: subprocess.CompletedProcess[str], size: Size) -> str:
    if done.returncode == -signal.SIGKILL:
        return f'needs more memory than there is at {size}'
    if done.returncode < 0:
        return f'crashes ONNX Runtime at {size} ({signal.Signals(-done.returncode).name})'
    lines = [line.strip() for line in done.stderr.splitlines() if line.strip()]
    reason = lines[-1] if lines else f'exit code {done.returncode}'
    return f'cannot be run by ONNX Runtime at {size} ({reason})'


def main(arguments: Sequence[str]) -> int:
    """Run a model; returns the exit code."""
    import onnxruntime

    limit = psutil.virtual_memory().total
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    # Who asked may be killed meanwhile: a model that loops does not outlive it.
    end_with_parent()
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 4
    pictures = np.load(arguments[1])
    answers = {}
    try:
        session = onnxruntime.InferenceSession(
            arguments[0], options, providers=['CPUExecutionProvider']
        )
        names = [output.name for output in session.get_outputs()]
        for index, picture in enumerate(pictures):
            for name, value in zip(names, session.run(None, {PICTURES: picture[None]})):
                if not isinstance(value, np.ndarray) or value.dtype.kind not in 'fiub':
                    raise ValueError(f'its output {name!r} holds no numbers')
                answers[f'{index}:{name}'] = value
    except Exception as error:
        # Its exceptions have no base class of their own.
        print(' '.join(str(error).split()) or type(error).__name__, file=sys.stderr)
        return 1
    # numpy takes names of arrays as names of files: some of ONNX hold a slash, which zip allows.
    np.savez(arguments[2], **answers)  # type: ignore[arg-type]
    return 0


if __name__ == '__main__':
    sys.exit(main(sys.argv[1:]))
