# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Container files and the file for pixi name what there is; neither can be built in a test."""

import configparser
from pathlib import Path
import re
import shutil
import subprocess
from xml.etree import ElementTree

import pytest

ROOT = Path(__file__).resolve().parents[1]
CONTAINERS = sorted((ROOT / 'deploy' / 'containers').glob('*.Dockerfile'))
#: Folders and files that CMakeLists.txt installs or reads.
BUILT = {
    'CMakeLists.txt',
    'LICENSE',
    'config',
    'deploy',
    'dynamic_dnn_ros',
    'examples',
    'launch',
    'models',
    'msg',
    'package.xml',
    'setup.cfg',
    'srv',
    'tools/package_metadata.py',
}


def instructions(path: Path) -> list[tuple[str, str]]:
    """Return the instructions of a container file, each with its arguments."""
    text = re.sub(r'^#.*\n', '', path.read_text(), flags=re.MULTILINE).replace('\\\n', ' ')
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return [tuple(line.split(None, 1)) for line in lines]  # type: ignore[misc]


@pytest.mark.parametrize('path', CONTAINERS, ids=lambda path: path.stem)
def test_a_container_gets_all_that_is_built(path: Path) -> None:
    known = {'ARG', 'CMD', 'COPY', 'ENTRYPOINT', 'ENV', 'FROM', 'RUN', 'SHELL', 'WORKDIR'}
    found = instructions(path)
    assert {name for name, _ in found} <= known
    sources = [
        source for name, arguments in found if name == 'COPY' for source in arguments.split()[:-1]
    ]
    assert all((ROOT / source).exists() for source in sources)
    assert set(sources) >= BUILT


def test_the_containers_build_what_cmake_reads() -> None:
    text = (ROOT / 'CMakeLists.txt').read_text()
    (installed,) = re.findall(r'install\(DIRECTORY ([a-z ]+)\n', text)
    assert set(installed.split()) <= BUILT
    assert set(re.findall(r'/(tools/\w+\.py)', text)) <= BUILT


@pytest.mark.skipif(shutil.which('hadolint') is None, reason='hadolint is not installed')
@pytest.mark.parametrize('path', CONTAINERS, ids=lambda path: path.stem)
def test_a_container_file_is_linted(path: Path) -> None:
    answer = subprocess.run(['hadolint', str(path)], capture_output=True, text=True)
    assert answer.returncode == 0, answer.stdout


def test_pixi_brings_what_package_xml_and_setup_cfg_ask_for() -> None:
    # Not tomllib: Python 3.10 lacks it, and a line for each package needs no more.
    text = (ROOT / 'pixi.toml').read_text()
    (section,) = re.findall(r'^\[dependencies\]\n(.*?)^\[', text, flags=re.MULTILINE | re.DOTALL)
    named = dict(re.findall(r'^([\w-]+) = "(.+)"$', section, flags=re.MULTILINE))
    package = ElementTree.parse(ROOT / 'package.xml').getroot()
    asked = {
        str(element.text)
        for tag in ('buildtool_depend', 'depend', 'exec_depend')
        for element in package.iter(tag)
        if not element.get('condition')
    }
    ros = {name for name in asked if not name.startswith('python3-')}
    assert {f'ros-jazzy-{name.replace("_", "-")}' for name in ros} <= set(named)
    setup = configparser.ConfigParser(delimiters=('=',))
    setup.read(ROOT / 'setup.cfg')
    for line in setup['options']['install_requires'].split():
        name, bound = re.fullmatch(r'([a-z]+)(>=.+)', line).groups()  # type: ignore[union-attr]
        assert named[name] == bound
