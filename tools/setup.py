#!/usr/bin/env python3
# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
Make the virtual environment ``.venv`` and build the package into ``.colcon``, without root.

``--for users`` leaves out what only those need who change the package: linters, tests, documents.
Where ROS 2 is sourced, it is used; elsewhere its libraries are installed as wheels. A call that
finds everything made returns at once; an interrupted one is continued by the next, because both
stamps are written last. Needs nothing but the standard library of Python 3.10 or newer.
"""

import argparse
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
import sys

if sys.version_info < (3, 10):  # noqa: UP036 (this file is what tells so)
    sys.exit('set-up needs Python 3.10 or newer: call it with that, as python3.11')

import fcntl
import hashlib
import json
import os
from pathlib import Path
import shutil
import subprocess
import time

from package_metadata import parse_lines, read_setup_cfg

PACKAGE = 'dynamic_dnn_ros'
ROOT = Path(__file__).resolve().parent.parent
TOOLS = ROOT / 'tools'
REQUIREMENTS = TOOLS / 'requirements'
VENV = ROOT / '.venv'
VENV_STAMP = VENV / '.ready'
COLCON = ROOT / '.colcon'
BUILD_STAMP = COLCON / '.ready'
# The wheels of ROS 2 Jazzy exist for these; the first one is what everything is tested with.
PYTHONS_WITH_WHEELS = ('3.11', '3.12', '3.13', '3.10')
BUILD_INPUTS = ('CMakeLists.txt', 'package.xml', 'setup.cfg', 'tools/package_metadata.py')
INSTALLED_FOLDERS = (PACKAGE, 'launch', 'config', 'models', 'deploy', 'examples')
# Compiled modules of ROS 2 or of the board were built against these: no newer wheels for them.
SYSTEM_PACKAGES = ('numpy', 'torch', 'torchvision')
# Extras of setup.cfg without which the demo, the tutorial or an import of a detector would stop.
FOR_USERS = ('torch', 'train', 'search', 'onnx', 'demo', 'view', 'detection', 'evaluation')
# What asks for packages that would spoil others: requirements/torch.txt and tracking.txt say why.
WITHOUT_DEPENDENCIES = ('torchvision', 'trackers')


class SetupError(Exception):
    """Set-up cannot go on; the message names the remedy."""


@dataclass(frozen=True)
class Python:
    """An interpreter that virtual environments can be made from."""

    executable: str
    version: str
    system_packages: dict[str, str]
    """Versions of those of ``SYSTEM_PACKAGES`` that it has, by name."""


def step(text: str) -> None:
    """Print a line that says what is being done now."""
    print(f'==> {text}', flush=True)


def run(
    command: list[str], log: Path, remedy: str, environment: dict[str, str] | None = None
) -> None:
    """
    Run a command with its output in a log file, and show that it lives.

    :raises SetupError: it failed; the message has the end of the log
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    started = time.monotonic()
    with log.open('w', encoding='utf-8') as output:
        process = subprocess.Popen(
            command, stdout=output, stderr=subprocess.STDOUT, env=environment, cwd=COLCON
        )
        try:
            while process.poll() is None:
                time.sleep(0.2)
                if sys.stdout.isatty():
                    print(f'\r    {time.monotonic() - started:4.0f} s', end='', flush=True)
        except BaseException:
            process.terminate()
            process.wait()
            raise
    print(
        f'\r    done in {time.monotonic() - started:.0f} s' if process.returncode == 0 else '\r',
        flush=True,
    )
    if process.returncode != 0:
        lines = log.read_text(encoding='utf-8', errors='replace').splitlines()
        lines = [line for line in lines if not line.startswith('WARNING')]
        end = '\n'.join(f'    {line}' for line in lines[-25:])
        raise SetupError(
            f'{" ".join(command[:4])} ... failed:\n{end}\n  All of it: {log}\n  {remedy}'
        )


def digest(parts: Iterable[str | bytes]) -> str:
    """Return one hash over texts and file contents, in order."""
    state = hashlib.sha256()
    for part in parts:
        data = part.encode() if isinstance(part, str) else part
        state.update(len(data).to_bytes(8, 'little') + data)
    return state.hexdigest()


def read_stamp(path: Path) -> str:
    """Return the content of a stamp, empty where there is none."""
    try:
        return path.read_text(encoding='utf-8')
    except OSError:
        return ''


def sourced_ros() -> str | None:
    """Return the name of the ROS 2 distribution that is sourced and has rclpy, or None."""
    prefixes = os.environ.get('AMENT_PREFIX_PATH', '').split(os.pathsep)
    has_rclpy = any(
        (Path(prefix) / 'share/rclpy/package.xml').is_file()
        for prefix in prefixes
        if prefix and Path(prefix) != VENV
    )
    return os.environ.get('ROS_DISTRO') if has_rclpy else None


