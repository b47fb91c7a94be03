# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""`dynamic-dnn import-model`: models of libraries, with a user's weights."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from dynamic_dnn_ros.bundles.reader import Bundle, read_bundle
from dynamic_dnn_ros.bundles.responses import probe_picture
from dynamic_dnn_ros.cli.main import main
from dynamic_dnn_ros.engines.registry import create_engine
from dynamic_dnn_ros.importing.checkpoint import load_tensors, read_tensors
from dynamic_dnn_ros.importing.errors import ImportingError
from dynamic_dnn_ros.importing.known_labels import known_labels
from dynamic_dnn_ros.importing.library_models import LibraryModel, exported, parse_name
from dynamic_dnn_ros.importing.model import Choices, made_ready
from dynamic_dnn_ros.importing.torchvision_operators import suppressed
from dynamic_dnn_ros.pictures.input import Interpolation, Resize
from dynamic_dnn_ros.pictures.placement import Size

torchvision = pytest.importorskip('torchvision')
SMALL = 'mobilenet_v3_small'


def imported(output: Path, *words: object) -> Bundle:
    arguments = ['import-model', *map(str, words), '--output', str(output), '--quiet']
    assert main(arguments) == 0
    return read_bundle(output)


def refused(capsys: pytest.CaptureFixture[str], output: Path, *words: object) -> str:
    assert main(['import-model', *map(str, words), '--output', str(output), '--quiet']) == 1
    assert not output.exists()
    return capsys.readouterr().err


def probe_answer(bundle: Bundle) -> dict[str, np.ndarray]:
    (entry, *_) = bundle.manifest.sub_networks
    prepared = create_engine('onnxruntime', bundle, threads=1).prepare(entry, 'cpu')
    return dict(prepared.run(probe_picture(20, entry.size)))


def small(classes: int = 3) -> nn.Module:
    torch.manual_seed(0)
    return torchvision.models.get_model(SMALL, num_classes=classes).eval()


class Wrapped(nn.Module):
    """What a training puts around a model."""

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.module = module


