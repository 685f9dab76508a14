# Everything runs in .venv, which is made when it is missing. PYTHON chooses the interpreter (3.11 or later).
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
OLDEST := .venv-oldest
PYTEST := $(BIN)/python -m pytest
# An authorization server from npm, for `make test-servers`.
OIDC_PROVIDER := tests/servers/oidc_provider
PYTHONS := $(BIN)/nox --no-error-on-missing-interpreters

.PHONY: help install catalogue demo try test test-python test-pythons test-oldest test-servers simulate test-browser test-distributed services soak lint bench docs clean

help:
	@echo "make install           create the virtual environment .venv; all other commands do it if it is missing"
	@echo "make demo              run every example DAG on a real Airflow, against a local server"
	@echo "make try               start that Airflow, and keep it running for you until Ctrl-C"
	@echo "make test              the unit and integration tests"
	@echo "make test-python       the same on one version of Python: VERSION=3.12"
	@echo "make test-pythons      the same on every supported version of Python that is installed"
	@echo "make test-oldest       the same with the oldest supported version of every dependency"
	@echo "make test-servers      tests against two authorization servers from npm and PyPI (Debian: apt-get install nodejs npm postgresql)"
	@echo "make simulate          the rules of renewal and of resuming extracts, under more than 30,000 schedules of faults"
	@echo "make test-distributed  tests on a running Airflow, also of two hosts (Debian: apt-get install postgresql redis-server)"
	@echo "make test-browser      tests of the connection form and the page OAuth connections, in Chromium (Debian: apt-get install chromium)"
	@echo "make soak              200 tasks on two hosts while everything fails in turn, 15 minutes (Debian packages: as for test-distributed)"
	@echo "make services          check that PostgreSQL and Redis are installed, which test-distributed and soak need"
	@echo "make catalogue         generate the files about the vendor catalogue, after a change of a vendor file"
	@echo "make lint              style, types, layers"
	@echo "make docs              the documentation, in .artifacts/docs; warnings are errors"
	@echo "make bench             benchmarks, as ratios to other programs; creates virtual environments for these"
	@echo "make clean             delete the virtual environments and all files that these commands have created"

# pip of Python 3.11 knows no dependency groups yet, so it is brought up to date first.
$(VENV)/.done: pyproject.toml constraints.txt
	@echo "Installing into $(VENV). This takes a few minutes the first time."
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade "pip>=25.1"
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable . --group dev --group storages --group distributed --group servers --group docs --group pythons
	touch $@

$(OLDEST)/.done: pyproject.toml oldest.txt
	$(PYTHON) -m venv $(OLDEST)
	$(OLDEST)/bin/python -m pip install --quiet --upgrade "pip>=25.1"
	$(OLDEST)/bin/python -m pip install --quiet --constraint oldest.txt --editable . --group dev
	touch $@

install: $(VENV)/.done

demo: $(VENV)/.done
	$(BIN)/python -m sandbox.demo

try: $(VENV)/.done
	$(BIN)/python -m sandbox.playground

test: $(VENV)/.done
	$(PYTEST) --numprocesses auto --cov --cov-report=term tests/unit tests/integration

test-pythons: $(VENV)/.done
	$(PYTHONS)

# VERSION=3.12 chooses the version, and TESTS=tests/unit the tests.
test-python: $(VENV)/.done
	$(PYTHONS) --session tests-$(VERSION) $(if $(TESTS),-- $(TESTS))

test-oldest: $(OLDEST)/.done
	$(OLDEST)/bin/python -m pytest --numprocesses auto tests/unit tests/integration

# npm writes a lock file with the URLs of the registry that it is configured with, so there is none.
$(OIDC_PROVIDER)/node_modules/.done: $(OIDC_PROVIDER)/package.json
	@command -v node >/dev/null && command -v npm >/dev/null || { echo "Node.js (18 or later) or npm is missing. Debian: apt-get install nodejs npm"; exit 1; }
	cd $(OIDC_PROVIDER) && npm install --no-package-lock --no-audit --no-fund --ignore-scripts
	touch $@

test-servers: $(VENV)/.done $(OIDC_PROVIDER)/node_modules/.done
	@{ command -v postgres || ls /usr/lib/postgresql/*/bin/postgres; } >/dev/null 2>&1 || { echo "PostgreSQL is missing. Debian: apt-get install postgresql"; exit 1; }
	$(PYTEST) tests/servers

# SCHEDULES=100000 tries this many schedules of each kind of renewal, and more of extracts, with other seeds each time.
simulate: $(VENV)/.done
	$(PYTEST) --numprocesses auto tests/simulation

# TESTS chooses files, or options of pytest.
test-distributed: $(VENV)/.done services
	$(PYTEST) -o faulthandler_timeout=300 $(or $(TESTS),tests/distributed)

soak: $(VENV)/.done services
	$(PYTEST) -o faulthandler_timeout=900 tests/soak

services:
	@{ command -v redis-server && { command -v postgres || ls /usr/lib/postgresql/*/bin/postgres; }; } >/dev/null 2>&1 || { echo "PostgreSQL or Redis is missing. Debian: apt-get install postgresql redis-server"; exit 1; }

test-browser: $(VENV)/.done
	@command -v $${CHROMIUM:-chromium} >/dev/null || { echo "Chromium is missing. Debian: apt-get install chromium; or set CHROMIUM to its path."; exit 1; }
	$(PYTEST) tests/browser

lint: $(VENV)/.done
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

catalogue: $(VENV)/.done
	$(BIN)/python -m tools.catalogue

# BENCHMARKS=pulling runs only this one. PEERS=all also compares with the Airbyte CDK and the Singer SDK.
bench: $(VENV)/.done
	PEERS=$(PEERS) $(BIN)/python -m benchmarks $(BENCHMARKS)

docs: $(VENV)/.done
	$(BIN)/python -m sphinx --quiet --fail-on-warning --keep-going --builder html docs .artifacts/docs
	@echo "Open .artifacts/docs/index.html"

clean:
	rm -rf $(VENV) $(OLDEST) .nox .demo .try .artifacts $(OIDC_PROVIDER)/node_modules
