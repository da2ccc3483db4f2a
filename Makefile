# make course · make test · make data · make help. Needs Python 3.10–3.13 and make, nothing else.

SHELL := bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

# The first of these that this project supports makes the environment.
PYTHON ?= python3 python3.13 python3.12 python3.11 python3.10 python
VENV ?= .venv
# Test workers; 0 runs everything in one process.
JOBS ?= 2

run := $(VENV)/bin/python
installed := $(VENV)/.installed
fits := import sys; sys.exit(not (3, 10) <= sys.version_info[:2] <= (3, 13))

.PHONY: help
help:  ## list these commands
	@awk -F ':.*##' '/^[a-z-]+:.*##/ { printf "  make %-12s%s\n", $$1, $$2 }' Makefile

.PHONY: course
course: $(installed)  ## run notebooks 01–07 on the rendered sample faces (6 minutes on two cores)
	@$(run) -m tools.notebooks execute notebooks/0[1-7]_*.ipynb --to runs/course
	@echo "executed copies: runs/course/ · to read along: make lab"

.PHONY: test
test: $(installed)  ## unit and property tests, notebook hygiene, every notebook's output
	@$(run) -m pytest -n $(JOBS) --dist loadscope -m "not real_data and not slow" tests
	@$(run) -m pytest -n $(JOBS) --dist loadscope --nbval notebooks
	@echo "make test: all passed"

.PHONY: test-slow
test-slow: $(installed)  ## training runs that are killed, several devices, Colab's setup cell
	@$(run) -m pytest -n $(JOBS) --dist loadscope -m "slow and not real_data" tests

.PHONY: test-real
test-real: $(installed)  ## tests on the real data; skipped where data/raw does not have them
	@$(run) -m pytest -m real_data tests

.PHONY: data
data: $(installed)  ## fetch FER2013 into data/raw; or use a copy: make data FROM=fer2013.csv
	@$(run) -m utils.datasets.download $(if $(FROM),--from "$(FROM)") $(if $(SOURCE),--source $(SOURCE))

.PHONY: lab
lab: $(installed)  ## open the notebooks in JupyterLab
	@$(VENV)/bin/jupyter lab notebooks

.PHONY: app
app: $(installed)  ## serve the page on this machine: photo, video, camera (http://127.0.0.1:5000)
	@$(run) app.py

.PHONY: site
site: $(installed)  ## build the page that needs no server into site/ (npm fetches onnxruntime-web)
	@$(run) -m web.site

.PHONY: lint
lint: $(installed)  ## check code and notebooks
	@$(run) -m ruff check .
	@$(run) -m ruff format --check .
	@$(run) -m tools.notebooks check

.PHONY: format
format: $(installed)  ## fix what can be fixed; update the shared cells
	@$(run) -m ruff check --fix .
	@$(run) -m ruff format .
	@$(run) -m tools.notebooks sync

.PHONY: readme
readme: $(installed)  ## write the README's numbers and the runs' figures from the records
	@$(run) -m tools.readme

.PHONY: lock
lock: $(installed)  ## update requirements.lock; make lock UPGRADE=--upgrade moves every pin
	@$(run) -m pip install --quiet uv
	@$(VENV)/bin/uv pip compile pyproject.toml --extra dev --universal --python-version 3.10 \
	    --no-header --no-annotate --quiet $(UPGRADE) --output-file requirements.lock
	@git diff --stat -- requirements.lock

.PHONY: env
env: $(installed)  ## make the environment only (.venv)

.PHONY: clean
clean:  ## remove what these commands made: environment, caches, live runs; never data/raw
	rm -rf $(VENV) runs site data/cache build dist *.egg-info
	rm -rf .pytest_cache .ruff_cache .hypothesis
	find . -name __pycache__ -not -path './.git/*' -prune -exec rm -rf {} +

# Touched last, so an interrupted install is resumed.
$(installed): pyproject.toml requirements.lock
	@if [ ! -x $(run) ] || ! $(run) -c '$(fits)' 2>/dev/null; then \
	    python=; \
	    for candidate in $(PYTHON); do \
	        if "$$candidate" -c '$(fits)' 2>/dev/null; then python=$$candidate; break; fi; \
	    done; \
	    if [ -z "$$python" ]; then \
	        echo "This needs Python 3.10, 3.11, 3.12 or 3.13; none was found under: $(PYTHON)." >&2; \
	        echo "Name one: make PYTHON=/path/to/python3.12 $(MAKECMDGOALS)" >&2; \
	        exit 1; \
	    fi; \
	    echo "environment: $(VENV), with $$("$$python" --version)"; \
	    rm -rf $(VENV); \
	    "$$python" -m venv $(VENV) || { \
	        echo "Python could not make $(VENV). On Debian and Ubuntu: apt install python3-venv" >&2; \
	        rm -rf $(VENV); exit 1; }; \
	fi
	@echo "packages: installing what requirements.lock names (4 GB on disk with TensorFlow; a few minutes)"
	@$(run) -m pip install --quiet --disable-pip-version-check --constraint requirements.lock \
	    --editable '.[dev]' || { \
	    echo "The packages could not be installed: pip says why above. No network? Disk full?" >&2; \
	    echo "Run the same command to resume." >&2; exit 1; }
	@# Matplotlib's first import builds a font cache and says so: here, not in a notebook's output.
	@$(run) -c 'import matplotlib.pyplot' 2>/dev/null
	@touch $@
