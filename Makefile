# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
.DEFAULT_GOAL := help
.PHONY: help setup ready build demo test lint bench chaos fuzz soak load dist docs clean
PYTHON ?= $(firstword $(foreach name,python3.11 python3.12 python3.13 python3.10 python3,$(shell command -v $(name))))
SHELL := /bin/bash
# Runs the rest of a line in the environment that `make setup` made.
run := . tools/environment.sh &&

help:  ## list the commands
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-8s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup:  ## make .venv, with ROS 2 as wheels unless ROS 2 is sourced, and build into .colcon
	@$(PYTHON) tools/setup.py

# The same with what users need: no linters, no tests.
ready:
	@$(PYTHON) tools/setup.py --for users

build: setup  ## the same: builds where something changed

demo: ready  ## the whole chain here; TASK=detection, BUNDLE=, STAND_IN=, PLATFORM=, FOLDER=, BAG=, VIDEO=, CAMERA=0, CAMERAS=n, SECONDS=n
	@$(run) dynamic-dnn demo $(if $(TASK),--task '$(TASK)') $(if $(BUNDLE),--bundle '$(BUNDLE)') \
	  $(if $(STAND_IN),--stand-in '$(STAND_IN)') $(if $(PLATFORM),--platform '$(PLATFORM)') $(if $(FOLDER),--pictures '$(FOLDER)') $(if $(BAG),--bag '$(BAG)') $(if $(VIDEO),--video '$(VIDEO)') \
	  $(if $(CAMERA),--camera '$(CAMERA)') $(if $(CAMERAS),--cameras '$(CAMERAS)') $(if $(SECONDS),--seconds '$(SECONDS)')

lint: setup  ## ruff, mypy and the import rules
	@$(run) tools/check.sh lint

test: setup  ## lint, then all tests against the installed build
	@$(run) tools/check.sh

bench: setup  ## a benchmark suite, SUITE=name, into benchmarks/results/name.json
	@$(run) python benchmarks/run.py $(SUITE)

chaos: setup  ## faults while two applications stream; ROUNDS=20, FAULTS='kill manager,...', SYSTEMS=2; goes on where it was
	@$(run) python reliability/chaos.py $(if $(ROUNDS),--rounds '$(ROUNDS)') $(if $(FAULTS),--faults '$(FAULTS)') $(if $(SYSTEMS),--systems '$(SYSTEMS)')

fuzz: setup  ## bad messages on every topic; MESSAGES=100000, SEED=0
	@$(run) python reliability/fuzz.py $(if $(MESSAGES),--messages '$(MESSAGES)') $(if $(SEED),--seed '$(SEED)')

soak: setup  ## 60 Hz and a switch a second for 30 minutes; MINUTES=n or HOURS=n
	@$(run) python reliability/soak.py $(if $(HOURS),--hours '$(HOURS)',$(if $(MINUTES),--minutes '$(MINUTES)'))

load: setup  ## 1, 2, 4, 8 applications on one simulated board
	@$(run) python reliability/load.py

dist: setup  ## sdist and wheel of the last commit, into dist/
	@$(run) python tools/make_dist.py

docs:  ## the documents as a site, into site/
	@$(PYTHON) tools/make_docs.py

clean:  ## remove the build, keep .venv
	rm -rf .colcon
