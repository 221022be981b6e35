# Every verb sets up what it needs first. Only Python 3.11 or newer and make must be there.
PYTHON ?= python3
VENV ?= .venv
VERSION ?= 1.0
BIN := $(VENV)/bin
READY := $(VENV)/.ready
# CI runs every test; by hand the slow ones are left out. `make test TESTS=` runs all.
TESTS ?= $(if $(CI),,-m "not slow")

.PHONY: setup release fmt check test build lock clean

setup: $(READY)

# Exact versions with hashes, and the kit itself without building in isolation: nothing else is fetched.
$(READY): requirements.lock pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --no-deps -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-build-isolation --no-deps --editable .
	touch $@

release: $(READY)  ## build, check and publish a release to dist/VERSION
	$(BIN)/python publish/release.py --version $(VERSION)

fmt: $(READY)
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

check: $(READY)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

test: check
	$(BIN)/python -m pytest -n auto $(TESTS)

build: $(READY)  ## the kit as a wheel, in dist/kit
	$(BIN)/python -m hatchling build -t wheel -d dist/kit

lock: $(READY)  ## newest versions that pyproject.toml allows; names no registry
	$(BIN)/python -m pip install --quiet uv
	$(BIN)/python -m uv pip compile --quiet --upgrade --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header --extra dev pyproject.toml -o requirements.lock

clean:
	rm -rf $(VENV) dist .hypothesis .mypy_cache .pytest_cache .ruff_cache .import_linter_cache
