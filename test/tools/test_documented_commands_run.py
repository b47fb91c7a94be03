# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
What the documents print runs: each command of `dynamic-dnn` that takes seconds and no robot.

The commands of a page run one after the other, in a folder that has what the pages name. `NOT_RUN`
has all others, with the reason, but for those with a placeholder such as BUNDLE.
`test_documented_commands.py` reads the options of all.
"""

from __future__ import annotations

from pathlib import Path
import re
import shutil

import numpy as np
from PIL import Image
import pytest

from dynamic_dnn_ros.bundles.shipped import find_bundle
from dynamic_dnn_ros.cli.main import main
from support.documents import commands
from support.made_up_board import gpu_and_memory, write

RUNNING = 'needs a running system or a recording: test/cli, test/system'
MINUTES = 'takes minutes'
OWN = 'needs models or labelled pictures of the user'

NOT_RUN = {
    'target': RUNNING,
    'watch': RUNNING,
    'view': RUNNING,
    'replay': RUNNING,
    'simulate two_cameras #': 'the page reports runs it',
    'report drive': RUNNING,
    'report monday': RUNNING,
    'make-dynamic': 'needs weights of the user: test/cli/test_make_dynamic.py runs it',
    'profile models/resnet18': OWN,
    'exits': MINUTES,
    'gates': MINUTES,
    'train': MINUTES,
    'search': MINUTES,
    'profile models/cifar10_ofa --platform linux': MINUTES,
    'profile models/my_pictures --platform linux': MINUTES,
    'train-decider ztt scene_turns_hard': MINUTES,
    'simulate scene_turns_hard --manager dynamic_dnn,ztt': 'needs a file that takes minutes',
    'simulate my.yaml': MINUTES,
    'simulate yolov8_orin_nano': OWN,
    'simulate four_streams --scheduler all': MINUTES,
    'simulate attention_requests --scheduler all': MINUTES,
    'profile my_bundle': OWN,
    'profile my_detector': OWN,
    'profile yolo': OWN,
    'import-onnx': OWN,
    'import-model': OWN,
    'import-ofa': OWN,
    'granularity adaptive_96x96': MINUTES,
    'granularity my_layout.yaml': OWN,
    'bundle check models/my_pictures': OWN,
    'bundle export models/my_pictures': 'takes long: test/cli/test_bundle.py runs it',
}
"""Beginnings of commands, and why they are not run here."""


def commands_of_pages() -> dict[str, list[list[str]]]:
    """Return the commands that are run, by the page that has them."""
    pages: dict[str, list[list[str]]] = {}
    for page, words in commands('dynamic-dnn'):
        if not _has_placeholder(words) and not any(_begins(words, each) for each in NOT_RUN):
            pages.setdefault(page, []).append(words[1:])
    return pages


def _has_placeholder(words: list[str]) -> bool:
    """Tell whether a word stands for something, such as BUNDLE or TRAINING.yaml."""
    return any(re.fullmatch(r'[A-Z]{3,}(\.\w+)?', word) for word in words)


def _begins(words: list[str], beginning: str) -> bool:
    # '#' stands for the end.
    return f'{" ".join(words[1:])} #'.startswith(beginning)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Be in a folder with a user's pictures, bundles and measurements."""
    draw = np.random.default_rng(0)
    for name in ('box', 'door'):
        (tmp_path / 'pictures' / name).mkdir(parents=True)
        for number in range(10):
            pixels = draw.integers(0, 255, (48, 64, 3), np.uint8)
            Image.fromarray(pixels).save(tmp_path / 'pictures' / name / f'{number}.png')
    write(tmp_path / 'measurements.csv', gpu_and_memory())
    shutil.copytree(find_bundle('cifar10_ofa'), tmp_path / 'models' / 'cifar10_ofa')
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv('DYNAMIC_DNN_BOARDS', str(tmp_path))
    return tmp_path


@pytest.mark.parametrize('page', commands_of_pages())
def test_the_commands_of_a_page_run(page: str, folder: Path) -> None:
    for words in commands_of_pages()[page]:
        assert main(words) == 0, words
        if words[0] == 'new':
            assert (folder / f'{words[1]}.yaml').is_file()
            # What a training and a search would write.
            shutil.copytree(find_bundle('cifar10_incremental_group'), folder / 'models' / words[1])


def test_each_exception_is_one_of_a_command_that_there_is() -> None:
    printed = [words for _, words in commands('dynamic-dnn')]
    for beginning in NOT_RUN:
        assert any(_begins(words, beginning) for words in printed), beginning
