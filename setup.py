# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
Install the part that needs no ROS with ``pip install .``; all other metadata is in setup.cfg.

The version is that of package.xml. What commands read besides Python lies in the package's folder
`share`, where `dynamic_dnn_ros/files.py` looks first. The manager's search is compiled as in
CMakeLists.txt: a library that `ctypes` loads, for any version of Python.
"""

from pathlib import Path
from xml.etree import ElementTree

from setuptools import Extension, find_packages, setup
from setuptools.command.build_ext import build_ext

PACKAGE = 'dynamic_dnn_ros'
SHARED = ('config', 'deploy', 'models', 'msg')
SEARCH = Extension(
    f'{PACKAGE}.lib.libdynamic_dnn_joint_choice',
    ['src/joint_choice/joint_choice.cpp'],
    depends=[str(path) for path in Path('src/joint_choice').glob('*.hpp')],
    extra_compile_args=['-std=c++17', '-O2', '-g0', '-ffp-contract=off'],
    language='c++',
)


class BuildLibrary(build_ext):
    """Name the library as CMake does, without the version of Python."""

    def get_ext_filename(self, fullname: str) -> str:
        """Return the path of a library in the package."""
        return str(Path(*fullname.split('.')).with_suffix('.so'))


shared = {f'{PACKAGE}.share.{folder}': folder for folder in SHARED}
setup(
    version=ElementTree.parse(Path(__file__).with_name('package.xml')).findtext('version'),
    packages=[*find_packages(include=[PACKAGE, f'{PACKAGE}.*']), *shared],
    package_dir=shared,
    ext_modules=[SEARCH],
    cmdclass={'build_ext': BuildLibrary},
    options={'bdist_wheel': {'py_limited_api': 'cp310'}},
    package_data={
        PACKAGE: ['py.typed'],
        f'{PACKAGE}.cli.view': ['page/**/*'],
        **{package: ['**/*'] for package in shared},
    },
)