def test_a_classifier_with_the_users_weights(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = small()
    state = {
        'epoch': 7,
        'best': np.float64(0.5),
        'model': {f'module._orig_mod.{name}': value for name, value in model.state_dict().items()},
    }
    torch.save(state, tmp_path / 'best.pth')
    words = (f'torchvision:{SMALL}', '--weights', tmp_path / 'best.pth')
    bundle = imported(
        tmp_path / 'b', *words, '--labels', 'cat,dog,bird', '--resolutions', '96',
        '--accuracy', '0.7',
    )  # fmt: skip
    said = capsys.readouterr().out
    assert "under 'model'" in said and "'module.' and '_orig_mod.' taken off" in said
    preprocessing = bundle.manifest.preprocessing
    assert preprocessing.resize is Resize.CENTER_CROP
    assert preprocessing.mean == (0.485, 0.456, 0.406)
    picture = torch.from_numpy(probe_picture(20, Size(96, 96)).copy()).permute(2, 0, 1) / 255
    mean, deviation = (
        torch.tensor(values).view(3, 1, 1)
        for values in (preprocessing.mean, preprocessing.standard_deviation)
    )
    with torch.inference_mode():
        expected = model(((picture - mean) / deviation)[None]).numpy()
    np.testing.assert_allclose(probe_answer(bundle)['logits'], expected, rtol=1e-3, atol=1e-3)
    assert 'random' not in bundle.manifest.description


def test_weights_have_to_be_named_or_random(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        main(['import-model', f'torchvision:{SMALL}', '--output', str(tmp_path / 'b')])
    assert '--weights --random-weights' in capsys.readouterr().err


def test_several_models_with_random_weights(tmp_path: Path) -> None:
    names = ('torchvision:shufflenet_v2_x0_5', f'torchvision:{SMALL}')
    bundle = imported(
        tmp_path / 'b', *names, '--random-weights', '--labels', 'cat,dog,bird',
        '--resolutions', '64',
    )  # fmt: skip
    manifest = bundle.manifest
    assert [entry.configuration['model'] for entry in manifest.sub_networks] == [
        'shufflenet_v2_x0_5_64',
        f'{SMALL}_64',
    ]
    assert 'random weights' in manifest.description
    assert [entry.id for entry in manifest.sub_networks] == [
        'shufflenet_v2_x0_5_64',
        f'{SMALL}_64',
    ]


def test_names_that_are_none(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = refused(capsys, tmp_path / 'b', 'torchvision:mobilnet_v3_smal', '--random-weights')
    assert SMALL in text
    text = refused(capsys, tmp_path / 'b', 'resnet18', '--random-weights')
    assert 'torchvision:NAME' in text
    for name in ('r3d_18', 'maskrcnn_resnet50_fpn', 'keypointrcnn_resnet50_fpn'):
        text = refused(capsys, tmp_path / 'b', f'torchvision:{name}', '--random-weights')
        assert 'task that is not here' in text
    words = (f'torchvision:{SMALL}', 'torchvision:resnet18', '--weights', tmp_path / 'one.pth')
    assert '1 files, and there are 2 models' in refused(capsys, tmp_path / 'b', *words)
    assert parse_name('timm:a:b') == ('timm', 'a:b')


class Harmful:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return print, ('this ran',)


def test_weights_that_are_not_read(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / 'a.pth'
    torch.save({'model': Harmful()}, path)
    with pytest.raises(ImportingError, match='would run code'):
        read_tensors(path, print)
    assert 'this ran' not in capsys.readouterr().out
    for content, named in (([1, 2], 'list'), ({'epoch': 3}, 'dict'), (small(), 'would run code')):
        torch.save(content, path)
        with pytest.raises(ImportingError, match=named):
            read_tensors(path, print)
    path.write_bytes(b'PK\x03\x04 cut')
    with pytest.raises(ImportingError, match='damaged'):
        read_tensors(path, print)
    with pytest.raises(ImportingError, match='No such file'):
        read_tensors(tmp_path / 'absent.safetensors', print)
    (tmp_path / 'b.safetensors').write_bytes(b'no tensors here')
    with pytest.raises(ImportingError, match='no safetensors'):
        read_tensors(tmp_path / 'b.safetensors', print)


def test_weights_that_do_not_fit() -> None:
    model = nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3))
    good = {name: value + 1 for name, value in model.state_dict().items()}
    said: list[str] = []
    prefixed = {f'ema.module.{name}': value for name, value in good.items()}
    load_tensors(model, prefixed, 'w', said.append)
    torch.testing.assert_close(model.state_dict()['0.weight'], good['0.weight'])
    assert said == ["weights: 'ema.' and 'module.' taken off the names"]
    renamed = {('other' if name == '0.bias' else name): good[name] for name in good}
    with pytest.raises(ImportingError, match=r'1 missing \(0\.bias\); 1 left over \(other\)'):
        load_tensors(model, renamed, 'w', print)
    with pytest.raises(ImportingError, match='0.weight is 5x2, the model needs 3x2'):
        load_tensors(model, {**good, '0.weight': torch.zeros(5, 2)}, 'w', print)


def test_tensors_of_safetensors_and_without_counters(tmp_path: Path) -> None:
    from safetensors.torch import save_file

    model = nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3))
    state = {n: v for n, v in model.state_dict().items() if 'num_batches' not in n}
    save_file(state, tmp_path / 'a.safetensors')
    load_tensors(model, read_tensors(tmp_path / 'a.safetensors', print), 'w', print)


def test_suppression_keeps_the_best() -> None:
    boxes = torch.tensor([[0, 0, 10, 10], [1, 1, 11, 11], [20, 0, 30, 10], [0, 0, 10, 6.0]])
    scores = torch.tensor([0.5, 0.9, 0.2, 0.6])
    # IoU: 0 and 1 81/119; 1 and 3 45/115; 0 and 3 60/100.
    assert suppressed(boxes, scores, 0.65).tolist() == [1, 3, 2]
    assert suppressed(boxes, scores, 0.3).tolist() == [1, 2]
    assert suppressed(boxes, scores, 0.7).tolist() == [1, 3, 0, 2]
    assert suppressed(boxes[:0], scores[:0], 0.5).tolist() == []


def test_timm_says_how_its_models_take_pictures(tmp_path: Path) -> None:
    pytest.importorskip('timm')
    given = exported(
        LibraryModel('timm', 'mobilenetv3_small_050', None, Size(64, 64)), ('a', 'b'), print
    )
    assert given.assumption is not None
    assert given.assumption.preprocessing.interpolation is Interpolation.BICUBIC
    assert given.labels == ('a', 'b')
    (output,) = given.model.graph.output
    assert output.type.tensor_type.shape.dim[1].dim_value == 2
    with pytest.raises(ImportingError, match='mobilenetv3_small_050'):
        exported(LibraryModel('timm', 'mobilnetv3_small_050', None), ('a',), print)


def with_statistics(model: nn.Module) -> None:
    """Give batch-norms statistics, so that what an untrained network says differs by place."""
    layers = [each for each in model.modules() if isinstance(each, nn.BatchNorm2d)]
    for layer in layers:
        layer.momentum = None
    if layers:
        model.backbone.train()
        model.head.train()
        with torch.no_grad():
            model.head(list(model.backbone(torch.rand(2, 3, 320, 320)).values()))
        model.eval()


