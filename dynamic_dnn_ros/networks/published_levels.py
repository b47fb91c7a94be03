# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The sub-networks that were published with Dynamic-OFA, from their file."""

from __future__ import annotations

from functools import lru_cache
import json
from pathlib import Path

from dynamic_dnn_ros.bundles.manifest import SubNetwork
from dynamic_dnn_ros.networks.ofa_mobilenet_v3 import OfaMobileNetV3

LEVELS_LAYOUT = 'ofa_mbv3_d234_e346_k357_w1.2'
"""Of the sub-networks that were published."""


@lru_cache(maxsize=4)
def published_levels(path: str) -> tuple[SubNetwork, ...]:
    """
    Return the sub-networks of a file of levels as published with Dynamic-OFA.

    Multiply-adds, layers and parameters are computed by this package's own family from their
    configurations; accuracies are ImageNet top-1 as published. Of levels that are in both sets
    under one configuration the first is kept.

    :raises ValueError: when the file is none of that kind
    """
    try:
        levels = json.loads(Path(path).read_text(encoding='utf-8'))['levels']
        network = OfaMobileNetV3.from_layout(LEVELS_LAYOUT)
        rows = {}
        for level in levels:
            fields = ('kernel_size', 'expand_ratio', 'depth', 'resolution')
            configuration = network.configuration({key: level[key] for key in fields})
            key = json.dumps([level[field] for field in fields])
            if key in rows:
                continue
            rows[key] = SubNetwork(
                id=f'{level["set"].removeprefix("nets_")}.{level["level"]}',
                configuration={},
                size=configuration.size,
                accuracy=float(level['imagenet_top1']),
                multiply_adds=network.multiply_adds(configuration),
                parameters=network.parameter_count(configuration),
                layers=network.layer_count(configuration),
            )
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise ValueError(
            f'holds no levels of Dynamic-OFA ({type(error).__name__}: {error})'
        ) from error
    return tuple(sorted(rows.values(), key=lambda row: row.accuracy))
