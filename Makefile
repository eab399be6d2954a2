# Every target sets itself up. `make` alone lists them.
.DEFAULT_GOAL := help
PYTHON_VENV := .venv/bin/python
ARGS ?=
# Tests run by two workers: the project is built for machines of two cores.
WORKERS ?= 2

.PHONY: help setup demo up test slow check e2e bench ci format clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z0-9]+:.*## / { printf "  make %-8s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: ## make .venv with the locked packages
	@scripts/setup.sh

demo: setup ## the platform, a sample streaming service and the story (ARGS=--once ends after it)
	@$(PYTHON_VENV) -m davylamp demo $(ARGS)

up: setup ## collector, analysis and dashboards for your own services
	@$(PYTHON_VENV) -m davylamp up $(ARGS)

test: setup ## the tests, the browser ones with Debian's Chromium
	@DAVYLAMP_CHROMIUM="$$(scripts/chromium.sh)" scripts/test.sh $(WORKERS)

slow: setup ## long simulations of error rates and kill loops, about a quarter of an hour
	$(PYTHON_VENV) -m pytest -q -n $(WORKERS) --dist loadfile -m "slow and not e2e and not browser" tests
	@DAVYLAMP_CHROMIUM="$$(scripts/chromium.sh)" $(PYTHON_VENV) -m pytest -q -p no:randomly -m slow tests/browser
	$(PYTHON_VENV) -m pytest -q -p no:randomly -m slow tests/e2e

check: setup ## format, lint, types, import contracts, tidiness
	$(PYTHON_VENV) -m ruff format --check .
	$(PYTHON_VENV) -m ruff check .
	$(PYTHON_VENV) -m mypy
	.venv/bin/lint-imports
	$(PYTHON_VENV) -m pytest -q tests/tidy

e2e: setup ## only the tests that start the real processes
	@DAVYLAMP_CHROMIUM="$$(scripts/chromium.sh)" $(PYTHON_VENV) -m pytest -q -p no:randomly tests/e2e $(ARGS)

bench: setup ## short side-by-side runs of every benchmark
	@for name in $$($(PYTHON_VENV) -m bench); do echo "== $$name"; $(PYTHON_VENV) -m "$$name" --quick || exit 1; done

ci: ## what CI runs
	@.ci/run

format: setup ## rewrite the sources in the project's format
	$(PYTHON_VENV) -m ruff format .
	$(PYTHON_VENV) -m ruff check --fix .

clean: ## remove everything that can be made again
	rm -rf .venv .davylamp dist .mypy_cache .ruff_cache .import_linter_cache .hypothesis