def inspect_python(executable: str, needs: str = 'venv') -> Python | None:
    """
    Return what is known of an interpreter.

    :return: None if it makes no virtual environments or lacks the module that is needed
    """
    query = (
        f'import sys, json, ensurepip, venv, {needs}\n'
        'from importlib import metadata\n'
        f'names = {{d.metadata["Name"]: d.version for d in metadata.distributions()}}\n'
        f'found = {{n: names[n] for n in {SYSTEM_PACKAGES!r} if n in names}}\n'
        # Inside a virtual environment: the interpreter that it was made from.
        'executable = getattr(sys, "_base_executable", None) or sys.executable\n'
        'print(json.dumps([executable, "%d.%d" % sys.version_info[:2], found]))'
    )
    try:
        answer = subprocess.run(
            [executable, '-c', query], capture_output=True, text=True, timeout=60, check=True
        )
        return Python(*json.loads(answer.stdout))
    except (OSError, subprocess.SubprocessError, ValueError):
        return None


def choose_python(ros: str | None) -> Python:
    """
    Return the interpreter for the virtual environment.

    With ROS 2 sourced it is the one that rclpy was built for, otherwise one that wheels exist for.

    :raises SetupError: there is none
    """
    if ros:
        for executable in ('python3', '/usr/bin/python3'):
            python = inspect_python(executable, needs='rclpy')
            if python:
                return python
        raise SetupError(
            f'ROS 2 {ros} is sourced, but no python3 that imports rclpy and makes virtual '
            'environments was found.\n'
            '  Remedy: install the package python3-venv; leave other environments first.'
        )
    for version in PYTHONS_WITH_WHEELS:
        for name in (f'python{version}', sys.executable):
            python = inspect_python(name)
            if python and python.version == version:
                return python
    raise SetupError(
        'no Python that the ROS 2 wheels exist for, with the module venv, was found.\n'
        f'  Looked for: {", ".join("python" + version for version in PYTHONS_WITH_WHEELS)}; '
        f'this one is {sys.version.split()[0]}.\n'
        '  Remedy: install Python 3.11 (and its venv package), or source ROS 2.'
    )


def python_requirements(for_users: bool) -> list[str]:
    """
    Return what setup.cfg asks for, but for what is installed by itself.

    :param for_users: with the extras of ``FOR_USERS`` only; otherwise with all but ``docs``, which
        have an environment of their own
    """
    configuration = read_setup_cfg(ROOT / 'setup.cfg')
    extras = configuration['options.extras_require']
    names = FOR_USERS if for_users else [name for name in extras if name != 'docs']
    texts = [configuration['options']['install_requires'], *(extras[name] for name in names)]
    lines = {line for text in texts for line in parse_lines(text)}
    return sorted(line for line in lines if not line.startswith(WITHOUT_DEPENDENCIES))


def ros_digest(ros: str | None) -> str:
    """Return the hash of what messages are compiled against."""
    return digest([ros or 'wheels', str(VENV), (REQUIREMENTS / 'ros.txt').read_bytes()])


def venv_digest(ros: str | None, for_users: bool = False) -> str:
    """Return the hash of everything that the virtual environment is made from."""
    files = sorted(REQUIREMENTS.glob('*.txt')) + [TOOLS / 'torchvision_operators.py']
    return digest(
        [ros_digest(ros), *python_requirements(for_users)]
        + [part for path in files for part in (path.name, path.read_bytes())]
    )


def check_compilers() -> None:
    """
    Check that messages and the manager's search can be compiled.

    :raises SetupError: cmake or a compiler is missing
    """
    if not shutil.which('cmake'):
        raise SetupError(
            'cmake was not found, which builds messages and the search of the manager.\n'
            '  Remedy: install the package cmake, or put one from "pip install cmake" on the PATH.'
        )
    for variable, names in (('CC', ('cc', 'gcc', 'clang')), ('CXX', ('c++', 'g++', 'clang++'))):
        if not any(shutil.which(name) for name in (os.environ.get(variable, ''), *names) if name):
            raise SetupError(
                f'no compiler ({" or ".join(names)}) was found, which messages and the search of '
                'the manager need.\n'
                f'  Remedy: install the package build-essential, or set {variable} to a compiler.'
            )


