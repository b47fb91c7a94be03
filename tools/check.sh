#!/usr/bin/env bash
# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
#
# Runs the linters, the types, the import rules and the tests, all of them even where one fails; `check.sh lint` leaves
# out the tests. Needs tools/environment.sh sourced. With PYTEST_ARGS pytest runs once, with these arguments.
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.." || exit 1

# Folders of tests that start nodes or watch the clock: one test after the other, with the computer to themselves. All other
# tests run two at a time on what these leave idle.
ALONE=(benchmarks cli launch nodes platforms serving system)

others=$(mktemp)
trap 'rm -f "$others"; kill $(jobs -p) 2>/dev/null' EXIT
failed=()
check() {
    printf '\n==> %s\n' "$*"
    "$@" || failed+=("$1 ${2:-}")
}

check ruff check .
check ruff format --check .
check find src examples -name '*.[ch]pp' -exec clang-format --dry-run -Werror {} +
check mypy
check lint-imports --no-cache
if [ "${1:-}" != lint ]; then
    # The executable, not `python -m pytest`: that would put the sources in front of the installed build.
    if [ -n "${PYTEST_ARGS:-}" ]; then
        # shellcheck disable=SC2086  # several arguments
        check pytest $PYTEST_ARGS
    else
        idle=(nice -n 19)
        chrt --idle 0 true 2>/dev/null && idle=(chrt --idle 0)
        OMP_NUM_THREADS=1 "${idle[@]}" pytest -n 2 "${ALONE[@]/#/--ignore=test/}" >"$others" 2>&1 &
        others_pid=$!
        check pytest "${ALONE[@]/#/test/}"
        printf '\n==> pytest -n 2, all other tests\n'
        wait "$others_pid" || failed+=("pytest -n 2")
        cat "$others"
    fi
fi

if [ "${#failed[@]}" -gt 0 ]; then
    printf '\nfailed: %s\n' "$(IFS=, ; echo "${failed[*]}")"
    exit 1
fi
printf '\nall passed\n'
