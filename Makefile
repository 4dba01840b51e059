# Five words to work on Robokata: demo, test, check, bench, docs. `make install` alone gives .venv/bin/kata.
PYTHON ?= python3
BIN := .venv/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet

.PHONY: install dev demo test test-all check format bench docs clean

install: .venv/.installed
dev: .venv/.developed

.venv/bin/python:
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Robokata needs Python >= 3.11: make PYTHON=python3.12")'
	$(PYTHON) -m venv .venv

.venv/.installed: pyproject.toml constraints.txt | .venv/bin/python
	@echo "Installing Robokata into .venv (about a minute) ..."
	$(PIP) install -c constraints.txt -e '.[all]'
	@touch $@

.venv/.developed: .venv/.installed
	@echo "Installing the developers' tools ..."
	$(PIP) install -c constraints.txt -e '.[dev]'
	@touch $@

demo: install
	rm -rf demo
	$(BIN)/kata demo --out demo

# The slow suites (tens of thousands of random accesses, damage by the thousand) run in test-all.
test: dev
	$(BIN)/pytest -n auto -m 'not slow'

test-all: dev
	$(BIN)/pytest -n auto -o faulthandler_timeout=7200

check: dev
	$(BIN)/ruff format --check src tests benchmarks docs
	$(BIN)/ruff check src tests benchmarks docs
	$(BIN)/mypy
	$(BIN)/pytest -n auto tests/house tests/golden

format: dev
	$(BIN)/ruff format src tests benchmarks
	$(BIN)/ruff check --fix src tests benchmarks

bench: dev
	$(BIN)/python -m benchmarks

docs: dev
	$(BIN)/python docs/make.py

clean:
	rm -rf .venv demo build dist
