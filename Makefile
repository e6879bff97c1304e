# Everything runs from .venv; each command sets up what it needs first, and at no cost when that is done.
PY := .venv/bin/python
ARGS ?=
RELEASED := protos/released.binpb

.PHONY: help setup run test test-faults test-ha test-clients verify fix bench bench-peers bench-replicas protos release-protos lock

help:  ## this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## (.*)/\1	\2/' | expand -t 16

setup:  ## .venv from requirements/dev.lock, with this checkout in it
	@sh tools/setup.sh dev

run:  ## a server, a worker and sample tasks; ARGS=--once ends when they have
	@sh tools/setup.sh run
	@$(PY) -m taskwheel.cli dev $(ARGS)

test: setup  ## all tests but those of the other languages; ARGS goes to pytest
	@$(PY) -m pytest -n 2 --dist worksteal $(ARGS)
	@$(PY) -m tests.conformance --lacking

test-faults: setup  ## the fault tests at full size: hours; ARGS goes to pytest
	@TASKWHEEL_TEST_FAULTS=full $(PY) -m pytest tests/faults $(ARGS)

test-clients: setup  ## every language through one table of behaviours, as a matrix; ARGS="--only go" and more
	@GRPC_VERBOSITY=NONE $(PY) -m tests.conformance $(ARGS)

test-ha: setup  ## tests on PostgreSQL under Patroni, whose leader is killed, and behind PgBouncer; installs them if root
	@sh tools/ha.sh $(ARGS)

verify: setup  ## lint, types, import law, generated code and reference = contract, which breaks nothing that was released
	$(PY) -m ruff check .
	$(PY) -m ruff format --check .
	$(PY) -m mypy
	.venv/bin/lint-imports --no-cache --no-logo
	$(PY) tools/source_rules.py
	.venv/bin/buf lint
	$(PY) -m tools.protos --check
	.venv/bin/buf breaking protos --against $(RELEASED)

fix: setup  ## what ruff can mend
	$(PY) -m ruff check --fix .
	$(PY) -m ruff format .

bench: setup  ## the benchmarks, a line a figure
	@$(PY) -m benchmarks $(ARGS)

bench-peers: setup  ## taskwheel beside River, BullMQ and others: a table with ratios
	@$(PY) -m benchmarks.peers $(ARGS)
	@$(PY) -m benchmarks.limit

bench-replicas: setup  ## several servers on one PostgreSQL, and one on a PostgreSQL with 10 million runs
	@$(PY) -m benchmarks.replicas
	@$(PY) -m benchmarks.large $(ARGS)

protos: setup  ## the generated code and reference anew
	$(PY) -m tools.protos

release-protos: setup  ## the contract as it is becomes the one that verify lets nobody break: part of each release
	.venv/bin/buf build protos --exclude-source-info -o $(RELEASED)

lock: setup  ## requirements/*.lock anew; UPGRADE=--upgrade takes newer versions
	$(COMPILE) --group setup -o requirements/setup.lock
	$(COMPILE) pyproject.toml --extra server --group run -o requirements/run.lock
	$(COMPILE) pyproject.toml --extra server --group dev -c requirements/run.lock -c requirements/setup.lock -o requirements/dev.lock

# No index address in a lock: each machine has its own.
COMPILE = .venv/bin/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
	--no-annotate --no-header --no-emit-index-url --no-emit-find-links $(UPGRADE)
