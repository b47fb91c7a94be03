# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Labels that so many networks have that they need no file."""

from __future__ import annotations

from dynamic_dnn_ros.importing.errors import ImportingError

#: The 80 classes of COCO's detections, in the order of its categories.
COCO = tuple(
    """person|bicycle|car|motorcycle|airplane|bus|train|truck|boat|traffic light|fire hydrant|
stop sign|parking meter|bench|bird|cat|dog|horse|sheep|cow|elephant|bear|zebra|giraffe|backpack|
umbrella|handbag|tie|suitcase|frisbee|skis|snowboard|sports ball|kite|baseball bat|
baseball glove|skateboard|surfboard|tennis racket|bottle|wine glass|cup|fork|knife|spoon|bowl|
banana|apple|sandwich|orange|broccoli|carrot|hot dog|pizza|donut|cake|chair|couch|potted plant|
bed|dining table|toilet|tv|laptop|mouse|remote|keyboard|cell phone|microwave|oven|toaster|sink|
refrigerator|book|clock|vase|scissors|teddy bear|hair drier|toothbrush""".replace('\n', '').split(
        '|'
    )
)

#: The 20 classes of Pascal VOC and the background, as segmentation has them.
VOC = tuple(
    """background|aeroplane|bicycle|bird|boat|bottle|bus|car|cat|chair|cow|diningtable|dog|horse|
motorbike|person|pottedplant|sheep|sofa|train|tvmonitor""".replace('\n', '').split('|')
)

#: Names that a user may give in place of a file.
LABEL_SETS = ('coco', 'voc', 'imagenet')


def known_labels(name: str) -> tuple[str, ...]:
    """
    Return the labels of a set: those of ImageNet are in torchvision.

    :raises ImportingError: when torchvision, which has them, is not installed
    """
    if name == 'coco':
        return COCO
    if name == 'voc':
        return VOC
    try:
        from torchvision.models._meta import _IMAGENET_CATEGORIES
    except ModuleNotFoundError as error:
        raise ImportingError(
            f'labels {name!r}',
            'are in torchvision, which is not installed',
            'Install torchvision, or give a text file with one name a line',
        ) from error
    return tuple(_IMAGENET_CATEGORIES)
