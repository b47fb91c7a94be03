# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The folder layout and the import arrows of docs/design.md hold."""

import ast
from pathlib import Path
import subprocess
import sys

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / 'dynamic_dnn_ros'
ROOMS = {
    'bundles',
    'cli',
    'datasets',
    'engines',
    'exits',
    'importing',
    'launching',
    'management',
    'networks',
    'nodes',
    'pictures',
    'platforms',
    'profiling',
    'scheduling',
    'search',
    'serving',
    'simulation',
    'tasks',
    'training',
}
TOP_FILES = {
    'CHANGELOG.rst',
    'CITATION.cff',
    'CMakeLists.txt',
    'CONTRIBUTING.md',
    'LICENSE',
    'MANIFEST.in',
    'Makefile',
    'README.md',
    'SECURITY.md',
    'mkdocs.yml',
    'package.xml',
    'pixi.toml',
    'pyproject.toml',
    'setup.cfg',
    'setup.py',
}
TOP_FOLDERS = {
    'benchmarks',
    'config',
    'deploy',
    'docs',
    'dynamic_dnn_ros',
    'examples',
    'launch',
    'models',
    'msg',
    'reliability',
    'src',
    'srv',
    'test',
    'tools',
}


def tracked_files() -> list[Path]:
    """Return what git tracks, or would once it is added."""
    answer = subprocess.run(
        ['git', 'ls-files', '--cached', '--others', '--exclude-standard'],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    if answer.returncode != 0:
        pytest.skip('this is no git repository')
    return [Path(line) for line in answer.stdout.splitlines() if (ROOT / line).is_file()]


def test_import_arrows():
    answer = subprocess.run(
        ['lint-imports', '--no-cache'], cwd=ROOT, capture_output=True, text=True
    )
    assert answer.returncode == 0, answer.stdout + answer.stderr


def test_every_room_has_a_place_in_the_arrows():
    configuration = (ROOT / 'pyproject.toml').read_text()
    layers = configuration[configuration.index('type = "layers"') :]
    assert {room for room in ROOMS if f'dynamic_dnn_ros.{room}' not in layers} == set()


def test_top_level():
    files = {path.parts[0] for path in tracked_files() if len(path.parts) == 1}
    folders = {path.parts[0] for path in tracked_files() if len(path.parts) > 1}
    assert {name for name in files if not name.startswith('.')} == TOP_FILES
    assert {name for name in folders if not name.startswith('.')} == TOP_FOLDERS


def test_rooms():
    rooms = {
        path.parts[1]
        for path in tracked_files()
        if path.parts[0] == 'dynamic_dnn_ros' and len(path.parts) > 2
    }
    assert rooms == ROOMS, 'a folder that docs/design.md does not name, or one that is missing'
    for room in sorted(ROOMS):
        module = ast.parse((PACKAGE / room / '__init__.py').read_text())
        assert ast.get_docstring(module), f'{room} does not say what it is for'


def test_tests_mirror_the_rooms():
    folders = {
        path.parts[1]
        for path in tracked_files()
        if path.parts[0] == 'test' and len(path.parts) > 2
    }
    assert folders <= ROOMS | {'support', 'system', 'launch', 'tools', 'benchmarks', 'reliability'}


def test_copyright_lines():
    expected = [
        '# Copyright 2026 dynamic_dnn_ros contributors',
        '# SPDX-License-Identifier: Apache-2.0',
    ]
    for path in tracked_files():
        if path.suffix in ('.py', '.sh'):
            lines = (ROOT / path).read_text(encoding='utf-8').splitlines()
            start = 1 if lines and lines[0].startswith('#!') else 0
            assert lines[start : start + 2] == expected, path


@pytest.mark.parametrize(
    ('room', 'excluded'),
    [
        ('bundles', {'torch', 'rclpy'}),
        ('datasets', {'torch', 'rclpy'}),
        ('pictures', {'torch', 'rclpy'}),
        ('tasks', {'torch', 'rclpy', 'cv2', 'pycocotools'}),
        ('serving', {'torch', 'rclpy'}),
        ('management', {'torch', 'rclpy'}),
        ('platforms', {'torch', 'rclpy'}),
        ('simulation', {'torch', 'rclpy'}),
        ('search', {'rclpy'}),
        ('engines', {'rclpy'}),
        ('profiling', {'rclpy'}),
    ],
)
def test_what_a_room_really_loads(room, excluded, tmp_path):
    """Import every module of a room in a fresh process and look at what came with it."""
    script = f"""
import importlib, pkgutil, sys
room = importlib.import_module('dynamic_dnn_ros.{room}')
for module in pkgutil.walk_packages(room.__path__, room.__name__ + '.'):
    importlib.import_module(module.name)
loaded = {excluded!r} & sys.modules.keys()
sys.exit(f'loaded: {{sorted(loaded)}}' if loaded else 0)
"""
    answer = subprocess.run(
        [sys.executable, '-c', script],
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert answer.returncode == 0, answer.stderr
