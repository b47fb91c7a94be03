# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Find which input of a graph takes the picture, in which form, and what the others get."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

import numpy as np
from onnx import ModelProto, TensorProto, helper

from dynamic_dnn_ros.importing.errors import ImportingError
from dynamic_dnn_ros.importing.graph_walk import shape_of, true_inputs

_TYPES = {
    TensorProto.FLOAT: 'float32',
    TensorProto.FLOAT16: 'float16',
    TensorProto.DOUBLE: 'float64',
    TensorProto.UINT8: 'uint8',
}


class Layout(Enum):
    """The order of the axes of a picture."""

    PLANES = 'NCHW'
    PIXELS = 'NHWC'


class SizeInput(Enum):
    """What a second input tells the network about the picture's size."""

    WIDTH_HEIGHT = 'width and height of the input'
    HEIGHT_WIDTH = 'height and width of the input'
    ONE = 'a scale of 1'


#: Inputs of exports whose meaning is known. DETR types: `orig_target_sizes` (width, height) is
#: what boxes are scaled to; those of PaddleDetection: `im_shape` (height, width), `scale_factor`.
SIZE_INPUTS = {
    'orig_target_sizes': SizeInput.WIDTH_HEIGHT,
    'im_shape': SizeInput.HEIGHT_WIDTH,
    'image_shape': SizeInput.HEIGHT_WIDTH,
    'scale_factor': SizeInput.ONE,
}


@dataclass(frozen=True)
class PictureInput:
    """
    The input that takes the picture.

    `height` and `width` in pixels, None where they are free. `others` says what each further
    input gets.
    """

    name: str
    layout: Layout
    dtype: np.dtype[np.generic]
    height: int | None
    width: int | None
    others: dict[str, SizeInput]

    @property
    def free(self) -> bool:
        """Return whether the network takes pictures of several sizes."""
        return self.height is None or self.width is None


def find_picture_input(model: ModelProto, where: object) -> PictureInput:
    """
    Return which input takes the picture.

    :raises ImportingError: when none or several could, or it takes what is no colour picture
    """
    inputs = true_inputs(model.graph)
    described = ', '.join(_described(value) for value in inputs) or 'none'
    pictures = [value for value in inputs if _may_be_picture(value)]
    if len(pictures) != 1:
        problem = 'no input that takes' if not pictures else 'several inputs that could take'
        raise ImportingError(
            where,
            f'has {problem} a colour picture (4 axes, 3 channels). Its inputs are {described}',
            'Export the network alone, with one picture as its input',
        )
    picture = pictures[0]
    others = {}
    for value in inputs:
        if value.name == picture.name:
            continue
        if value.name not in SIZE_INPUTS:
            raise ImportingError(
                where,
                f'has a second input {_described(value)}, and what it needs is not known; known '
                f'are {", ".join(SIZE_INPUTS)}',
                'Export the model without it, or with a constant in its place',
            )
        others[value.name] = SIZE_INPUTS[value.name]
    return _picture_input(picture, others, where)


def _picture_input(value: object, others: dict[str, SizeInput], where: object) -> PictureInput:
    elem_type = value.type.tensor_type.elem_type  # type: ignore[attr-defined]
    if elem_type not in _TYPES:
        raise ImportingError(
            where,
            f'its input {_described(value)} has numbers of a kind that is not made here; known '
            f'are {", ".join(_TYPES.values())}',
            'Export it with float32 inputs',
        )
    shape = shape_of(value) or (None, 3, None, None)
    layout = Layout.PLANES if shape[1] == 3 or shape[3] != 3 else Layout.PIXELS
    batch = shape[0]
    if isinstance(batch, int) and batch != 1:
        raise ImportingError(
            where,
            f'takes {batch} pictures at once ({_described(value)}); here it gets one',
            'Export it with a batch of 1, or with a free one',
        )
    height, width = shape[2:4] if layout is Layout.PLANES else shape[1:3]
    return PictureInput(
        value.name,  # type: ignore[attr-defined]
        layout,
        np.dtype(_TYPES[elem_type]),
        height if isinstance(height, int) else None,
        width if isinstance(width, int) else None,
        others,
    )


def _may_be_picture(value: object) -> bool:
    kind = value.type.tensor_type  # type: ignore[attr-defined]
    if not kind.elem_type:
        return False
    shape = shape_of(value)
    if shape is None:
        return value.name not in SIZE_INPUTS  # type: ignore[attr-defined]
    return len(shape) == 4 and (
        shape[1] == 3 or shape[3] == 3 or not (isinstance(shape[1], int) or shape[3] == 1)
    )


def _described(value: object) -> str:
    kind = value.type.tensor_type  # type: ignore[attr-defined]
    shape = shape_of(value)
    sizes = 'any shape' if shape is None else 'x'.join('?' if n is None else str(n) for n in shape)
    name = helper.tensor_dtype_to_np_dtype(kind.elem_type).name if kind.elem_type else 'no tensor'
    return f'{value.name!r} ({name} {sizes})'  # type: ignore[attr-defined]
