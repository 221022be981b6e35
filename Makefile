# Every verb sets up what it needs first. Only Python 3.11 or newer and make must be there.
PYTHON ?= python3
VENV ?= .venv
VERSION ?= 1.0
MINUTES ?= 10
BIN := $(VENV)/bin
# What a release needs, and what checks and tests need beside it.
READY := $(VENV)/.ready
READY_DEV := $(VENV)/.ready-dev
# One worker takes a whole file, whose fixtures are then made once; in CI, slow files would leave a worker idle.
# CI runs every test; by hand the slow ones are left out. `make test TESTS=` runs all.
TESTS ?= $(if $(CI),,-m "not slow")

.PHONY: setup release fmt check test readers fuzz explorer build lock clean

setup: $(READY)

# Exact versions with hashes, and the kit itself without building in isolation: nothing else is fetched. uv
# installs in seconds what takes pip minutes; where it cannot, pip does it. The overrides in pyproject.toml are for
# `make lock` only, so uv reads no settings. The libraries are compiled once, as pip does, in a minute or two; else
# every process that a command or a test starts may do it again. $(1): the lock file, $(2): what to say of it.
define INSTALL
@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
@echo "Setting up $(VENV): $$(grep -c '^[a-z0-9]' $(1)) packages of $(1)$(2)"
@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --no-deps -r requirements-uv.lock \
	&& $(BIN)/uv pip install --no-config --python $(BIN)/python --compile-bytecode --require-hashes --no-deps -r $(1) \
	|| { echo "uv cannot install here; pip does, which takes minutes"; \
	$(BIN)/python -m pip install --disable-pip-version-check --require-hashes --no-deps -r $(1); }
@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-build-isolation --no-deps --editable .
@touch $@
endef

$(READY): requirements.lock requirements-uv.lock pyproject.toml
	$(call INSTALL,requirements.lock,; torch and its libraries are most of the 5 GB)

$(READY_DEV): $(READY) requirements-dev.lock
	$(call INSTALL,requirements-dev.lock,; those that are there stay)

release: $(READY)  ## build, check and publish a release to dist/VERSION
	$(BIN)/python publish/release.py --version $(VERSION)

fmt: $(READY_DEV)
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

check: $(READY_DEV)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

test: check
	$(BIN)/python -m pytest -n auto --dist $(if $(CI),worksteal,loadfile) $(TESTS)

# Only results of tests that pass come into the page.
readers: $(READY_DEV)  ## write the table in READERS.md: which programs and versions read a release
	mkdir -p dist
	rm -f dist/readers.jsonl
	READERS_RESULTS=$(CURDIR)/dist/readers.jsonl $(BIN)/python -m pytest -n auto --dist loadfile -m reader
	$(BIN)/python -m tests.readers.page dist/readers.jsonl

# Each runs for MINUTES, and all at once with `make -j4 fuzz`. What is found stays in dist/fuzz.
fuzz: fuzz-tables fuzz-image fuzz-table fuzz-literal  ## look for inputs that break the kit

fuzz-%: $(READY_DEV)
	$(BIN)/python -m tests.fuzz.run $* --minutes $(MINUTES)

# The bundle is in the repository, so that only who changes the page needs Node. `npm ci` takes the exact packages
# of the lock file, and runs nothing of theirs.
explorer:  ## the page of `sfhq explore` from its sources, in publish/explorer/static
	cd publish/explorer/app && npm ci --silent && node build.mjs

build: $(READY_DEV)  ## the kit as a wheel, in dist/kit
	$(BIN)/python -m hatchling build -t wheel -d dist/kit

# `requirements.lock` is a part of `requirements-dev.lock`, with the same versions.
COMPILE = $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header

lock: $(READY_DEV)  ## newest versions that pyproject.toml allows; names no registry
	$(COMPILE) --upgrade --extra dev pyproject.toml -o requirements-dev.lock
	$(COMPILE) --upgrade --extra build --extra features --extra generate --extra kaggle -c requirements-dev.lock pyproject.toml -o requirements.lock
	echo uv | $(COMPILE) --upgrade - -o requirements-uv.lock

clean:
	rm -rf $(VENV) dist .hypothesis .mypy_cache .pytest_cache .ruff_cache .import_linter_cache
