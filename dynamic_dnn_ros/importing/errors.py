# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The one error of an import."""

from __future__ import annotations


class ImportingError(ValueError):
    """Something cannot be imported. The text names the input, the problem and the remedy."""

    def __init__(self, where: object, problem: str, remedy: str) -> None:
        super().__init__(f'{where}: {problem}. {remedy}')
        self.where = str(where)
        self.problem = problem
        self.remedy = remedy