def venv_fits(python_version: str, ros: str | None) -> bool:
    """Return whether a virtual environment that was begun can be continued."""
    try:
        lines = (VENV / 'pyvenv.cfg').read_text(encoding='utf-8').splitlines()
        values = dict(line.split(' = ', 1) for line in lines if ' = ' in line)
    except OSError:
        return False
    try:
        command = [str(VENV / 'bin/python'), '-m', 'pip', '--version']
        is_alive = subprocess.run(command, capture_output=True).returncode == 0
    except OSError:
        return False
    return (
        is_alive
        and values.get('include-system-site-packages') == ('true' if ros else 'false')
        and values.get('version', '').startswith(python_version + '.')
    )


def site_packages() -> Path:
    """Return the folder of the virtual environment that packages are installed into."""
    query = 'import sysconfig; print(sysconfig.get_path("purelib"))'
    answer = subprocess.run(
        [VENV / 'bin/python', '-c', query], capture_output=True, text=True, check=True
    )
    return Path(answer.stdout.strip())


def correct_exports() -> None:
    """Replace the paths of the wheels' build machine in their CMake files by those of this one."""
    query = (
        'import numpy, sysconfig; print(sysconfig.get_path("include")); print(numpy.get_include())'
    )
    answer = subprocess.run(
        [VENV / 'bin/python', '-c', query], capture_output=True, text=True, check=True
    )
    python_include, numpy_include = answer.stdout.split('\n')[:2]
    for path in VENV.glob('share/*/cmake/*.cmake'):
        text = path.read_text(encoding='utf-8')
        marker = '/opt/python/'
        if marker not in text:
            continue
        parts = text.split('"')
        for index, part in enumerate(parts):
            if marker in part:
                folders = part.split(';')
                parts[index] = ';'.join(
                    folder
                    if marker not in folder
                    else numpy_include
                    if 'numpy' in folder
                    else python_include
                    for folder in folders
                )
        path.write_text('"'.join(parts), encoding='utf-8')


def make_venv(ros: str | None, stamp: str, for_users: bool) -> None:
    """
    Make or complete the virtual environment.

    :param for_users: with what users need only
    :raises SetupError: no Python fits, or a package cannot be installed
    """
    python = choose_python(ros)
    source = f'ROS 2 {ros} of this machine' if ros else 'ROS 2 Jazzy as wheels'
    VENV_STAMP.unlink(missing_ok=True)
    log = COLCON / 'log'
    if not venv_fits(python.version, ros):
        step(f'virtual environment in .venv: Python {python.version}, {source}')
        shutil.rmtree(VENV, ignore_errors=True)
        options = ['--system-site-packages'] if ros else []
        run(
            [python.executable, '-m', 'venv', *options, str(VENV)],
            log / 'venv.log',
            'Remedy: install the venv package of this Python.',
        )
    (VENV / 'COLCON_IGNORE').touch()

    pip = [str(VENV / 'bin/python'), '-m', 'pip', 'install', '--disable-pip-version-check']
    remedy = (
        'Remedy: check the connection to the package registry and the free disk space, '
        'then run this again.'
    )
    constraints = []
    if ros:
        pinned = COLCON / 'system-packages.txt'
        rows = [f'{name}=={version}\n' for name, version in python.system_packages.items()]
        pinned.write_text(''.join(rows), encoding='utf-8')
        constraints += ['-c', str(pinned)]
    elif (REQUIREMENTS / f'constraints-{python.version}.txt').is_file():
        constraints += ['-c', str(REQUIREMENTS / f'constraints-{python.version}.txt')]
    own_torch = not (ros and 'torch' in python.system_packages)
    if own_torch:
        constraints += ['-c', str(REQUIREMENTS / 'torch.txt')]
    wheels = [] if ros else ['-r', str(REQUIREMENTS / 'ros.txt')]
    tools = '' if for_users else ', tools'
    step(f'packages into .venv: {source}, PyTorch{tools} (some minutes the first time)')
    needed = python_requirements(for_users)
    run([*pip, *constraints, *wheels, *needed], log / 'packages.log', remedy)
    if own_torch:
        run([*pip, '--no-deps', '-r', str(REQUIREMENTS / 'torch.txt')], log / 'torch.log', remedy)
        target = site_packages()
        shutil.copy(TOOLS / 'torchvision_operators.py', target)
        (target / 'torchvision_operators.pth').write_text(
            'import torchvision_operators\n', encoding='utf-8'
        )
    if not for_users:
        tracking = [*pip, '--no-deps', '-r', str(REQUIREMENTS / 'tracking.txt')]
        run(tracking, log / 'tracking.log', remedy)
    if not ros:
        correct_exports()
    VENV_STAMP.write_text(stamp, encoding='utf-8')


