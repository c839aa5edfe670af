# The vocabulary of the project. Every target does its own set-up and is safe to run again.

PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
STAMP  := $(VENV)/.installed
SUITE  := $(BIN)/python -m tests.run

.DEFAULT_GOAL := help
.PHONY: help setup check test test-unit test-contract test-stack test-containers images containers-down simulate chaos soak \
	demo demo-down demo-kafka demo-kafka-down \
	mutate bench schemas docs clean

help: ## Say what there is
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  make %-15s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(STAMP) ## Create the virtual environment

$(STAMP): pyproject.toml deploy/http-parser/pyproject.toml $(wildcard deploy/http-parser/http_parser/*.py)
	@echo "setup: creating $(VENV) and installing Weir with its development tools"
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "error: Python 3.11 or newer is needed, $$($(PYTHON) --version) was found; run: make PYTHON=python3.11 $(MAKECMDGOALS)"; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --progress-bar on ./deploy/http-parser -e '.[dev]'
	@touch $@

check: setup ## Lint, types, import contracts (seconds)
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports

test: setup ## Everything CI runs: checks, unit, contract and real-stack suites
	@$(SUITE) check unit simulation mutation contract stack e2e chaos containers

test-containers: setup ## Every part in a container of its own; installs and starts an engine where that is possible
	@$(SUITE) containers

images: setup ## Build the container images of the deployment, and print their names
	@$(BIN)/python -m integration.containers images

containers-down: setup ## Remove every container that these suites left, also of suites that still run
	@$(BIN)/python -m integration.containers sweep --all

test-unit: setup ## Unit suites only (no servers)
	@$(SUITE) check unit

test-contract: setup ## Contract suites, on the fakes and on the real thing
	@$(SUITE) contract

test-stack: setup ## Suites that need the real stack
	@$(SUITE) stack e2e

demo: setup ## A real Mesos cluster, a job declared in ZooKeeper, faults, an upgrade, a comparison
	@$(BIN)/python -m reconciler.app.demo

demo-down: setup ## Stop whatever the demo left running
	@$(BIN)/python -m reconciler.app.demo --down

demo-kafka: setup ## The same on real Kafka: a topic, its even rows in another, exactly once
	@$(BIN)/python -m reconciler.app.demo_kafka

demo-kafka-down: setup ## Stop whatever demo-kafka left running
	@$(BIN)/python -m reconciler.app.demo_kafka --down

MINUTES ?= 10
chaos: setup ## Faults on the real stack, by a seed: MINUTES=… SEED=…; rows are compared at the end
	@$(BIN)/python -m tests.chaos --minutes $(MINUTES) $(if $(SEED),--seed $(SEED))

soak: setup ## Job life cycles on real ZooKeeper and Mesos: MINUTES=…; memory, threads, files and znodes must not grow
	@$(BIN)/python -m tests.soak --minutes $(MINUTES)

N ?= 200
SEED_BASE ?= 1
simulate: setup ## The loop under seeds with injected faults: N=… SEED_BASE=…, or SEED=… to replay one, SESSION=1 or PRESTART=1
	@$(BIN)/python -m tests.simulation $(if $(SEED),replay $(SEED),run --n $(N) --seed-base $(SEED_BASE)) $(if $(SESSION),--session) $(if $(PRESTART),--prestart)

mutate: setup ## Take out each guard in a copy of the tree and see that the tests notice (QUICK=1: as CI does)
	@$(BIN)/python -m tests.mutation $(if $(QUICK),--quick) $(FAULTS)

bench: setup ## Every figure of docs/performance.md beside its floor, in build/bench: GROUPS="decide start" for some
	@$(BIN)/python -m tests.bench $(GROUPS)

schemas: setup ## Make again what docs/ has from the code: schemas, OpenAPI, references, diagrams
	@$(BIN)/python -m state.schemas docs/schemas
	@$(BIN)/python -m reconciler.app.api.document docs/openapi.json
	@$(BIN)/python -m reconciler.app.spec_reference > docs/spec.md
	@$(BIN)/python -m reconciler.app.cli_reference > docs/cli.md
	@$(BIN)/python deploy/docs/diagrams.py docs/images
	@$(BIN)/python -m reconciler.app.reason_reference > docs/events.md

docs: setup ## The documentation as pages, into build/docs; a broken link is an error
	@$(BIN)/mkdocs build
	@echo "docs: build/docs/index.html"

clean: ## Remove what builds made (not the caches of downloads)
	@rm -rf build $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis
