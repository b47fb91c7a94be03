# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import json
import random

import pytest
import torch
from torch import nn

from dynamic_dnn_ros.networks.checks import ConfigurationError
from dynamic_dnn_ros.networks.slimmable.capture import capture, reasons
from dynamic_dnn_ros.networks.slimmable.network import Slimmable
from dynamic_dnn_ros.networks.slimmable.reading import CaptureError
from support import slimmable
from support.small_networks import (
    Convolutions,
    Joined,
    Sorting,
    Transformer,
    randomised,
)


@pytest.fixture(name='convolutions')
def _convolutions():
    return slimmable.convolutions()


@pytest.fixture(name='transformer')
def _transformer():
    return slimmable.transformer()


def axes_of(captured):
    return {axis.name: axis.size for axis in captured.network.layout.axes}


def test_the_largest_sub_network_is_the_module(convolutions):
    module = randomised(Convolutions())
    captured = capture(module, 'convolutions', (32,)).network
    pictures = torch.randn(3, 3, 32, 32)
    with torch.no_grad():
        found = captured.extract(captured.largest())(pictures)
        assert torch.allclose(found, module.eval()(pictures), atol=1e-5)


def test_channels_that_belong_together_are_one_axis(convolutions):
    # Two trunks; what is inside of each block; its gate. Of grouped convolutions whole groups.
    assert axes_of(convolutions) == {
        'stem.0': 8,
        'layer1.0.conv1': 16,
        'layer1.0.gate.fc1': 4,
        'layer1.1.conv1': 4,
        'layer1.1.gate.fc1': 4,
        'layer2.0.conv1': 32,
        'layer2.0.gate.fc1': 8,
        'layer2.0.conv3': 16,
        'layer2.1.conv1': 4,
        'layer2.1.gate.fc1': 8,
    }
    assert convolutions.network.layout.knobs == (
        'stem.0',
        'layer1.0',
        'layer1.1',
        'layer2.0',
        'layer2.0.conv3',
        'layer2.1',
    )
    assert convolutions.kept == ()


def test_blocks_that_add_to_what_went_in_may_be_left_out(convolutions, transformer):
    stages = convolutions.network.layout.stages
    assert [(stage.name, len(stage.blocks)) for stage in stages] == [
        ('layer1.0', 2),
        ('layer2.1', 1),
    ]
    (stage,) = transformer.network.layout.stages
    # Of a transformer's layer both additions, together.
    assert [len(block) for block in stage.blocks] == [2, 2, 2]


def test_heads_get_fewer_and_the_rows_of_queries_keys_and_values_with_them(transformer):
    network = transformer.network
    assert axes_of(transformer)['blocks.0.qkv'] == 3
    largest = network.largest().to_mapping()
    knob = network.layout.knobs.index('blocks.0')
    widths = [50 if index == knob else 100 for index in range(len(largest['width']))]
    fewer = network.extract(network.configuration({**largest, 'width': widths}))
    assert fewer.get_parameter('blocks.0.qkv.weight').shape == (3, 16, 24)
    assert fewer.get_parameter('blocks.0.proj.weight').shape == (24, 16)
    assert fewer.get_parameter('blocks.0.fc1.weight').shape == (24, 24)


def test_leaving_out_a_block_is_the_network_without_it():
    module = randomised(Convolutions()).eval()
    network = capture(module, 'convolutions', (32,)).network
    without = network.configuration({**network.largest().to_mapping(), 'depth': [50, 50]})
    pictures = torch.randn(2, 3, 32, 32)
    with torch.no_grad():
        found = network.extract(without)(pictures)
        # The first block of the trunk is always there.
        module.layer1, module.layer2 = module.layer1[:1], module.layer2[:1]
        assert torch.allclose(found, module(pictures), atol=1e-5)


def test_sorting_puts_the_channels_that_matter_first():
    module = Convolutions()
    with torch.no_grad():
        # All but the last three channels of the second trunk say nothing.
        for block in module.layer2:
            block.conv3.weight[:13] = 0
            block.bn3.weight[:13] = 0
        module.fc.weight[:, :13] = 0
    network = capture(module, 'convolutions', (32,)).network
    network.sort_channels()
    weight = network.get_parameter('layer2.1.conv3.weight')
    assert weight[:3].abs().sum() > 0 and weight[3:].abs().sum() == 0


def test_a_layer_whose_channels_are_joined_with_others_says_so():
    captured = capture(Joined(), 'joined', (32,))
    assert axes_of(captured) == {'after': 16}
    assert [kept.layer for kept in captured.kept] == ['left', 'right']
    (reason,) = reasons(captured.kept)
    assert reason.startswith('left, right (') and 'joins them with others' in reason


