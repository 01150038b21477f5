# `make demo` and `make test` each work alone on a fresh machine with Python 3.11 or later.
PYTHON ?= python3
VENV ?= .venv
PY := $(VENV)/bin/python
DEMO ?= demo

.PHONY: demo test lint format bench soak clean

demo: $(VENV)/.run-ready
	$(PY) -m engine demo $(DEMO) --fit
	$(PY) -m engine report latest
	$(PY) -m engine submit latest
	@if [ "$$CI" != "true" ] && [ "$$DASHBOARD" != "0" ]; then \
		$(PY) -m engine dashboard; \
	else echo "Look further: $(PY) -m engine dashboard"; fi

test: $(VENV)/.test-ready lint
	$(PY) -m pytest

lint: $(VENV)/.test-ready
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/mypy

format: $(VENV)/.test-ready
	$(VENV)/bin/ruff check --fix .
	$(VENV)/bin/ruff format .

bench: $(VENV)/.bench-ready
	$(PY) -m tests.benchmarks

soak: $(VENV)/.test-ready
	$(PY) -m tests.faults.soak 20 120

clean:
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
