#!/usr/bin/env bash
# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
#
# Does what somebody new does in the first hour, and says how long each command takes: the demo out of a fresh clone, a
# network for pictures of their own, a detector of theirs. Give an empty folder, or none: then one is made and removed.
#   PICTURES=folder   pictures in a folder for each class, or with boxes; otherwise pieces of six photographs
#   ONNX=file         a detector; LABELS=coco or a file with a name a line; RESOLUTIONS=224,320 where it takes any size.
#                     Without it that part is left out
#   BRANCH=name       of this repository; otherwise what is checked out
set -euo pipefail

source=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
# Nothing of the caller's environment may help.
if [ -z "${FIRST_HOUR_CLEAN:-}" ]; then
    path=$(printf %s "$PATH" | tr : '\n' | grep -v -e "^$source/" | paste -sd:)
    exec env -i FIRST_HOUR_CLEAN=1 HOME="$HOME" PATH="$path" TERM=dumb PICTURES="${PICTURES:-}" ONNX="${ONNX:-}" \
        LABELS="${LABELS:-coco}" RESOLUTIONS="${RESOLUTIONS:-}" BRANCH="${BRANCH:-}" PIP_CACHE_DIR="${PIP_CACHE_DIR:-}" bash "$0" "$@"
fi
if [ -n "$PICTURES" ]; then PICTURES=$(realpath "$PICTURES"); fi
if [ -n "$ONNX" ]; then ONNX=$(realpath "$ONNX"); fi
[ -n "$PIP_CACHE_DIR" ] || unset PIP_CACHE_DIR

if [ $# -gt 0 ]; then
    folder=$(realpath "$1")
    mkdir -p "$folder"
else
    folder=$(mktemp -d)
    trap 'rm -rf "$folder"' EXIT
fi
if [ -n "$(ls -A "$folder")" ]; then
    echo "first_hour.sh: '$folder' is not empty: give another folder" >&2
    exit 1
fi
times=$folder/times.txt

# step COMMAND: runs it as it would be typed, and notes how long it takes.
step() {
    local begin end
    printf '\n$ %s\n' "$1"
    begin=$(date +%s.%N)
    eval "$1" || { echo "first_hour.sh: stopped at '$1'" >&2; exit 1; }
    end=$(date +%s.%N)
    awk -v a="$begin" -v b="$end" -v what="$1" 'BEGIN { printf "%8.1f s  %s\n", b - a, what }' >>"$times"
}

# part TITLE LIMIT: notes that another part begins, and what it may take.
part() { printf '\n%s (%s)\n' "$1" "$2" | tee -a "$times"; }

load() { cut -d' ' -f1-3 /proc/loadavg; }

cd "$folder"
before=$(load)
part 'From a clone to the demo' 'at most 1 command after the clone, 5 minutes'
step "git clone --quiet ${BRANCH:+--branch $BRANCH} $source dynamic_dnn_ros"
cd dynamic_dnn_ros
step 'make demo'

set +u
. tools/environment.sh
set -u
if [ -z "$PICTURES" ]; then
    PICTURES=$folder/pictures
    python tools/cut_pictures.py "$PICTURES"
fi
part 'From the demo to a network for own pictures' 'at most 4 commands, 10 minutes'
step "dynamic-dnn new mine --data '$PICTURES'"
step 'dynamic-dnn train mine.yaml'
step 'dynamic-dnn search mine.yaml'
step 'make demo BUNDLE=models/mine'

if [ -n "$ONNX" ]; then
    part 'From a detector as ONNX to managed boxes' 'at most 3 commands'
    step "dynamic-dnn import-onnx '$ONNX' --labels '$LABELS' ${RESOLUTIONS:+--resolutions $RESOLUTIONS} --output my_detector"
    step 'dynamic-dnn profile my_detector'
    step 'make demo BUNDLE=my_detector PLATFORM=linux'
fi

printf '\n%s, load before %s, after %s\n' \
    "$(python -c 'from dynamic_dnn_ros.platforms.hardware import hardware_name; print(hardware_name())')" "$before" "$(load)"
cat "$times"
