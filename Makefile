# Everything needs only Python 3.11+ and make; the virtual environment is created on first use.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
DEV_STAMP := $(VENV)/.installed-dev

# uv where it is on the path, else pip; `make UV= ...` takes pip all the same.
UV := $(shell command -v uv 2>/dev/null)

# $(call environment,FOLDER) makes a virtual environment, or completes one whose making was cut short.
# uv gives it a pip too (--seed): for what a person installs later, and for mend.py.
UV_VENV := uv venv --quiet --seed --allow-existing --python "$$(command -v "$(PYTHON)")"
PIP_VENV := "$(PYTHON)" -m venv
environment = $(1)/bin/python -m pip --version >/dev/null 2>&1 || $(if $(UV),$(UV_VENV),$(PIP_VENV)) $(1)

# $(call packages,FOLDER) is the command that installs packages into it. uv leaves compiling to the first import; where
# Python may not write bytecode, that would be every import, and ten seconds of each start.
COMPILE := $(if $(PYTHONDONTWRITEBYTECODE),--compile-bytecode)
UV_INSTALL = uv pip install --quiet $(COMPILE) --python $(1)/bin/python
PIP_INSTALL = $(1)/bin/python -m pip install --quiet --disable-pip-version-check
packages = $(if $(UV),$(UV_INSTALL),$(PIP_INSTALL))

# vLLM lives in an environment of its own: the CUDA build where there is a GPU, else the CPU build.
CAPTIONER := envs/captioner
CAPTIONER_VENV := $(CAPTIONER)/.venv
CAPTIONER_STAMP := $(CAPTIONER_VENV)/.installed

# clip-retrieval pins an old numpy and pyarrow: an environment of its own too.
RETRIEVAL := envs/clip-retrieval
RETRIEVAL_VENV := $(RETRIEVAL)/.venv
RETRIEVAL_STAMP := $(RETRIEVAL_VENV)/.installed

# Libraries that open what we write: the oldest that can, and the newest (docs/readers.md). The oldest have no wheels past Python 3.11.
READERS := oldest tables newest
READERS_STAMPS := $(READERS:%=envs/readers/%/.venv/.installed)

# What `make search` serves; CLIP is the folder of the model that embedded the pictures.
WORKSPACE ?= demo/workspace
DATASET ?= emoart
CLIP ?= coemogen_core/lab/models/clip
EXPORT ?= $(WORKSPACE)/exports/$(DATASET)-search
PORT ?= 1234

.PHONY: install install-dev serve stop demo demo-short test test-vllm test-search test-readers check lint captioner clip-retrieval search clean-demo

# What runs: the demo, the services, every command of the README.
install: $(STAMP)

$(STAMP): pyproject.toml constraints.txt
	@echo "installing what runs into $(VENV) with $(if $(UV),uv,pip): 2 GB, more with a CUDA build of torch"
	$(call environment,$(VENV))
	$(call packages,$(VENV)) --constraint constraints.txt torch
	$(call packages,$(VENV)) --constraint constraints.txt --editable '.[efficientnet]'
	touch $@

# What tests and checks need besides.
install-dev: $(DEV_STAMP)

$(DEV_STAMP): $(STAMP) tests/oracles.txt
	@echo "adding what tests and checks need to $(VENV) with $(if $(UV),uv,pip): 1 GB"
	$(call packages,$(VENV)) --constraint constraints.txt --editable '.[dev]'
	$(call packages,$(VENV)) --no-deps --requirement tests/oracles.txt
	rm -rf $(VENV)/lib/python3*/site-packages/tests  # torch-fidelity's own tests, which would hide ours outside of pytest
	touch $@

demo: $(STAMP)
	$(BIN)/coemogen demo --folder demo

demo-short: $(STAMP)
	$(BIN)/coemogen demo --folder demo --short

test: $(DEV_STAMP)
	$(BIN)/python -m pytest --numprocesses 3 --dist loadfile --no-loadscope-reorder  # three: some tests only wait (docs/testing.md)

# Prefect's server, workers and deployments on this machine (docs/operations.md).
serve: $(STAMP)
	$(BIN)/coemogen serve

stop: $(STAMP)
	$(BIN)/coemogen stop

captioner: $(CAPTIONER_STAMP)

$(CAPTIONER_STAMP): $(wildcard $(CAPTIONER)/requirements-*.txt $(CAPTIONER)/*.py)
	@variant=cpu; if nvidia-smi >/dev/null 2>&1; then variant=gpu; fi; \
	echo "building $(CAPTIONER_VENV) with vLLM for $$variant: minutes, and several GB"; \
	{ $(call environment,$(CAPTIONER_VENV)); } && \
	$(call packages,$(CAPTIONER_VENV)) --requirement $(CAPTIONER)/requirements-$$variant.txt && \
	$(CAPTIONER_VENV)/bin/python $(CAPTIONER)/mend.py && touch $@ || \
	{ echo "make captioner failed: the reason stands above. The same command goes on where it stopped; rm -rf $(CAPTIONER_VENV) starts anew." >&2; exit 1; }

# One after the other: each server takes gigabytes and all cores.
test-vllm: $(DEV_STAMP) $(CAPTIONER_STAMP)
	$(BIN)/python -m pytest -m vllm -rs tests/vllm

clip-retrieval: $(RETRIEVAL_STAMP)

$(RETRIEVAL_STAMP): $(RETRIEVAL)/requirements.txt $(RETRIEVAL)/mend.py $(CAPTIONER)/mend.py $(CAPTIONER)/torchvision_operators.py
	@echo "building $(RETRIEVAL_VENV): about a minute, and several GB"
	$(call environment,$(RETRIEVAL_VENV))
	$(call packages,$(RETRIEVAL_VENV)) --requirement $(RETRIEVAL)/requirements.txt
	$(RETRIEVAL_VENV)/bin/python $(RETRIEVAL)/mend.py
	touch $@

search: $(STAMP) $(RETRIEVAL_STAMP)
	$(BIN)/coemogen export "$(EXPORT)" --workspace "$(WORKSPACE)" --dataset "$(DATASET)" --layout clip-retrieval
	HF_HUB_OFFLINE=1 $(RETRIEVAL_VENV)/bin/python $(RETRIEVAL)/search.py "$(EXPORT)" --clip "$(CLIP)" --port $(PORT)

test-search: $(DEV_STAMP) $(RETRIEVAL_STAMP)
	$(BIN)/python -m pytest -m clip_retrieval -rs tests/clip_retrieval

$(READERS_STAMPS): envs/readers/%/.venv/.installed: envs/readers/%/requirements.txt
	@echo "building envs/readers/$*/.venv: seconds, and a few hundred MB"
	$(call environment,envs/readers/$*/.venv)
	$(call packages,envs/readers/$*/.venv) --requirement $<
	touch $@

test-readers: $(DEV_STAMP) $(READERS_STAMPS)
	$(BIN)/python -m pytest -m readers -rs tests/reports/test_what_others_open.py

lint: $(DEV_STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

check: lint test

clean-demo:
	rm -rf demo
