.DEFAULT_GOAL := help
PYTHON ?= python3
VENV := .venv
PY := $(VENV)/bin/python
# What is compiled once is read by every worker and every process that a test starts.
unexport PYTHONDONTWRITEBYTECODE
READY := $(VENV)/.ready-$(shell $(PYTHON) -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null)
DEV := $(READY)-dev
GATES := $(READY)-gates
# Exactly what requirements/ names, by hash: a package that was tampered with is not installed.
INSTALL := $(PY) -m pip install --quiet --disable-pip-version-check --require-hashes -r
SEEDS ?= 5
# Tests wait for processes and for what is slow: more of them than cores keep the cores at work.
SIDE_BY_SIDE ?= 5
LAST ?= 50

help:    ## this list
	@grep -hE '^[a-z]+: .*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 10

# A set-up counts once it came to its end; one that was interrupted, or was made by another Python,
# is made anew.  The demo needs only what the program needs; tests and checks need more.  Each list
# holds the one before: one call of pip, which reads the index of every package that it is given.
# Of what tests and checks need, most is never imported: Python compiles the rest where it is used.
define set-up
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "archiver needs Python 3.11 or newer: make PYTHON=python3.12 $(MAKECMDGOALS)" >&2; exit 1; }
	@test -e $(READY) || $(PYTHON) -m venv --clear $(VENV) || { echo "Python's venv is missing: apt install python3-venv" >&2; exit 1; }
	@rm -f $(VENV)/.ready-*
	@echo "setting up: downloading what $(2)" >&2
	@$(INSTALL) requirements/$(1)
	@$(PY) -m pip install --quiet --no-index --no-deps --no-build-isolation -e .
	@touch $(3)
endef

$(READY): pyproject.toml requirements/run.txt
	$(call set-up,run.txt,archiver needs,$(READY))

$(DEV): pyproject.toml requirements/run.txt requirements/dev.txt
	$(call set-up,dev.txt --no-compile,the checks and tests need,$(READY) $(DEV))

$(GATES): pyproject.toml requirements/run.txt requirements/dev.txt requirements/gates.txt
	$(call set-up,gates.txt --no-compile,the gates need,$(READY) $(DEV) $(GATES))

dev: $(DEV)    ## virtual environment with everything a developer needs

demo: $(READY)    ## a made-up channel, archived from the built-in emulator: no account needed
	@$(PY) -m archiver demo
	@command -v archiver >/dev/null || echo "Here, archiver is $(VENV)/bin/archiver."

check: $(DEV)    ## format, lint, types, layers: what a machine can judge
	@$(PY) -m ruff format --check --quiet . && $(PY) -m ruff check --quiet .
	@$(PY) -m mypy
	@layers=$$($(VENV)/bin/lint-imports --no-cache) || { echo "$$layers"; exit 1; }

core: $(DEV)
	@$(PY) -m coverage run -m pytest tests/core
	@$(PY) -m coverage report --fail-under=100

test: $(DEV)    ## everything that must hold: under two minutes, no network, no sleeping
	@$(MAKE) --no-print-directory --jobs 2 check core
	@$(PY) -m pytest --ignore tests/core -m 'not slow' --seeds $(SEEDS) -n $(SIDE_BY_SIDE) --dist worksteal

# How many worlds: of its own, since `make test` counts its universes by the same name.
sim: $(DEV)    ## SEEDS=n simulated worlds, or SEED=s again with the last LAST=n lines of its story
	@$(PY) -m tests.sim $(if $(SEED),--seed $(SEED) --last $(LAST),--seeds $(if $(filter file,$(origin SEEDS)),500,$(SEEDS)))

include tools/torture.mk
include tools/measure.mk

faults: $(DEV)    ## every row of the fault catalogue: its test, and how often it was met
	@$(PY) -m tests.faults $(ROWS)

docs: $(DEV)    ## redraw the life cycle from its table
	@$(PY) tools/draw_lifecycle.py > docs/lifecycle.mmd
	@sed -i.old -e '/^```mermaid/,/^```$$/{//!d;}' -e '/^```mermaid/r docs/lifecycle.mmd' docs/architecture.md
	@rm docs/architecture.md.old

man: $(DEV)    ## write the manual pages anew from the commands
	@$(PY) -m tools.manual

mutants: $(GATES)    ## break the core in every small way: does a test say so?
	@$(PY) -m tools.mutants $(MODULES)

audit: $(GATES)    ## known holes in what is installed; fails where nobody can be asked
	@$(VENV)/bin/pip-audit --strict --disable-pip --require-hashes --progress-spinner off -r requirements/gates.txt

judges: $(GATES)    ## the official schemas of PREMIS and Kubernetes: do they take what is ours?
	@$(PY) -m pytest tests/ports/test_history.py tests/test_nightly_examples.py -k official

lock: $(GATES)    ## choose newer versions of what is installed, and write down their hashes
	@$(PY) -m tools.lock

clean:    ## forget the virtual environment and every cache
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis .coverage mutants archiver-demo

.PHONY: help dev demo check core test faults docs man mutants audit judges lock clean
