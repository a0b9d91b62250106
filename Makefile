# Everything sets itself up: Python 3.11 or newer, make and the package registry are all that is needed.
.DEFAULT_GOAL := help
SHELL := /bin/bash

PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/ready
PACKAGES := benchmarks connectors examples pipelines sql transforms tests

.PHONY: help demo test lint types contracts unit focus chaos fetching hostile audit soak format dictionary constraints clean

help: ## Show what can be made
	@grep -E '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | sort | expand -t 14

$(READY): pyproject.toml constraints.txt
	@echo "Setting up $(VENV) with $(PYTHON) …"
	@rm -f $(READY)
	@"$(PYTHON)" -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[postgres,dask,otel,s3,azure,dev]'
	@touch $(READY)

demo: $(READY) ## Run a whole example month: exports, reconciliation, warehouse, HaloPSA sandbox
	@$(BIN)/csp-billing demo --prefect

test: lint types contracts unit ## Check everything: lint, types, import contracts, tests

lint: $(READY) ## Check the style
	@$(BIN)/ruff check $(PACKAGES)

types: $(READY) ## Check the types
	@$(BIN)/mypy

contracts: $(READY) ## Check which package may import which
	@$(BIN)/lint-imports --no-logo

unit: $(READY) ## Run the tests
	@$(BIN)/python -m pytest -q --numprocesses 2 --dist loadscope --durations 20 --durations-min 5

FOCUS_VENV := .venv-focus
FOCUS_PYTHON ?= python3.12
FOCUS_READY := $(FOCUS_VENV)/ready

# The validator takes NumPy 1, and pyarrow 22 is the last one that does.
$(FOCUS_READY): Makefile
	@echo "Setting up $(FOCUS_VENV) with $(FOCUS_PYTHON) …"
	@rm -rf $(FOCUS_VENV) && "$(FOCUS_PYTHON)" -m venv $(FOCUS_VENV)
	@$(FOCUS_VENV)/bin/python -m pip install --quiet --disable-pip-version-check 'focus-validator==2.2.1' 'pyarrow==22.0.0'
	@touch $(FOCUS_READY)

focus: $(READY) $(FOCUS_READY) ## Validate out_focus by the FinOps Foundation's validator (FOCUS_PYTHON: Python 3.12 or newer)
	@$(BIN)/python -m pytest -q tests/focus/test_validator.py

chaos: $(READY) ## Fail on purpose, at length: fault plans by seed (SEED=17: that one), and kill -9 at every boundary
	@$(BIN)/python -m tests.halopsa.chaos $(SEED)

soak: $(READY) ## Fuzz, fill disks, stop servers, turn clocks and kill runs, for hours (PART=disk: that one, SEED=17: that seed)
	@$(BIN)/python -m tests.soak $(PART) $(if $(SEED),--seed $(SEED))

hostile: $(READY) ## Read files that want to fill the memory or never end with every command; look for secrets under Prefect
	@CSP_BILLING_HOSTILE=all $(BIN)/python -m pytest -q tests/security

audit: ## Compare the pinned versions with the known vulnerabilities, where these can be reached
	@PYTHON="$(PYTHON)" .ci/audit

fetching: $(READY) ## Fetch from a Partner Center that fails on purpose, by seed (SEEDS=2000: so many)
	@FETCH_SEEDS=$(or $(SEEDS),200) $(BIN)/python -m pytest -q --numprocesses 2 tests/partner_center/test_fetch.py -k whatever_fails

format: $(READY) ## Mend the style where that can be done by itself
	@$(BIN)/ruff check --fix $(PACKAGES)

dictionary: $(READY) ## Write docs/data-dictionary.md anew from the declared tables
	@$(BIN)/python -m connectors.warehouse.dictionary > docs/data-dictionary.md.new
	@mv docs/data-dictionary.md.new docs/data-dictionary.md

constraints: ## Resolve all dependencies anew and pin them in constraints.txt
	@rm -rf $(VENV)-new && "$(PYTHON)" -m venv $(VENV)-new
	@$(VENV)-new/bin/python -m pip install --quiet --disable-pip-version-check '.[postgres,dask,otel,s3,azure,http,benchmarks,soak,dev]'
	@{ echo "# The versions this project is tested with, for Python 3.11; made by \`make constraints\`."; \
	   $(VENV)-new/bin/python -m pip freeze --exclude csp-billing; } > constraints.txt
	@rm -rf $(VENV)-new

clean: ## Remove what was set up or made here, but no warehouse
	rm -rf $(VENV) $(VENV)-new $(VENV)-audit $(FOCUS_VENV) demo .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
	find . -name __pycache__ -type d -not -path './$(VENV)/*' -prune -exec rm -rf {} +