def with_spread(model: nn.Module, side: int) -> None:
    """Scale the last layers of an untrained network, so that it finds something somewhere."""
    last = [
        layer
        for name, layer in model.head.named_modules()
        if name.endswith(('cls_logits', 'bbox_reg', 'bbox_ctrness'))
    ]
    answers: dict[nn.Module, list[torch.Tensor]] = {layer: [] for layer in last}
    hooks = [
        layer.register_forward_hook(lambda own, _, answer: answers[own].append(answer.flatten()))
        for layer in last
    ]
    with torch.no_grad():
        for layer in last:
            nn.init.zeros_(layer.bias)
        model.head(list(model.backbone(torch.rand(1, 3, side, side)).values()))
        for layer in last:
            layer.weight.mul_(1 / torch.cat(answers[layer]).std())
    for hook in hooks:
        hook.remove()


@pytest.mark.slow
@pytest.mark.parametrize(
    ('name', 'side'),
    [
        ('ssdlite320_mobilenet_v3_large', 320),
        ('fasterrcnn_mobilenet_v3_large_320_fpn', 320),
        ('fcos_resnet50_fpn', 160),
        ('retinanet_resnet50_fpn', 160),
    ],
)
def test_detectors_answer_as_their_library_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, side: int
) -> None:
    if name.endswith('resnet50_fpn'):
        # Their own size, 800, takes minutes.
        make = partial(torchvision.models.get_model, min_size=side, max_size=side)
        monkeypatch.setattr(torchvision.models, 'get_model', make)
    torch.manual_seed(0)
    labels = ('__background__', 'cat', 'dog', 'bird')
    model = torchvision.models.get_model(
        name, weights=None, weights_backbone=None, num_classes=4
    ).eval()
    # The others have no batch-norm behind their backbones.
    if name.startswith('ssd'):
        with_statistics(model)
    elif hasattr(model, 'head'):
        with_spread(model, side)
    torch.save(model.state_dict(), tmp_path / 'w.pth')
    bundle = imported(
        tmp_path / 'b', f'torchvision:{name}', '--weights', tmp_path / 'w.pth',
        '--labels', ','.join(labels),
    )  # fmt: skip
    assert bundle.manifest.task.options['class_offset'] == 0
    size = Size(side, side)
    assert bundle.manifest.sub_networks[0].size == size
    found = probe_answer(bundle)
    picture = torch.from_numpy(probe_picture(20, size).copy()).permute(2, 0, 1) / 255
    with torch.inference_mode():
        (expected,) = model([picture])
    count = min(len(expected['scores']), 300)
    assert count > 0
    scores = found['scores'][0]
    np.testing.assert_allclose(scores[:count], expected['scores'].numpy()[:count], atol=1e-3)
    assert not scores[count:].any()
    # Boxes of nearly the same score may change places, the others do not.
    gaps = np.diff(expected['scores'].numpy()[:count], prepend=2.0, append=-2.0)
    apart = (gaps[:-1] < -1e-3) & (gaps[1:] < -1e-3)
    boxes = expected['boxes'].numpy()[:count]
    np.testing.assert_allclose(found['boxes'][0, :count][apart], boxes[apart], atol=1e-3 * side)
    assert not name.startswith('fcos') or apart.sum() > 10


@pytest.mark.slow
def test_detectors_for_coco_have_its_numbers() -> None:
    model = LibraryModel('torchvision', 'ssdlite320_mobilenet_v3_large', None)
    given = exported(model, known_labels('coco'), print)
    scores = {
        tensor.name: tuple(tensor.dims)
        for tensor in given.model.graph.initializer
        if 'classification_head' in tensor.name and len(tensor.dims) == 4
    }
    # Six places of each cell, 91 classes.
    assert 6 * 91 in {shape[0] for shape in scores.values()}


@pytest.mark.slow
@pytest.mark.parametrize(
    ('name', 'published', 'has_proposals'),
    [
        # "GFLOPS" of torchvision's documentation, which are multiply-adds: of Faster R-CNN for a
        # picture in which nothing is proposed.
        ('ssdlite320_mobilenet_v3_large', 0.583e9, False),
        ('fasterrcnn_mobilenet_v3_large_320_fpn', 0.719e9, True),
    ],
)
def test_detectors_cost_what_their_library_publishes(
    name: str, published: float, has_proposals: bool
) -> None:
    given = exported(LibraryModel('torchvision', name, None), None, print)
    assert given.labels is not None
    ready = made_ready(given, given.labels, Choices())
    (cost,) = ready.costs.values()
    assert cost.multiply_adds == pytest.approx(published, rel=1e-3)
    assert (cost.of_proposals > 0) is has_proposals
    assert any('depends on the picture' in note for note in ready.notes) is has_proposals
