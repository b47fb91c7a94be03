# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
Convolutions whose filters are chosen while they run, as OpenVINO's CPU plug-in can run them.

It refuses a convolution with a number of filters that is not known beforehand, and multiplies such
matrices. So what a filter sees in each place becomes a column, and the filters a matrix.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import openvino

try:
    from openvino import opset8 as operators
except ImportError:  # before 2024.6
    from openvino.runtime import opset8 as operators


def with_chosen_filters(model: openvino.Model) -> openvino.Model:
    """
    Put matrix products in place of convolutions whose filters are not known beforehand.

    Of those alone that move by one place and keep the size of the features, as blocks do that run
    for some channels. Others stay as they are, and OpenVINO says what it cannot run.
    """
    for node in model.get_ordered_ops():
        if node.get_type_name() == 'Convolution' and node.input_value(1).partial_shape.is_dynamic:
            product = _product(node)
            if product is not None:
                # Outputs of stages are found by their names.
                product.output(0).set_names(node.output(0).get_names())
                node.output(0).replace(product.output(0))
    return model


def _product(node: Any) -> Any:
    """Return what gives the same as a convolution; None: it moves in another way."""
    features, filters = node.input_value(0), node.input_value(1)
    *_, height, width = filters.partial_shape
    if height.is_dynamic or width.is_dynamic:
        return None
    kernel = [height.get_length(), width.get_length()]
    attributes = node.get_attributes()
    ones = [1, 1]
    around = [side // 2 for side in kernel]
    moves = list(attributes['strides']) == ones and list(attributes['dilations']) == ones
    keeps = all(list(attributes[side]) == around for side in ('pads_begin', 'pads_end'))
    if not moves or not keeps or any(side % 2 == 0 for side in kernel):
        return None
    seen = features
    if kernel != ones:
        seen = operators.extract_image_patches(features, kernel, ones, ones, 'same_upper')
    # Places of a filter come before its channels, as they do in what it sees.
    rows = operators.transpose(filters, np.array([0, 2, 3, 1]))
    matrix = operators.reshape(rows, np.array([0, -1]), special_zero=True)
    columns = operators.reshape(seen, np.array([0, 0, -1]), special_zero=True)
    product = operators.matmul(matrix, columns, False, False)
    # Height and width are those of the features; the number of filters is found.
    shape = operators.shape_of(features)
    ends = [operators.gather(shape, np.array(part), np.array(0)) for part in ([0], [2, 3])]
    target = operators.concat([ends[0], np.array([-1]), ends[1]], 0)
    return operators.reshape(product, target, special_zero=False)
