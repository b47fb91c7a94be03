# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
Read setup.cfg, the one place of the Python metadata, and write what CMake installs of it.

The version is that of the package.xml beside it.

As a command: writes the executables (``commands/`` and ``nodes/``) and the metadata
(``egg-info/``) into a folder.
"""

import argparse
import configparser
from pathlib import Path
import shutil
import sys
from xml.etree import ElementTree

GROUPS = {'console_scripts': 'commands', 'dynamic_dnn_ros.nodes': 'nodes'}

EXECUTABLE = """\
#!{interpreter}
import sys

from {module} import {function}

if __name__ == '__main__':
    sys.exit({function}())
"""


def read_setup_cfg(path: Path) -> configparser.ConfigParser:
    """Return the sections of a setup.cfg, names as they are written."""
    configuration = configparser.ConfigParser(delimiters=('=',))
    configuration.optionxform = str  # type: ignore[assignment,method-assign]
    with path.open(encoding='utf-8') as file:
        configuration.read_file(file)
    return configuration


def parse_lines(text: str) -> list[str]:
    """Return the entries of a multi-line value, without blank lines and comments."""
    lines = (line.strip() for line in text.splitlines())
    return [line for line in lines if line and not line.startswith('#')]


def write_executables(
    configuration: configparser.ConfigParser, interpreter: str, output: Path
) -> None:
    """
    Write one executable for each entry point.

    :raises ValueError: an unknown group, or an entry that is not ``name = module:function``
    """
    for group, text in configuration['options.entry_points'].items():
        if group not in GROUPS:
            raise ValueError(f'unknown group of entry points {group!r}: not in {sorted(GROUPS)}')
        folder = output / GROUPS[group]
        folder.mkdir(parents=True)
        for line in parse_lines(text):
            name, _, target = (part.strip() for part in line.partition('='))
            module, _, function = target.partition(':')
            if not (name and module and function):
                raise ValueError(
                    f'entry point {line!r} of {group} is not "name = module:function"'
                )
            path = folder / name
            path.write_text(
                EXECUTABLE.format(interpreter=interpreter, module=module, function=function),
                encoding='utf-8',
            )
            path.chmod(0o755)


def read_version(path: Path) -> str:
    """
    Return the version that a package.xml states.

    :raises ValueError: it is no XML, or states none
    """
    try:
        version = ElementTree.parse(path).findtext('version')
    except ElementTree.ParseError as error:
        raise ValueError(f'{path} is no XML: {error}') from error
    if not version:
        raise ValueError(f'{path} states no version')
    return version


def write_metadata(configuration: configparser.ConfigParser, version: str, output: Path) -> None:
    """Write ``PKG-INFO`` and ``entry_points.txt`` as importlib.metadata reads them."""
    metadata, options = configuration['metadata'], configuration['options']
    rows = [
        ('Metadata-Version', '2.1'),
        ('Name', metadata['name']),
        ('Version', version),
        ('Summary', metadata['description']),
        ('Author', metadata['author']),
        ('License', metadata['license']),
        ('Requires-Python', options['python_requires']),
    ]
    rows += [('Requires-Dist', line) for line in parse_lines(options['install_requires'])]
    for extra, text in configuration['options.extras_require'].items():
        rows.append(('Provides-Extra', extra))
        rows += [('Requires-Dist', f'{line}; extra == "{extra}"') for line in parse_lines(text)]
    folder = output / 'egg-info'
    folder.mkdir(parents=True)
    (folder / 'PKG-INFO').write_text(
        ''.join(f'{key}: {value}\n' for key, value in rows), encoding='utf-8'
    )
    groups = (
        '\n'.join([f'[{group}]', *parse_lines(text), ''])
        for group, text in configuration['options.entry_points'].items()
    )
    (folder / 'entry_points.txt').write_text('\n'.join(groups), encoding='utf-8')


def main() -> int:
    """Read the command line and write everything anew; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--setup-cfg', type=Path, required=True, help='the file to read')
    parser.add_argument('--interpreter', required=True, help='Python that the executables run in')
    parser.add_argument('--output', type=Path, required=True, help='folder, replaced wholly')
    arguments = parser.parse_args()
    shutil.rmtree(arguments.output, ignore_errors=True)
    try:
        configuration = read_setup_cfg(arguments.setup_cfg)
        write_executables(configuration, arguments.interpreter, arguments.output)
        version = read_version(arguments.setup_cfg.with_name('package.xml'))
        write_metadata(configuration, version, arguments.output)
    except (KeyError, ValueError, OSError, configparser.Error) as error:
        print(f'{arguments.setup_cfg}: {error}', file=sys.stderr)
        return 1
    return 0


if __name__ == '__main__':
    sys.exit(main())
