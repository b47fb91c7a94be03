# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
Build the site of the documents into ``site/``, with what it needs in an environment of its own.

The extra ``docs`` of setup.cfg says what that is. The API comes from the sources, which are read
and not imported, so neither ROS nor PyTorch is needed.
"""

import hashlib
import os
from pathlib import Path
import subprocess
import sys
import venv

from package_metadata import parse_lines, read_setup_cfg

ROOT = Path(__file__).resolve().parent.parent
ENVIRONMENT = ROOT / '.docs'
PYTHON = ENVIRONMENT / 'bin' / 'python'
STAMP = ENVIRONMENT / '.ready'


def prepare(requirements: list[str]) -> None:
    """
    Make the environment, unless it is there and of these requirements.

    :raises subprocess.CalledProcessError: when pip cannot install them
    """
    wanted = hashlib.sha256('\n'.join(requirements).encode()).hexdigest()
    if STAMP.is_file() and STAMP.read_text() == wanted:
        return
    print('==> what the site needs, into .docs', flush=True)
    venv.create(ENVIRONMENT, clear=True, with_pip=True)
    subprocess.run([PYTHON, '-m', 'pip', 'install', '-q', *requirements], check=True)
    STAMP.write_text(wanted)


def main() -> int:
    """Build the site and return the exit code."""
    extras = read_setup_cfg(ROOT / 'setup.cfg')['options.extras_require']
    try:
        prepare(parse_lines(extras['docs']))
    except subprocess.CalledProcessError:
        print('make docs: pip could not install what the site needs, see above', file=sys.stderr)
        return 1
    # Material tells of its successor in each build; docs/notes/documents.md does it once.
    environment = {**os.environ, 'NO_MKDOCS_2_WARNING': '1'}
    command = [PYTHON, '-m', 'mkdocs', 'build', '--strict']
    answer = subprocess.run(command, cwd=ROOT, env=environment)
    if answer.returncode != 0:
        print('make docs: mend what is named above', file=sys.stderr)
        return 1
    print('written: site/index.html')
    return 0


if __name__ == '__main__':
    sys.exit(main())
