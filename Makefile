# Two commands: `make story` and `make test`. Each sets up what it needs in .venv first.

PYTHON ?= python3
BIN := .venv/bin
INSTRUCTION ?= Develop a comprehensive audio that fully represents a fire truck leaves the station with sirens blaring, signaling an emergency response, and drives away. The total duration is 35.1 seconds.
DURATION ?=
SEED ?= 1
OUTPUT ?= story.wav
export INSTRUCTION DURATION SEED OUTPUT

.PHONY: help story test check format clean

help:
	@echo 'make story   set up, then make a story: INSTRUCTION="…" DURATION=60 OUTPUT=story.wav SEED=1'
	@echo 'make test    set up, then run every test'
	@echo 'make check   lint, types, import contracts'
	@echo 'make format  write the code the way make check wants it'
	@echo 'make clean   remove .venv and what tools left behind'

story: .venv/installed
	@$(BIN)/audiostory create $${DURATION:+--duration "$$DURATION"} --seed "$$SEED" --output "$$OUTPUT" -- "$$INSTRUCTION"

test: .venv/installed-dev
	$(BIN)/python -m pytest -n auto --dist worksteal

check: .venv/installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: .venv/installed-dev
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean:
	rm -rf .venv .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis

.venv/installed: pyproject.toml
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable .
	touch $@

.venv/installed-dev: pyproject.toml
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev]'
	touch $@ .venv/installed
