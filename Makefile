# make run         measure now on this machine, without a configuration
# make test        the whole test suite
# make test-fast   the quick tests of the code, which need neither root nor a server
# make check       format, lint, types, tests, and the wheel in a clean environment
# make check-full  make check, coverage, long fuzzing, and every fault test in full; then the unit tests
#                  and booted devices with Python 3.13 and 3.14, and the packages for ARM
#                  (needs root, debootstrap, qemu-user-static and r-cran-survey; over two hours)
# make bench       print the figures of bench/
# make docs        write the generated reference pages
# make report      build the example report from a simulated election, and check its numbers
# make card        build the technician's card as PDF, in English and Indonesian
# make faults      the fault tests in full (long)
# make fuzz        fuzz the evidence with atheris, a minute for each of six targets
# make audit       look for known vulnerabilities of the locked libraries
# make lock        write the lock files of requirements/ (needs uv)
# make packages    Debian packages and self-extracting files for all processors
# make demo        a small nation on a drill day: InfluxDB, Grafana and full boards
# make grafana-test  boards and alerts in a real Grafana (QOS_GRAFANA names its folder)

PYTHON ?= python3
WORKERS ?= auto
VENV := .venv
BIN := $(VENV)/bin
STAMPS := $(VENV)/stamps

# Compile each module once, not once for each process of the tests, and outside of the
# source folders.
unexport PYTHONDONTWRITEBYTECODE
export PYTHONPYCACHEPREFIX := $(CURDIR)/$(VENV)/pycache

# make run FOR=60s THROUGHPUT=off CONFIG=agent.toml
FOR ?=
THROUGHPUT ?= on
CONFIG ?=

.PHONY: audit card report fuzz packages run test test-fast coverage check check-full format lint types wheel bench docs faults demo grafana-test lock clean

$(STAMPS)/agent: requirements/agent.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed; this is " + sys.version)'
	@echo "Installing the libraries, about half a minute ..."
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/agent.txt
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps -e .
	@mkdir -p $(STAMPS) && touch $@

$(STAMPS)/dev: requirements/dev.txt requirements/dbusmock.txt requirements/bagit.txt $(STAMPS)/agent
	@echo "Installing the libraries of the tests, about a minute ..."
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/dev.txt
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --no-deps -r requirements/dbusmock.txt -r requirements/bagit.txt
	@mkdir -p $(STAMPS) && touch $@

run: $(STAMPS)/agent
	@$(BIN)/qos-agent run $(if $(CONFIG),--config $(CONFIG)) $(if $(FOR),--for $(FOR)) $(if $(filter off,$(THROUGHPUT)),--without throughput)

# Tests that measure time or load run alone, after all others.
test: $(STAMPS)/dev
	$(BIN)/python -m pytest -m "not serial" -n $(WORKERS) --dist loadgroup
	$(BIN)/python -m pytest -m serial

# The quick tests are those of the agent. Documents, boards, fuzzing, the archive, reports
# and the operations centre take longer; `make test` runs them.
UNIT := -m "unit and not slow and not serial"
FAST := $(UNIT) --ignore=tests/fuzz --ignore=tests/archive \
	--ignore=tests/noc --ignore=tests/report \
	--ignore=tests/docs --ignore=tests/grafana --ignore=tests/test_prose.py

test-fast: $(STAMPS)/dev
	$(BIN)/python -m pytest -q $(FAST) -n $(WORKERS) --dist loadgroup

# The branches of the package that the unit tests reach. Those of the documents count too,
# because they run most commands.
coverage: $(STAMPS)/dev
	$(BIN)/python -m pytest -q $(UNIT) -n $(WORKERS) --dist loadgroup \
		--cov=qos_agent --cov-branch --cov-report=term:skip-covered

check: $(STAMPS)/dev format lint types test wheel

check-full: check coverage faults fuzz
	QOS_HYPOTHESIS=full $(BIN)/python -m pytest -q -m "unit and not serial" -n $(WORKERS) --dist loadgroup
	bash tests/debian.sh trixie
	bash tests/debian.sh sid
	bash tests/device.sh trixie
	bash tests/device.sh sid
	$(BIN)/python -m deploy.packages --out dist
	bash tests/packages_arm.sh dist

# Not one of the libraries of the tests, because it has 62 MB.
FUZZ_SECONDS ?= 60
fuzz: $(STAMPS)/dev
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --no-deps -r requirements/atheris.txt
	$(BIN)/python -m tests.fuzz.guided $(FUZZ_SECONDS)

format: $(STAMPS)/dev
	$(BIN)/ruff format --check .

lint: $(STAMPS)/dev
	$(BIN)/ruff check .

types: $(STAMPS)/dev
	$(BIN)/mypy

# The wheel must work where nothing of this folder is: a clean environment, elsewhere.
wheel: $(STAMPS)/dev
	sh tests/wheel.sh $(BIN)/python

docs: $(STAMPS)/dev
	$(BIN)/python docs/reference/generate.py

# Not part of `make docs`: few people change the card, and the tool has 82 MB.
card:
	$(PYTHON) -m venv $(VENV)/card
	$(VENV)/card/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/card.txt
	$(VENV)/card/bin/python docs/guide/card/build.py

# The pictures need poppler-utils. The simulation takes a minute.
report: $(STAMPS)/dev
	$(BIN)/python docs/report/example.py

bench: $(STAMPS)/dev
	$(BIN)/python -m bench

faults: $(STAMPS)/dev
	QOS_FAULTS=full $(BIN)/python -m pytest tests/faults -s
	QOS_FAULTS=full $(BIN)/python -m pytest -q tests/archive/bundle
	QOS_FAULTS=full $(BIN)/python -m pytest -q tests/deploy/test_power_cut.py \
		tests/deploy/test_self_extracting.py tests/deploy/test_everything_on.py

packages: $(STAMPS)/dev
	$(BIN)/python -m deploy.packages --out dist

demo: $(STAMPS)/agent
	$(BIN)/python -m deploy.demo

# The one test that is not in `make check`: it needs a Grafana, which not every machine has.
grafana-test: $(STAMPS)/dev
	test -n "$(QOS_GRAFANA)" || { echo "QOS_GRAFANA must name Grafana's home folder, such as /usr/share/grafana" >&2; exit 1; }
	$(BIN)/python -m pytest tests/integration/test_grafana.py -s

# Not part of `make check`, which needs no network. Without a connection it prints AUDIT
# SKIPPED; QOS_REQUIRE_AUDIT=1 makes that an error.
audit:
	$(PYTHON) -m tests.audit $(wildcard requirements/*.txt)

# Universal: one file for every processor and every Python from 3.11. Versions change only
# with `make lock LOCK_FLAGS=--upgrade`. No address of an index is written.
LOCK_FLAGS ?=
LOCK := uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-emit-find-links --no-header $(LOCK_FLAGS)
lock:
	@command -v uv >/dev/null || { echo "uv: missing. Fix: $(PYTHON) -m pip install uv" >&2; exit 1; }
	$(LOCK) -o requirements/agent.txt pyproject.toml
	$(LOCK) -c requirements/agent.txt -o requirements/dev.txt requirements/dev.in pyproject.toml --all-extras

clean:
	rm -rf $(VENV) dist build .mypy_cache .pytest_cache .ruff_cache .hypothesis
