# `make demo` and `make test` each work alone on a fresh machine with Python 3.11 or later.
PYTHON ?= python3
VENV ?= .venv
PY := $(VENV)/bin/python
DEMO ?= demo

.PHONY: help demo test lint format bench soak clean

help: ## list these targets
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 10

demo: $(VENV)/.run-ready ## draw images, fit on them, and open the dashboard
	$(PY) -m engine demo $(DEMO) --fit
	$(PY) -m engine report latest
	$(PY) -m engine submit latest
	@if [ "$$CI" != "true" ] && [ "$$DASHBOARD" != "0" ]; then \
		$(PY) -m engine dashboard; \
	else echo "Look further: $(PY) -m engine dashboard"; fi

# Half of the tests, those of pages, faults and the package, run beside the others; their output
# comes last.
# Each half computes on one core, and its threads do not spin while they wait for each other.
test: export OMP_NUM_THREADS = 1
test: export OMP_WAIT_POLICY = passive
BESIDE := tests/browser tests/dashboard tests/faults tests/test_package.py
test: $(VENV)/.test-ready lint ## everything that a change must pass
	@log=$$(mktemp) && trap 'rm -f "$$log"' EXIT && \
	{ $(PY) -m pytest -o cache_dir=.pytest_cache/beside $(BESIDE) > "$$log" 2>&1 & } && \
	beside=$$! && failed=0 && \
	{ $(PY) -m pytest $(addprefix --ignore=,$(BESIDE)) || failed=1; } && \
	{ wait $$beside || failed=1; } && cat "$$log" && exit $$failed

lint: $(VENV)/.test-ready ## ruff and mypy
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/mypy

format: $(VENV)/.test-ready ## let ruff correct and format the code
	$(VENV)/bin/ruff check --fix .
	$(VENV)/bin/ruff format .

bench: $(VENV)/.bench-ready ## measure everything and write BENCHMARKS.md
	$(PY) -m tests.benchmarks

soak: $(VENV)/.test-ready ## 20 people use the dashboard while a fit runs; 4,000 images decoded as Chromium does
	$(PY) -m tests.faults.soak 20 120
	$(PY) -m tests.faults.test_run_folders 3000
	$(PY) -m tests.support.decoder_fuzz 4000 0

clean: ## remove the caches of the tools
	rm -rf .mypy_cache .pytest_cache .ruff_cache .hypothesis

$(VENV)/bin/python:
	$(PYTHON) -m venv $(VENV)
	$(PY) -m pip install --quiet --upgrade pip

$(VENV)/.run-ready: requirements.txt | $(VENV)/bin/python
	$(PY) -m pip install --quiet -r requirements.txt
	touch $@

$(VENV)/.test-ready: pyproject.toml $(VENV)/.run-ready
	$(PY) -m pip install --quiet --group dev
	touch $@

$(VENV)/.bench-ready: pyproject.toml $(VENV)/.test-ready
	$(PY) -m pip install --quiet --group bench
	touch $@
