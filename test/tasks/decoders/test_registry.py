# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The decoders by name, and those of other packages."""

from __future__ import annotations

import pytest

from dynamic_dnn_ros.tasks.contract import TaskError, TensorSpec
from dynamic_dnn_ros.tasks.decoders.registry import (
    DECODER_NAMES,
    ENTRY_POINTS,
    create_decoder,
    decoder_class,
    decoder_names,
    known_decoders,
    recognise,
)
from support.detections import LABELS, SIZE

#: A decoder that another package might offer.
STRANGE = """
from dataclasses import dataclass
from dynamic_dnn_ros.tasks.decoders.rt_detr import RtDetr
@dataclass(frozen=True)
class Strange(RtDetr):
    name = 'strange'
    reads = 'two outputs of a strange kind'
    @classmethod
    def recognise(cls, outputs, labels, size, samples):
        return cls().options() if outputs[0].name == 'strange' else None
"""


@pytest.mark.parametrize('name', DECODER_NAMES)
def test_every_decoder_has_its_name_and_reads_its_options(name):
    decoder = create_decoder(name, {})
    assert decoder.name == name
    assert create_decoder(name, decoder.options()) == decoder
    assert f'  {name}: {decoder.reads}' in known_decoders()
    with pytest.raises(TaskError, match=f"decoder {name} has no option 'colour'. Known are"):
        create_decoder(name, {'colour': 1})


def test_other_packages_offer_decoders(offer):
    offer(ENTRY_POINTS, STRANGE, strange='HERE:Strange', yolox='nowhere:Nothing')
    assert decoder_names() == (*DECODER_NAMES, 'strange')
    assert decoder_class('yolox').__name__ == 'Yolox'
    found = recognise([TensorSpec('strange', (1, 9, 9))], LABELS, SIZE)
    assert found['decoder'] == 'strange'


def test_a_decoder_that_cannot_be_loaded_is_named(offer):
    offer(ENTRY_POINTS, gone='no_such_package:Decoder', other='json:dumps')
    with pytest.raises(TaskError, match="'gone', no_such_package:Decoder of .* cannot be loaded"):
        create_decoder('gone', {})
    with pytest.raises(TaskError, match="'other', .* is no subclass of"):
        create_decoder('other', {})


def test_a_decoder_that_cannot_be_loaded_harms_no_other(offer, caplog):
    offer(ENTRY_POINTS, 'import no_such_library', gone='HERE:Decoder')
    found = recognise([TensorSpec('out', (1, 126, 8))], LABELS, SIZE, (), 'yolox')
    assert found['decoder'] == 'yolox'
    with pytest.raises(TaskError, match='which no decoder reads'):
        recognise([TensorSpec('out', (1, 5, 7, 9))], LABELS, SIZE)
    (said,) = (record.message for record in caplog.records)
    assert "'gone', offers_site_0:Decoder of package offers_site_0, cannot be loaded" in said
    assert 'no_such_library' in said and said.endswith('It is left out.')
