# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
Make the sdist and the wheel of the last commit, into ``dist/``.

Only what is committed goes into them, so no bundle that somebody trained into ``models/``. The
wheel is built from the unpacked sdist, which shows that the sdist is complete.
"""

import contextlib
import io
import os
from pathlib import Path
import subprocess
import sys
import tarfile
import tempfile

from setuptools import build_meta

ROOT = Path(__file__).resolve().parent.parent
DIST = ROOT / 'dist'


def unpack(archive: tarfile.TarFile, folder: Path) -> None:
    """Write what is in an archive that this program made itself."""
    # The filter came with Python 3.12 and later releases of 3.10 and 3.11.
    options = {'filter': 'data'} if hasattr(tarfile, 'data_filter') else {}
    archive.extractall(folder, **options)  # type: ignore[arg-type]


def main() -> int:
    """Make both files, name them with their sizes, and return the exit code."""
    answer = subprocess.run(
        ['git', 'archive', '--format=tar', 'HEAD'], cwd=ROOT, capture_output=True
    )
    if answer.returncode != 0:
        error = answer.stderr.decode(errors='replace').strip()
        print(f'make dist needs a git repository with a commit: {error}', file=sys.stderr)
        return 1
    DIST.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with tarfile.open(fileobj=io.BytesIO(answer.stdout)) as committed:
            unpack(committed, folder / 'source')
        # Each names hundreds of files; what goes wrong is raised.
        with contextlib.redirect_stdout(io.StringIO()):
            os.chdir(folder / 'source')
            sdist = DIST / build_meta.build_sdist(str(DIST))
            with tarfile.open(sdist) as packed:
                unpack(packed, folder)
            os.chdir(folder / sdist.name.removesuffix('.tar.gz'))
            wheel = DIST / build_meta.build_wheel(str(DIST))
            os.chdir(ROOT)
    for path in (sdist, wheel):
        print(f'written: {path.relative_to(ROOT)}, {path.stat().st_size / 1e6:.1f} MB')
    print(f"next, in another environment: pip install '{wheel.relative_to(ROOT)}'")
    return 0


if __name__ == '__main__':
    sys.exit(main())
