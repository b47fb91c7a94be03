# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What is installed is what package.xml, setup.cfg, CMakeLists.txt and the folders say."""

import ast
import configparser
from importlib import metadata
import os
from pathlib import Path
import re
import subprocess
import sys
from xml.etree import ElementTree

from ament_index_python.packages import get_package_prefix, get_package_share_directory
import pytest
import yaml

import dynamic_dnn_ros

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = 'dynamic_dnn_ros'
COMMANDS = ['dynamic-dnn']
NODES = ['camera_node', 'inference_node', 'inference_server', 'manager_node', 'platform_node']


@pytest.fixture(scope='module')
def package_xml() -> ElementTree.Element:
    return ElementTree.parse(ROOT / 'package.xml').getroot()


@pytest.fixture(scope='module')
def setup_cfg() -> configparser.ConfigParser:
    configuration = configparser.ConfigParser(delimiters=('=',))
    configuration.read(ROOT / 'setup.cfg')
    return configuration


def test_installed_build_is_tested():
    prefix = Path(get_package_prefix(PACKAGE))
    assert prefix in Path(dynamic_dnn_ros.__file__).parents, (
        'the sources are in front of the installed build: use the executable pytest, '
        'after ". tools/environment.sh"'
    )


def test_versions_agree(package_xml, setup_cfg):
    version = package_xml.findtext('version')
    assert 'version' not in setup_cfg['metadata']
    assert metadata.version(PACKAGE) == version
    assert yaml.safe_load((ROOT / 'CITATION.cff').read_text())['version'] == version
    # catkin's format: released versions, newest first, below what is in development.
    changelog = (ROOT / 'CHANGELOG.rst').read_text()
    sections = re.findall(r'^(Forthcoming|\d+\.\d+\.\d+.*)\n-+$', changelog, flags=re.MULTILINE)
    if sections[0] == 'Forthcoming':
        assert f'it will be {version}.' in changelog
    else:
        assert sections[0].startswith(version)


def test_names_and_licences_agree(package_xml, setup_cfg):
    assert package_xml.findtext('name') == setup_cfg['metadata']['name'] == PACKAGE
    assert package_xml.findtext('license') == setup_cfg['metadata']['license'] == 'Apache-2.0'
    assert 'Apache License' in (ROOT / 'LICENSE').read_text()


def test_every_message_is_built():
    listed = set(re.findall(r'"msg/(\w+)\.msg"', (ROOT / 'CMakeLists.txt').read_text()))
    present = {path.stem for path in (ROOT / 'msg').glob('*.msg')}
    assert listed == present
    from dynamic_dnn_ros import msg

    assert present <= set(dir(msg))


def entry_points(setup_cfg: configparser.ConfigParser, group: str) -> dict[str, str]:
    lines = setup_cfg['options.entry_points'][group].strip().splitlines()
    return {name.strip(): value.strip() for name, _, value in (x.partition('=') for x in lines)}


@pytest.mark.parametrize(
    ('group', 'names'), [('console_scripts', COMMANDS), ('dynamic_dnn_ros.nodes', NODES)]
)
def test_entry_points_are_in_the_installed_metadata(setup_cfg, group, names):
    described = entry_points(setup_cfg, group)
    installed = metadata.distribution(PACKAGE).entry_points
    assert sorted(described) == names
    assert {x.name: x.value for x in installed if x.group == group} == described


@pytest.mark.parametrize('name', [*COMMANDS, *NODES])
def test_executable_is_installed_and_finds_its_function(name, tmp_path):
    path = Path(get_package_prefix(PACKAGE)) / 'lib' / PACKAGE / name
    assert os.access(path, os.X_OK)
    interpreter = path.read_text().splitlines()[0].removeprefix('#!')
    # Everything but the call: that would start the node.
    script = f'import runpy; names = runpy.run_path({str(path)!r}); assert callable(names["main"])'
    answer = subprocess.run(
        [interpreter, '-c', script], cwd=tmp_path, capture_output=True, text=True
    )
    assert answer.returncode == 0, answer.stderr


def test_command_runs(tmp_path):
    answer = subprocess.run(
        ['dynamic-dnn', '--help'], cwd=tmp_path, capture_output=True, text=True
    )
    assert answer.returncode == 0, answer.stderr
    assert 'demo' in answer.stdout


@pytest.mark.parametrize('folder', ['config', 'deploy', 'examples', 'launch', 'models'])
def test_folder_is_installed(folder):
    def names(root: Path) -> set[Path]:
        return {
            path.relative_to(root)
            for path in root.rglob('*')
            if path.is_file() and path.suffix != '.pyc'
        }

    assert names(ROOT / folder)
    assert names(Path(get_package_share_directory(PACKAGE)) / folder) == names(ROOT / folder)


def imported_packages(folder: Path) -> set[str]:
    """Return the packages that the modules of a folder import, but for those of type checkers."""
    found = set()
    for path in folder.rglob('*.py'):
        nodes: list[ast.AST] = [ast.parse(path.read_text(encoding='utf-8'))]
        while nodes:
            node = nodes.pop()
            if isinstance(node, ast.If) and ast.unparse(node.test).endswith('TYPE_CHECKING'):
                continue
            nodes += ast.iter_child_nodes(node)
            if isinstance(node, ast.Import):
                found |= {alias.name.partition('.')[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                found.add(node.module.partition('.')[0])
    return found - set(sys.stdlib_module_names) - {PACKAGE}


def test_every_import_is_a_declared_dependency(package_xml, setup_cfg):
    """What is imported stands in package.xml, or in an extra of setup.cfg where it is optional."""
    ros = {
        (element.text or '').removeprefix('python3-')
        for tag in ('depend', 'exec_depend')
        for element in package_xml.iter(tag)
    }
    lines = setup_cfg['options']['install_requires'].splitlines()
    for text in setup_cfg['options.extras_require'].values():
        lines += text.splitlines()
    python = {re.split(r'[^\w-]', line.strip())[0].lower() for line in lines}
    distributions = metadata.packages_distributions()
    for folder in (PACKAGE, 'launch'):
        for name in imported_packages(ROOT / folder):
            names = {name, *distributions.get(name, ())}
            known = {n for n in names if n in ros or n.lower() in python}
            assert known or name == 'vision_msgs', f'{folder} imports {name}, declared nowhere'
