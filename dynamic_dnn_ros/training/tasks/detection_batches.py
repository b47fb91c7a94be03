# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Pictures with boxes, and batches of them on the device that computes."""

from __future__ import annotations

from collections.abc import Iterator
import dataclasses
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import nn
from torch.utils.data import DataLoader, Dataset

from dynamic_dnn_ros.datasets import splits
from dynamic_dnn_ros.datasets.contract import DataError, LabelledBoxes
from dynamic_dnn_ros.datasets.labelled_set import LabelledSet
from dynamic_dnn_ros.pictures.input import Preprocessing
from dynamic_dnn_ros.pictures.placement import Placement, Size
from dynamic_dnn_ros.pictures.scaling import RawPicture, fitted
from dynamic_dnn_ros.training.batches import Normalisation
from dynamic_dnn_ros.training.tasks.box_augmentation import (
    GREY,
    BoxAugmentation,
    BoxBatch,
    altered,
)
from dynamic_dnn_ros.training.tasks.detection_losses import DetectionLesson
from dynamic_dnn_ros.training.tasks.points import Points

OUTPUT_NAME = 'output'

#: Canvases of pictures that need more than this together are made whenever they are asked for.
_MEMORY = 2 * 2**30
#: Pictures a forward pass, where nothing is trained.
_TESTED_AT_ONCE = 16


@dataclasses.dataclass(frozen=True)
class BoxPictures:
    """
    Pictures with boxes, decoded when they are asked for.

    :param source: labelled pictures.
    :param preprocessing: how they are fitted where they are not trained on.
    :param workers: processes that decode them.
    """

    source: LabelledSet[LabelledBoxes]
    preprocessing: Preprocessing
    workers: int = 0

    @property
    def classes(self) -> tuple[str, ...]:
        """Return the names of the classes."""
        return tuple(self.source.labels)

    def __len__(self) -> int:
        return len(self.source)

    def take(self, indices: npt.NDArray[np.int64]) -> BoxPictures:
        """Return some of the pictures."""
        return dataclasses.replace(self, source=self.source.take(indices.tolist()))

    def first(self, count: int) -> BoxPictures:
        """Return that many pictures, or all where there are fewer."""
        return self.take(np.arange(min(count, len(self))))

    def split(self, held_out: int, seed: int) -> tuple[BoxPictures, BoxPictures]:
        """Return all but the held-out pictures, and the held-out ones; see the contract."""
        rest, held = splits.held_out(len(self), held_out, seed)
        return self.take(rest), self.take(held)

    def every(self, step: int) -> tuple[BoxPictures, BoxPictures]:
        """Return all but every so manieth picture by name, and these."""
        places = np.arange(len(self))
        chosen = places % step == step - 1
        return self.take(places[~chosen]), self.take(places[chosen])

    def identity(self) -> dict[str, Any]:
        """Return what tells these pictures from others."""
        return {'path': str(self.source.files.path), 'names': self.source.names}

    def inputs(
        self, size: Size, normalisation: Normalisation, device: torch.device
    ) -> Iterator[torch.Tensor]:
        """Yield batches in order, fitted as a bundle has camera frames fitted."""
        for images, _ in self._loader(size):
            yield normalisation(images.to(device).permute(0, 3, 1, 2))

    def accuracy(self, module: nn.Module, size: Size, normalisation: Normalisation) -> float:
        """Return AP 50:95, 0..1; see the contract."""
        from dynamic_dnn_ros.training.tasks.detection import TEST_LIMITS, served_task

        task = served_task(OUTPUT_NAME)
        scorer = task.scorer(self.classes)
        device = next(module.parameters()).device
        with torch.inference_mode():
            for images, rest in self._loader(size):
                inputs = normalisation(images.to(device).permute(0, 3, 1, 2))
                outputs = {OUTPUT_NAME: module(inputs).float().cpu().numpy()}
                for index, (truth, picture) in enumerate(rest):
                    placement = Placement.of(picture, size, self.preprocessing)
                    found = task.decode(outputs, index, placement, self.classes, TEST_LIMITS)
                    scorer.add(found, truth)
        return scorer.value()

    def _loader(self, size: Size) -> DataLoader[Any]:
        return DataLoader(
            _Fitted(self.source, size, self.preprocessing),
            batch_size=_TESTED_AT_ONCE,
            num_workers=self.workers,
            collate_fn=_together,
        )


