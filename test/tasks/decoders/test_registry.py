# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The decoders by name, and those of other packages."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.metadata import EntryPoint

import pytest

from dynamic_dnn_ros.tasks.contract import TaskError, TensorSpec
from dynamic_dnn_ros.tasks.decoders import registry
from dynamic_dnn_ros.tasks.decoders.registry import (
    DECODER_NAMES,
    create_decoder,
    decoder_class,
    decoder_names,
    known_decoders,
    recognise,
)
from dynamic_dnn_ros.tasks.decoders.rt_detr import RtDetr
from support.detections import LABELS, SIZE


@dataclass(frozen=True)
class Strange(RtDetr):
    """A decoder that another package might offer."""

    name = 'strange'
    reads = 'two outputs of a strange kind'

    @classmethod
    def recognise(cls, outputs, labels, size, samples):
        return cls().options() if outputs[0].name == 'strange' else None


@pytest.fixture
def offered(monkeypatch):
    """Offer decoders as an installed package does."""

    def offer(**values):
        entries = [
            EntryPoint(name, value, registry.ENTRY_POINTS) for name, value in values.items()
        ]
        monkeypatch.setattr(registry, 'entry_points', lambda group: entries)

    return offer


@pytest.mark.parametrize('name', DECODER_NAMES)
def test_every_decoder_has_its_name_and_reads_its_options(name):
    decoder = create_decoder(name, {})
    assert decoder.name == name
    assert create_decoder(name, decoder.options()) == decoder
    assert f'  {name}: {decoder.reads}' in known_decoders()
    with pytest.raises(TaskError, match=f"decoder {name} has no option 'colour'. Known are"):
        create_decoder(name, {'colour': 1})


def test_other_packages_offer_decoders(offered):
    offered(strange=f'{__name__}:Strange', yolox='nowhere:Nothing')
    assert decoder_names() == (*DECODER_NAMES, 'strange')
    assert decoder_class('yolox').__name__ == 'Yolox'
    found = recognise([TensorSpec('strange', (1, 7))], LABELS, SIZE)
    assert found['decoder'] == 'strange'


def test_a_decoder_that_cannot_be_loaded_is_named(offered):
    offered(gone='no_such_package:Decoder', other='json:dumps')
    with pytest.raises(TaskError, match="'gone', no_such_package:Decoder, cannot be loaded"):
        create_decoder('gone', {})
    with pytest.raises(TaskError, match="'other' is .* not a subclass of"):
        create_decoder('other', {})
