# Two commands to know: `make up` and `make test`. Everything lives in .venv and in $BELLWETHER_HOME (~/.bellwether).
# Options of the command go into ARGS:  make up ARGS="--no-demo"

SHELL := /bin/sh
BIN := .venv/bin
STAMPS := .venv/.stamps
# Bytecode is made here: every stage is two processes, which keep none of what they import (nor does any where PYTHONDONTWRITEBYTECODE
# is set). Each of them compiling DVC or Great Expectations anew costs more than its work.
UV := $(BIN)/uv pip install --quiet --compile-bytecode --python $(BIN)/python
ARGS ?=
TORCH ?= torch

.DEFAULT_GOAL := help
.PHONY: help up down status test test-deep lint check-tests audit say-audit lock bench install install-test
.DELETE_ON_ERROR:

help: ## these words
	@echo "Bellwether keeps a store's discovery models fresh. Commands:"
	@sed -n 's/^\([a-z][a-z-]*\):.*## \(.*\)/  make \1|\2/p' Makefile | awk -F'|' '{ printf "%-16s %s\n", $$1, $$2 }'

up: install ## start the platform, load the demo where there is no data, train, and say where everything is
	@$(BIN)/bellwether up $(ARGS)

down: ## stop every process that `make up` started, and only those; nothing is lost
	@if [ -x $(BIN)/bellwether ]; then $(BIN)/bellwether down $(ARGS); else echo "nothing is installed, so nothing runs"; fi

status: ## what runs, where, and whether it is well
	@if [ -x $(BIN)/bellwether ]; then $(BIN)/bellwether status $(ARGS) || true; else echo "nothing is installed, so nothing runs"; fi

test: lint say-audit check-tests ## everything: lint, types, import contracts, all tests (the end-to-end ones last)

test-deep: install-test ## the optional extra `deep`: install torch beside the lock, then its tests (TORCH=FILE: a wheel to take)
	$(UV) -c requirements.txt "$(TORCH)"
	$(BIN)/python -m pytest tests/families/test_deep_labels.py tests/integration/test_deep_loop.py $(ARGS)

lint: install-test ## ruff, mypy and the import contracts
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

check-tests: install-test
	$(BIN)/python -m pytest -n 3 --dist loadfile --no-loadscope-reorder -m "not e2e" $(ARGS)
	$(BIN)/python -m pytest -n 2 --dist loadfile -m e2e $(ARGS)

say-audit: install-test
	@$(BIN)/python tests/audit.py

audit: install-test ## compare the locked requirements with known vulnerabilities; fails on a finding
	@$(BIN)/python tests/audit.py --strict

bench: install-test ## measure throughput, overhead and quality (minutes); results go to bench/
	$(BIN)/python -m bench $(ARGS)

lock: install ## choose the newest versions that fit requirements*.in, and write them down with their hashes
	$(BIN)/uv pip compile --universal --python-version 3.11 --generate-hashes --upgrade requirements.in -o requirements.txt
	$(BIN)/uv pip compile --universal --python-version 3.11 --generate-hashes --upgrade docker/requirements.in -o docker/requirements.txt
	$(BIN)/uv pip compile --universal --python-version 3.11 --generate-hashes --upgrade requirements-test.in -o requirements-test.txt

install: $(STAMPS)/project ## the virtual environment with the locked requirements (the others call it)

install-test: $(STAMPS)/test

# A stamp is written when its step is through, so an interrupted one is simply done again.

$(STAMPS)/venv:
	@python=; for candidate in python3 python3.12 python3.11; do \
	  if $$candidate -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 13))' 2>/dev/null; then \
	    python=$$candidate; break; fi; done; \
	if [ -z "$$python" ]; then \
	  echo "Bellwether needs Python 3.11 or 3.12."; \
	  echo "  found: $$(python3 --version 2>&1 || true)"; \
	  echo "  next step: install one (Debian, Ubuntu: apt-get install python3.11 python3.11-venv), then call make again"; exit 64; fi; \
	if ! $$python -c 'import ensurepip, venv' 2>/dev/null; then \
	  version=$$($$python -c 'import sys; print("%d.%d" % sys.version_info[:2])'); \
	  echo "This Python $$version cannot make virtual environments."; \
	  echo "  next step: apt-get install python$$version-venv (as root), then call make again"; exit 64; fi; \
	echo "making .venv with $$($$python --version)"; \
	$$python -m venv .venv && $(BIN)/python -m pip --version >/dev/null
	@mkdir -p $(STAMPS) && touch $@

$(STAMPS)/uv: requirements.txt $(STAMPS)/venv
	@awk '/^[^ #]/ { mine = /^uv==/ } mine && !/^ *#/' requirements.txt > .venv/uv.txt
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r .venv/uv.txt
	@touch $@

$(STAMPS)/lock: requirements.txt $(STAMPS)/uv
	@echo "installing the locked requirements (a minute, once)"
	@$(UV) --require-hashes -r requirements.txt
	@touch $@

$(STAMPS)/project: pyproject.toml $(STAMPS)/lock
	@$(UV) --no-deps -e .
	@touch $@

$(STAMPS)/test: requirements-test.txt $(STAMPS)/project
	@echo "installing what the tests need"
	@$(UV) --require-hashes -r requirements-test.txt
	@touch $@