@pytest.mark.parametrize(
    ('module', 'says'),
    [
        (Sorting(), 'odd: operator sort cannot become part of a slimmable network'),
        (nn.Conv2d(3, 4, 1), 'gives something else than one tensor of N x classes'),
        (nn.Flatten(), 'cannot be taken'),
        (nn.Sequential(nn.Flatten(), nn.Linear(7, 2)), 'cannot be traced with pictures of 32x32'),
        (nn.Sequential(nn.Flatten(), nn.Linear(3072, 2)), 'no layer can get narrower'),
    ],
)
def test_what_cannot_be_made_slimmable_says_why(module, says):
    with pytest.raises(CaptureError, match='.') as caught:
        capture(module, 'theirs', (32,))
    assert says in str(caught.value) or 'has no last layer' in str(caught.value)


def test_a_size_that_the_network_does_not_take_is_refused():
    with pytest.raises(CaptureError, match=r'--resolutions'):
        capture(Transformer(), 'transformer', (24, 32))


def test_a_layout_is_data_and_its_operators_are_those_known(convolutions):
    mapping = json.loads(json.dumps(convolutions.network.layout_mapping()))
    assert Slimmable.from_layout(mapping).layout == convolutions.network.layout
    steps = mapping['steps']
    for operator in ('__import__', 'load', 'torch.load', 'convolution'):
        wrong = [[steps[0][0], operator, steps[0][2]], *steps[1:]]
        with pytest.raises(ConfigurationError, match=r'steps\[0\]'):
            Slimmable.from_layout({**mapping, 'steps': wrong})


@pytest.mark.parametrize(
    ('field', 'change'),
    [
        ('widths', [50]),
        ('widths', [100, 50]),
        ('resolutions', []),
        ('axes', [{'name': 'a', 'size': 0, 'knob': 0}]),
        ('knobs', []),
        ('steps', []),
        ('tensors', {'../x': [[3]]}),
        ('layers', {'fc': {'operator': 'exec'}}),
    ],
)
def test_an_illegal_layout_is_refused_by_field(convolutions, field, change):
    mapping = convolutions.network.layout_mapping()
    with pytest.raises(ConfigurationError) as caught:
        Slimmable.from_layout({**mapping, field: change})
    assert caught.value.field.startswith(field)


def test_steps_that_do_not_fit_each_other_are_refused(convolutions):
    mapping = convolutions.network.layout_mapping()
    tensors = {**mapping['tensors'], 'fc.weight': [['classes'], [17]]}
    with pytest.raises(ConfigurationError, match='resolutions'):
        Slimmable.from_layout({**mapping, 'tensors': tensors})
    with pytest.raises(ConfigurationError, match='steps'):
        Slimmable.from_layout({**mapping, 'steps': mapping['steps'][:-1]})


def test_a_layout_may_lie_in_a_file(convolutions, tmp_path):
    path = tmp_path / 'network.json'
    path.write_text(json.dumps(convolutions.network.layout_mapping()))
    assert Slimmable.from_layout(str(path)).layout == convolutions.network.layout
    path.write_text('[]')
    with pytest.raises(ConfigurationError, match=r'network\.json'):
        Slimmable.from_layout(str(path))


def test_every_width_is_at_least_one_and_rises(convolutions):
    for axis in convolutions.network.layout.axes:
        widths = [axis.active(percent) for percent in range(1, 101)]
        assert widths == sorted(widths) and widths[0] >= 1 and widths[-1] == axis.size


def test_small_networks_of_torchvision_are_taken():
    models = pytest.importorskip('torchvision').models
    block = models.resnet.BasicBlock
    resnet = models.resnet.ResNet(block, [1, 1, 1, 1], num_classes=4)
    taken = capture(resnet, 'resnet', (32,)).network
    assert len(taken.layout.stages) == 1
    attention = models.vision_transformer.VisionTransformer(
        image_size=32,
        patch_size=16,
        num_layers=1,
        num_heads=4,
        hidden_dim=32,
        mlp_dim=64,
        num_classes=4,
    )
    taken = capture(attention, 'vit', (32,)).network
    assert {axis.size for axis in taken.layout.axes} == {32, 4, 64}
    taken.activate(taken.sample(random.Random(0)))
    assert taken(torch.zeros(1, 3, 32, 32)).shape == (1, 4)


def test_a_small_transformer_of_timm_is_taken():
    timm = pytest.importorskip('timm')
    module = timm.create_model(
        'deit_tiny_patch16_224', img_size=32, embed_dim=48, depth=2, num_heads=3, num_classes=4
    )
    taken = capture(module, 'deit', (32,))
    assert axes_of(taken) == {
        'patch_embed.proj': 48,
        'blocks.0.attn.qkv': 3,
        'blocks.0.mlp.fc1': 192,
        'blocks.1.attn.qkv': 3,
        'blocks.1.mlp.fc1': 192,
    }
