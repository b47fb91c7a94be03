# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
Install the part that needs no ROS with ``pip install .``; all other metadata is in setup.cfg.

The version is that of package.xml. What commands read besides Python lies in the package's folder
`share`, where `dynamic_dnn_ros/files.py` looks first.
"""

from pathlib import Path
from xml.etree import ElementTree

from setuptools import find_packages, setup

PACKAGE = 'dynamic_dnn_ros'
SHARED = ('config', 'deploy', 'models', 'msg')

shared = {f'{PACKAGE}.share.{folder}': folder for folder in SHARED}
setup(
    version=ElementTree.parse(Path(__file__).with_name('package.xml')).findtext('version'),
    packages=[*find_packages(include=[PACKAGE, f'{PACKAGE}.*']), *shared],
    package_dir=shared,
    package_data={
        PACKAGE: ['py.typed'],
        f'{PACKAGE}.cli.view': ['page/**/*'],
        **{package: ['**/*'] for package in shared},
    },
)
