.DEFAULT_GOAL := help
PYTHON ?= python3
VENV := .venv
PY := $(VENV)/bin/python
READY := $(VENV)/.ready
SEEDS ?= 60
N ?= 200

help:    ## this list
	@grep -hE '^[a-z]+: .*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 10

$(READY): pyproject.toml
	@$(PYTHON) -m venv $(VENV) || { echo "Python's venv is missing: apt install python3-venv" >&2; exit 1; }
	@echo "setting up: downloading what archiver and its tests need" >&2
	@$(PY) -m pip install --quiet --disable-pip-version-check -e '.[dev]'
	@touch $@

dev: $(READY)    ## virtual environment with everything a developer needs

demo: $(READY)    ## a made-up channel, archived from the built-in emulator: no account needed
	@$(PY) -m archiver demo

check: $(READY)    ## format, lint, types, layers: what a machine can judge
	@$(PY) -m ruff format --check --quiet . && $(PY) -m ruff check --quiet .
	@$(PY) -m mypy
	@$(VENV)/bin/lint-imports --no-cache | tail -1

test: check    ## everything that must hold: under two minutes, no network, no sleeping
	@$(PY) -m coverage run -m pytest -m 'not slow' --seeds $(SEEDS)
	@$(PY) -m coverage report --fail-under=100

kill: $(READY)    ## N real kills of the real program at random moments
	@$(PY) -m pytest tests/crash -m slow --kills $(N)

docs: $(READY)    ## redraw the life cycle from its table
	@$(PY) tools/draw_lifecycle.py > docs/lifecycle.mmd

clean:    ## forget the virtual environment and every cache
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis .coverage archiver-demo

.PHONY: help dev demo check test kill docs clean