_Shown = tuple[npt.NDArray[np.uint8], LabelledBoxes, Size]


class _Fitted(Dataset[_Shown]):
    """Pictures fitted into a size, with their truth and their own size."""

    def __init__(self, source: Any, size: Size, preprocessing: Preprocessing) -> None:
        self._source = source
        self._size = size
        self._preprocessing = preprocessing

    def __len__(self) -> int:
        return len(self._source)

    def __getitem__(self, index: int) -> _Shown:
        labelled = self._source[index]
        picture = np.ascontiguousarray(labelled.pixels)
        height, width, colours = picture.shape
        raw = RawPicture('rgb8', width, height, width * colours, picture.data)
        shown = fitted(raw, self._size, self._preprocessing)[0]
        return shown, labelled.truth, Size(height, width)


def _together(shown: list[_Shown]) -> tuple[torch.Tensor, list[tuple[LabelledBoxes, Size]]]:
    pictures = torch.from_numpy(np.stack([each[0] for each in shown]))
    return pictures, [each[1:] for each in shown]


class BoxBatches:
    """
    Shuffled, altered batches of pictures with boxes, the same in each call for the same seed.

    :param side: of the canvas that a picture is kept in, pixels; larger ones are scaled to it.
    :param batch_size: of one process; smaller where there are fewer pictures.
    :param rank: which of `count` equal shares of the pictures to yield.
    :raises DataError: if there are fewer pictures than shares, or one cannot be read.
    """

    def __init__(
        self,
        pictures: BoxPictures,
        augmentation: BoxAugmentation,
        normalisation: Normalisation,
        side: int,
        batch_size: int,
        device: torch.device,
        rank: int = 0,
        count: int = 1,
    ) -> None:
        if len(pictures) < count:
            raise DataError(
                f'{len(pictures)} pictures are too few for {count} processes: start fewer, or '
                'lower held_out'
            )
        self._augmentation = augmentation
        self._normalisation = normalisation
        self._classes = len(pictures.classes)
        self._batch_size = max(1, min(batch_size, len(pictures) // count))
        self._device = device
        self._rank = rank
        self._count = count
        self._workers = pictures.workers
        self._canvases: Any = _Canvases(pictures.source, side)
        if 3 * side * side * len(pictures) <= _MEMORY:
            self._canvases = _kept(self._canvases, device, pictures.workers)

    def __len__(self) -> int:
        return len(self._canvases) // self._count // self._batch_size

    def batches(self, seed: int) -> Iterator[DetectionBatch]:
        """Yield the batches of one epoch; an odd rest is dropped."""
        generator = torch.Generator().manual_seed(seed)
        order = torch.randperm(len(self._canvases), generator=generator)
        used = order[: len(self) * self._batch_size * self._count]
        shares = used.view(len(self), self._count, self._batch_size)[:, self._rank]
        for step, content in enumerate(self._loaded(shares)):
            drawn = torch.Generator().manual_seed((seed * 7919 + step) * 31 + self._rank)
            yield DetectionBatch(
                content, self._augmentation, self._normalisation, self._classes, drawn
            )

    def _loaded(self, shares: torch.Tensor) -> Iterator[BoxBatch]:
        if isinstance(self._canvases, _Kept):
            for share in shares:
                yield self._canvases.batch(share)
            return
        loader = DataLoader(
            self._canvases,
            batch_sampler=shares.tolist(),
            num_workers=self._workers,
            collate_fn=_stacked,
            generator=torch.Generator().manual_seed(0),
        )
        for content in loader:
            yield BoxBatch(*(each.to(self._device, non_blocking=True) for each in content))


_Example = tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]


class _Canvases(Dataset[_Example]):
    """Pictures in the corner of canvases, with size, boxes and classes; crowds are left out."""

    def __init__(self, source: Any, side: int) -> None:
        self._source = source
        self._side = side

    def __len__(self) -> int:
        return len(self._source)

    def __getitem__(self, index: int) -> _Example:
        labelled = self._source[index]
        pixels = np.ascontiguousarray(labelled.pixels)
        height, width = pixels.shape[:2]
        boxes = labelled.truth.boxes
        if max(height, width) > self._side:
            ratio = self._side / max(height, width)
            size = Size(max(1, round(height * ratio)), max(1, round(width * ratio)))
            pixels = _stretched(pixels, size)
            factors = (size.width / width, size.height / height) * 2
            boxes = boxes * np.array(factors, np.float32)
        canvas = np.full((self._side, self._side, 3), GREY, np.uint8)
        canvas[: pixels.shape[0], : pixels.shape[1]] = pixels
        kept = ~labelled.truth.crowd
        return (
            torch.from_numpy(canvas).permute(2, 0, 1),
            torch.tensor(pixels.shape[:2], dtype=torch.float32),
            torch.from_numpy(np.asarray(boxes, np.float32)[kept]).view(-1, 4),
            torch.from_numpy(np.asarray(labelled.truth.classes, np.int64)[kept]),
        )


def _stretched(pixels: npt.NDArray[np.uint8], size: Size) -> npt.NDArray[np.uint8]:
    from dynamic_dnn_ros.pictures.input import Resize

    height, width, colours = pixels.shape
    raw = RawPicture('rgb8', width, height, width * colours, pixels.data)
    return fitted(raw, size, Preprocessing(Resize.STRETCH, (0.0,) * 3, (1.0,) * 3))[0]


class _Kept:
    """All canvases in the memory of the device that trains."""

    def __init__(self, content: BoxBatch) -> None:
        self._content = content

    def __len__(self) -> int:
        return len(self._content.canvases)

    def batch(self, indices: torch.Tensor) -> BoxBatch:
        chosen = indices.to(self._content.canvases.device)
        return BoxBatch(*(each[chosen] for each in vars(self._content).values()))


def _kept(canvases: _Canvases, device: torch.device, workers: int) -> _Kept:
    loader = DataLoader(
        canvases, batch_size=64, num_workers=workers, collate_fn=list, shuffle=False
    )
    examples = [example for some in loader for example in some]
    return _Kept(BoxBatch(*(each.to(device) for each in _stacked(examples))))


def _stacked(examples: list[_Example]) -> _Example:
    """Return examples together, boxes filled up to the most of one picture."""
    canvases, sizes, boxes, classes = zip(*examples)
    return (
        torch.stack(canvases),
        torch.stack(sizes),
        nn.utils.rnn.pad_sequence(list(boxes), batch_first=True),
        nn.utils.rnn.pad_sequence(list(classes), batch_first=True, padding_value=-1),
    )


class DetectionBatch:
    """
    Pictures with boxes, altered once for each size that is asked for.

    :param generator: draws how they are altered.
    """

    def __init__(
        self,
        content: BoxBatch,
        augmentation: BoxAugmentation,
        normalisation: Normalisation,
        classes: int,
        generator: torch.Generator,
    ) -> None:
        self._content = content
        self._augmentation = augmentation
        self._normalisation = normalisation
        self._classes = classes
        self._generator = generator
        self._lessons: dict[Size, DetectionLesson] = {}

    def __len__(self) -> int:
        return len(self._content.canvases)

    def at(self, size: Size) -> DetectionLesson:
        """Return the pictures at a size."""
        if size not in self._lessons:
            images, boxes, classes = altered(
                self._content, size, self._augmentation, self._generator
            )
            self._lessons[size] = DetectionLesson(
                self._normalisation(images),
                Points.of(size, images.device),
                boxes,
                classes,
                self._classes,
            )
        return self._lessons[size]
