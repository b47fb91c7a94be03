# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The ONNX models that engines other than PyTorch run, wherever a bundle has them from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from dynamic_dnn_ros.bundles.graphs import CARRIED, INPUT_NAME
from dynamic_dnn_ros.bundles.manifest import SeparateModels, SubNetwork
from dynamic_dnn_ros.bundles.reader import Bundle
from dynamic_dnn_ros.bundles.stages import routes
from dynamic_dnn_ros.engines.contract import EngineError
from dynamic_dnn_ros.engines.graph_source import GraphSource, Say

#: Of a separate model.
PICTURES = 'pictures'

#: What to do about a graph that an engine refuses, and about a model that it refuses.
_GRAPH_REMEDY = "make the graphs again with 'dynamic-dnn bundle export'"
_MODEL_REMEDY = (
    'export the model again, with an operator set of 17 or less and plain ONNX operators, and '
    "import it with 'dynamic-dnn import-onnx'"
)


class Models(Protocol):
    """
    Has the model of each sub-network of a bundle.

    `picture` is the name of the one input of each; `remedy` what to do when an engine refuses
    one, a part of a sentence.
    """

    picture: str
    remedy: str

    def content(
        self, sub_network: SubNetwork, stage: int | None = None, batches: bool = False
    ) -> bytes:
        """
        Return the ONNX model of a sub-network.

        :param stage: the number of a stage, for the model of that alone
        :param batches: whether it is to take several pictures; a separate model is as it is
        :raises EngineError: when there is none, and none can be made
        :raises BundleError: when it is damaged
        """

    def file(self, sub_network: SubNetwork) -> str:
        """
        Return the name of the file of a separate model; empty for a part of a super-network.

        Sub-networks of several sizes may have it in common.
        """


def models_of(bundle: Bundle, say: Say, quantised: bool) -> Models:
    """
    Return where the models of a bundle are.

    :param say: told once where graphs come from, when that is not the bundle
    :param quantised: those in int8
    :raises EngineError: when the bundle has none in int8
    :raises BundleError: when the weights cannot be read
    """
    if not isinstance(bundle.manifest.source, SeparateModels):
        return _Graphs(GraphSource(bundle, say, quantised))
    if quantised:
        raise EngineError(
            f'bundle {bundle.manifest.name!r} holds separate models, which run as they are: '
            "quantise them before they are imported, and ask for 'float32' here."
        )
    return _Files(bundle)


class _Graphs:
    picture = INPUT_NAME
    remedy = _GRAPH_REMEDY

    def __init__(self, source: GraphSource) -> None:
        self._source = source

    def content(
        self, sub_network: SubNetwork, stage: int | None = None, batches: bool = False
    ) -> bytes:
        return self._source.model(sub_network, stage, batches)

    def file(self, sub_network: SubNetwork) -> str:
        return ''


class _Files:
    picture = PICTURES
    remedy = _MODEL_REMEDY

    def __init__(self, bundle: Bundle) -> None:
        self._bundle = bundle

    def content(
        self, sub_network: SubNetwork, stage: int | None = None, batches: bool = False
    ) -> bytes:
        assert stage is None, 'a separate model is one piece'
        return self._bundle.models[self.file(sub_network)]

    def file(self, sub_network: SubNetwork) -> str:
        return self._bundle.manifest.model_file(sub_network)


@dataclass(frozen=True)
class InputFound:
    """An input, or an output, of a loaded model; `shape` has None where a side is free."""

    name: str
    dtype: str
    shape: tuple[int | None, ...]

    def __str__(self) -> str:
        sides = ' x '.join('N' if side is None else str(side) for side in self.shape)
        return f'{self.name} ({self.dtype}, {sides or "of any shape"})'


def check_inputs(inputs: Sequence[InputFound], models: Models, sub_network: SubNetwork) -> None:
    """
    Check that a loaded model takes pictures as engines give them.

    :raises EngineError: naming what it takes, and the remedy
    """
    wanted = (1, *sub_network.size, 3)
    fits = (
        len(inputs) == 1
        and (inputs[0].name, inputs[0].dtype) == (models.picture, 'uint8')
        and len(inputs[0].shape) == len(wanted)
        and all(side in (None, needed) for side, needed in zip(inputs[0].shape, wanted))
    )
    if not fits:
        raise EngineError(
            f'the model of sub-network {sub_network.id!r} takes '
            f'{", ".join(map(str, inputs)) or "nothing"}, not {models.picture} (uint8, '
            f'{" x ".join(map(str, wanted))}). To mend it, {models.remedy}.'
        )


def check_handover(
    sub_network: SubNetwork,
    models: Sequence[tuple[Sequence[InputFound], Sequence[InputFound]]],
    remedy: str,
) -> None:
    """
    Check that what each stage hands on is what those take that may run after it.

    :param models: inputs and outputs of each stage, with its answer, or a gate's scores, first
    :param remedy: a part of a sentence, see `Models`
    :raises EngineError: naming what is handed on, what is taken, and the remedy
    """
    stages = sub_network.stages
    for number, following in enumerate(routes(stages)):
        stage = stages[number]
        outputs = models[number][1]
        handed = outputs[stage.threshold is not None or bool(stage.choices) :]
        for each in following:
            inputs = models[each][0]
            # One may leave tensors that others take.
            places = places_of([entry.name for entry in inputs])
            if not places or not all(
                place < len(handed) and _agree(handed[place], entry)
                for place, entry in zip(places, inputs)
            ):
                raise EngineError(
                    f'stage {stage.name!r} of sub-network {sub_network.id!r} hands on '
                    f'{", ".join(map(str, handed)) or "nothing"}, and stage '
                    f'{stages[each].name!r} takes {", ".join(map(str, inputs)) or "nothing"}. '
                    f'To mend it, {remedy}.'
                )


def places_of(inputs: Sequence[str]) -> tuple[int, ...]:
    """Return which of the tensors that are handed on each input of a stage takes, by its name."""
    return tuple(
        int(name.removeprefix(CARRIED)) if name.startswith(CARRIED) else 0 for name in inputs
    )


def _agree(one: InputFound, other: InputFound) -> bool:
    return (
        one.dtype == other.dtype
        and len(one.shape) == len(other.shape)
        and all(None in pair or pair[0] == pair[1] for pair in zip(one.shape, other.shape))
    )
