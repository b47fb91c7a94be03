# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import json
from pathlib import Path
import subprocess
import sys

import pytest
import torch

from dynamic_dnn_ros.bundles.reader import read_bundle
from dynamic_dnn_ros.cli.main import main
from dynamic_dnn_ros.networks.graph_export import export_into
from dynamic_dnn_ros.training.configuration import Rule, TrainingConfiguration
from support import small_networks
from support.training import colour_pictures, write_folder

NETWORK = f'{small_networks.__file__}:network'


@pytest.fixture
def folder(tmp_path, monkeypatch):
    write_folder(tmp_path / 'pictures' / 'train', colour_pictures(60))
    write_folder(tmp_path / 'pictures' / 'test', colour_pictures(20, seed=1))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def made(*more, network=NETWORK):
    return main(['make-dynamic', network, '--data', 'pictures', '--quiet', *more])


def test_one_command_makes_a_bundle_and_once_more_leaves_it(folder, capsys):
    options = ('--name', 'theirs', '--resolutions', '32', '--epochs', '1')
    assert made(*options, '--file-only') == 0
    output = capsys.readouterr().out
    assert '6 widths and 2 depths (3 blocks can be left out)' in output
    assert 'next: dynamic-dnn train theirs.yaml' in output
    configuration = TrainingConfiguration.from_file(Path('theirs.yaml'))
    assert configuration.initial_weights == 'build/training/theirs/initial.safetensors'
    phases = configuration.phases
    assert [phase.only for phase in phases] == [('fc',), ()]
    assert phases[1].rule is Rule.SANDWICH and not configuration.averaging
    assert phases[1].sort_channels and phases[1].epochs == 1
    # The same command goes on.
    assert made(*options) == 0
    output = capsys.readouterr().out
    assert 'theirs.yaml is here already: going on with it as it is' in output
    assert 's0: accuracy' in output
    assert 'next: dynamic-dnn search theirs.yaml' in output
    bundle = read_bundle(Path('models/theirs'))
    assert bundle.manifest.super_network.family == 'slimmable'
    exported = export_into(bundle)
    assert main(['bundle', 'check', str(exported.folder)]) == 0
    assert _runs_without_torch(exported.folder)


def test_a_transformer_may_go_on_with_fewer_patches(folder):
    options = ('--name', 'fewer', '--resolutions', '32', '--patches', '100', '25', '--file-only')
    assert made(*options, network=f'{small_networks.__file__}:Transformer') == 0
    layout = json.loads(Path('build/training/fewer/network.json').read_text())
    assert layout['patches']['shares'] == [25, 100]
    assert '--patches 100 25' in Path('fewer.yaml').read_text().replace('\n# ', ' ')


def _runs_without_torch(folder: Path) -> bool:
    """Run the largest sub-network with ONNX Runtime in a process that has no PyTorch."""
    script = f"""
import sys
for name in ('torch', 'torchvision', 'timm'):
    sys.modules[name] = None
from pathlib import Path
from dynamic_dnn_ros.bundles.reader import read_bundle
from dynamic_dnn_ros.bundles.responses import probe_picture
from dynamic_dnn_ros.engines.registry import create_engine
bundle = read_bundle(Path({str(folder)!r}))
engine = create_engine('onnxruntime', bundle, 1)
entry = bundle.manifest.sub_networks[-1]
print(engine.prepare(entry, 'cpu').run(probe_picture(0, entry.size)))
"""
    done = subprocess.run([sys.executable, '-c', script], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return True


def test_without_weights_all_learn_from_averaged_ones(folder):
    pytest.importorskip('torchvision')
    options = ('--resolutions', '32', '--file-only')
    assert made(*options, network='torchvision:mobilenet_v2') == 0
    configuration = TrainingConfiguration.from_file(Path('mobilenet_v2.yaml'))
    assert [phase.rule for phase in configuration.phases] == [Rule.LARGEST, Rule.BOOTSTRAPPING]
    assert configuration.phases[1].sort_channels and configuration.averaging == 0.99


def test_weights_of_other_classes_are_taken_but_for_the_last_layer(folder, capsys):
    pytest.importorskip('torchvision')
    from torchvision.models import mobilenet_v2

    network = mobilenet_v2(num_classes=7)
    torch.save({'state_dict': network.state_dict()}, 'mobile.pth')
    options = ('--weights', 'mobile.pth', '--resolutions', '32', '--file-only')
    assert made(*options, network='torchvision:mobilenet_v2') == 0
    output = capsys.readouterr().out
    assert 'weights: of 7 classes' in output
    assert 'classes: 7 of the network, 10 of the data: the last layer begins anew' in output
    assert '25 widths and 5 depths' in output


def test_bad_input_is_one_line_that_names_it(folder, capsys):
    for network, says in (
        ('resnet18', 'Write torchvision:NAME, timm:NAME, or FILE.py:FUNCTION'),
        ('torchvision:resnet19', 'torchvision:resnet19: is no model of torchvision. Known are'),
        ('torchvision:fcn_resnet50', 'is no classifier'),
        ('nonesuch.py:network', 'nonesuch.py: is no file'),
        (f'{small_networks.__file__}:nonesuch', 'failed (AttributeError'),
        (f'{small_networks.__file__}:Odd', 'operator sort cannot become part'),
    ):
        assert made('--file-only', '--name', 'theirs', network=network) == 1
        error = capsys.readouterr().err
        assert says in error and 'Traceback' not in error
    assert made('--resolutions', '32', '--widths', '50', '--name', 'theirs') == 1
    assert 'widths is (50,): allowed is a list that ends with 100' in capsys.readouterr().err
    Path('theirs.yaml').write_text('name: theirs\n')
    assert made('--name', 'theirs') == 1
    assert 'theirs.yaml is here already, and not of this command' in capsys.readouterr().err