def installed_files() -> Iterator[str]:
    """Yield the name of each installed file: a new or a removed one causes a build."""
    for folder in INSTALLED_FOLDERS:
        for path, folders, files in os.walk(ROOT / folder):
            folders[:] = sorted(name for name in folders if name != '__pycache__')
            for name in sorted(files):
                if not name.endswith('.pyc'):
                    yield os.path.relpath(os.path.join(path, name), ROOT)


def build_digest(ros: str | None) -> str:
    """Return the hash of what a build depends on; of linked files only the names count."""
    inputs = [ROOT / name for name in BUILD_INPUTS]
    for folder, kind in (('msg', '*.msg'), ('srv', '*.srv'), ('src', '**/*.[ch]pp')):
        inputs += sorted((ROOT / folder).glob(kind))
    return digest(
        [ros_digest(ros), *installed_files()]
        + [part for path in inputs for part in (path.name, path.read_bytes())]
    )


def build_environment() -> dict[str, str]:
    """Return the variables that tools/environment.sh sets."""
    query = 'import json, os; print(json.dumps(dict(os.environ)))'
    script = f'. "{TOOLS}/environment.sh" && exec "$VIRTUAL_ENV/bin/python" -c "{query}"'
    answer = subprocess.run(
        ['sh', '-c', script],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, 'DYNAMIC_DNN_ROOT': str(ROOT)},
    )
    environment: dict[str, str] = json.loads(answer.stdout)
    return environment


def prune_links(folder: Path) -> None:
    """Remove the links to files that are gone from the source."""
    for path, _, files in os.walk(folder):
        for name in files:
            link = Path(path) / name
            if link.is_symlink() and not link.exists():
                link.unlink()


def build(stamp: str) -> None:
    """
    Build and install with colcon, Python files as links.

    :raises SetupError: a tool is missing or the build fails
    """
    check_compilers()
    BUILD_STAMP.unlink(missing_ok=True)
    # CMake refuses to export a folder inside the source tree, where the virtual environment is:
    # build from a workspace that the repository is linked into.
    source = COLCON / 'src' / PACKAGE
    source.parent.mkdir(exist_ok=True)
    if not source.is_symlink():
        source.symlink_to(os.path.relpath(ROOT, source.parent))
    prune_links(COLCON / 'install')
    colcon = shutil.which('colcon', path=f'{VENV / "bin"}{os.pathsep}{os.environ.get("PATH", "")}')
    if not colcon:
        raise SetupError(
            'colcon was not found.\n'
            '  Remedy: install the package python3-colcon-common-extensions.'
        )
    environment = build_environment()
    step('colcon build into .colcon/install (messages take a minute the first time)')
    run(
        [
            colcon,
            '--log-base',
            'log/colcon',
            'build',
            '--base-paths',
            f'src/{PACKAGE}',
            '--build-base',
            'build',
        ]
        + [
            '--install-base',
            'install',
            '--merge-install',
            '--symlink-install',
            '--packages-select',
            PACKAGE,
        ]
        + ['--event-handlers', 'console_direct+', '--cmake-args', '-DBUILD_TESTING=OFF']
        + [f'-DPython3_EXECUTABLE={VENV / "bin/python"}'],
        COLCON / 'log' / 'build.log',
        'Remedy: mend what the compiler names; "make clean" starts afresh.',
        environment,
    )
    BUILD_STAMP.write_text(stamp, encoding='utf-8')


@contextmanager
def exclusive() -> Iterator[None]:
    """Let one set-up run at a time."""
    COLCON.mkdir(exist_ok=True)
    (COLCON / 'COLCON_IGNORE').touch()
    with (COLCON / '.lock').open('w') as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            step('another set-up is running here: waiting for it')
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def main(arguments: list[str]) -> int:
    """
    Bring the virtual environment and the build up to date; return the exit code.

    :param arguments: of the command line
    """
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--for', dest='whom', choices=('users', 'all'), default='all')
    for_users = parser.parse_args(arguments).whom == 'users'
    ros = sourced_ros()
    try:
        with exclusive():
            whole, stamp = venv_digest(ros), venv_digest(ros, for_users)
            # Who has all has what users need.
            if read_stamp(VENV_STAMP) not in (whole, stamp):
                check_compilers()
                make_venv(ros, stamp, for_users)
            stamp = build_digest(ros)
            if read_stamp(BUILD_STAMP) != stamp:
                build(stamp)
    except SetupError as error:
        print(f'\nset-up failed: {error}', file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print('\nset-up interrupted: the next call goes on from here', file=sys.stderr)
        return 130
    return 0


if __name__ == '__main__':
    sys.exit(main(sys.argv[1:]))
