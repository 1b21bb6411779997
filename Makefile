# Everything a developer does, as verbs. Needs Python 3.11 or later and make; the rest comes from wheels and jars.
.DEFAULT_GOAL := help
SHELL := /bin/sh
PYTHON ?= $(shell for p in python3.11 python3.12 python3.13 python3; do command -v $$p >/dev/null 2>&1 && $$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && { echo $$p; break; }; done)
VENV := .venv
BIN := $(VENV)/bin
PACKAGES := $(sort $(dir $(wildcard libs/*/pyproject.toml services/*/pyproject.toml sandbox/pyproject.toml deploy/*/pyproject.toml)))
EDITABLE := $(foreach package,$(PACKAGES),-e $(package))
SOURCES := libs services sandbox deploy tests tools $(wildcard benchmarks)

.PHONY: help setup demo test test-unit check format generate bench chaos breaks lock clean new-connector

help: ## what the verbs are
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-13s %s\n", $$1, $$2}'

$(BIN)/uv: requirements.lock
	@test -n "$(PYTHON)" || { echo "Python 3.11 or later was not found; install it, or name it: make PYTHON=/path/to/python3 ..." >&2; exit 1; }
	@$(PYTHON) -m venv $(VENV) || { echo "Could not make $(VENV): your Python lacks its venv module (Debian: apt install python3-venv)." >&2; exit 1; }
	@awk '/^[a-z]/ {keep = /^uv==/} keep' requirements.lock > $(VENV)/uv.lock
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r $(VENV)/uv.lock
	@touch $@

$(VENV)/.runtime: $(BIN)/uv requirements.lock $(addsuffix pyproject.toml,$(PACKAGES))
	@echo "Installing what runs (once) ..."
	@start=$$(date +%s); $(BIN)/uv pip install --quiet --python $(BIN)/python --require-hashes -r requirements.lock \
	  && $(BIN)/uv pip install --quiet --python $(BIN)/python --offline --no-deps --no-build-isolation $(EDITABLE) \
	  && echo "Installed in $$(($$(date +%s) - start)) s, downloads included."
	@touch $@

$(VENV)/.development: $(VENV)/.runtime requirements-dev.lock
	@echo "Installing what development needs (once) ..."
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --require-hashes -r requirements-dev.lock
	@touch $@

setup: $(VENV)/.development ## install everything into .venv (demo and test do it by themselves)

demo: $(VENV)/.runtime ## the whole system on this machine: connect, sync, map, show (SALES=file.csv for a real export)
	@$(BIN)/python -m suppli_demo $(if $(SALES),--sales "$(SALES)")

test: $(VENV)/.development ## every test, against real servers (ARGS: one run of pytest with these arguments)
ifdef ARGS
	@$(BIN)/python -m pytest $(ARGS)
else
	@$(BIN)/python -m tools.suites
endif

test-unit: $(VENV)/.development ## the tests that need no server (seconds)
	@$(BIN)/python -m tools.suites --unit

check: $(VENV)/.development ## format, lint, types, import rules, generated files, deliberate breaks
	@$(BIN)/ruff format --check $(SOURCES)
	@$(BIN)/ruff check $(SOURCES)
	@$(BIN)/mypy $(foreach package,$(PACKAGES),$(package)src) tools
	@$(BIN)/lint-imports --no-cache
	@$(BIN)/python -m tools.generate --check
	@$(BIN)/python -m suppli_gateway openapi --check
	@$(BIN)/python -m tests.breaks --check

format: $(VENV)/.development ## rewrite the code in the one format
	@$(BIN)/ruff format $(SOURCES)
	@$(BIN)/ruff check --fix $(SOURCES)

generate: $(VENV)/.development ## write schemas, AsyncAPI, OpenAPI, topics, ACLs, policies, containers
	@$(BIN)/python -m tools.generate
	@$(BIN)/python -m suppli_gateway openapi

new-connector: $(VENV)/.development ## a new connector's folder, installed and wired (NAME=acme, TITLE="Acme POS")
	@$(BIN)/python -m tools.new_connector $(if $(NAME),"$(NAME)",--help) $(if $(TITLE),"$(TITLE)")
	@$(if $(NAME),$(MAKE) --no-print-directory setup generate)

bench: $(VENV)/.development ## measure, next to bare-bones baselines
	@$(BIN)/python -m benchmarks $(ARGS)

chaos: $(VENV)/.development ## strike the running system with seeded faults and compare with the truth (FAULTS=n SEED=s REPLICAS=n)
	@$(BIN)/python -m tests.chaos --faults $(or $(FAULTS),20) --seed $(or $(SEED),1) --replicas $(or $(REPLICAS),2)

breaks: $(VENV)/.development ## break a copy of the code in each way of the list; its tests must find it (ARGS: names)
	@$(BIN)/python -m tests.breaks $(ARGS)

lock: $(BIN)/uv ## resolve requirements*.in again into the lock files
	@for name in requirements requirements-dev; do \
	  $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
	    --no-emit-find-links --no-annotate --no-header $$name.in -o $$name.lock || exit 1; done

clean: ## remove the environment and all state (stops a running demo first)
	@if [ -x $(BIN)/python ]; then for folder in .suppli .suppli/demo; do \
	  if [ -d $$folder ]; then $(BIN)/python -m suppli_embedded clean --dir $$folder || true; fi; done; fi
	@rm -rf $(VENV) .suppli .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
