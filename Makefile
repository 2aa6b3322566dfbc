# Everything needs only Python 3.11+ and make; the virtual environment is created on first use.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed

# vLLM lives in an environment of its own: the CUDA build where there is a GPU, else the CPU build.
CAPTIONER := envs/captioner
CAPTIONER_VENV := $(CAPTIONER)/.venv
CAPTIONER_STAMP := $(CAPTIONER_VENV)/.installed

.PHONY: install demo demo-short test test-vllm check lint captioner clean-demo

install: $(STAMP)

$(STAMP): pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt torch
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[dev]'
	touch $@

demo: $(STAMP)
	$(BIN)/coemogen demo --folder demo

demo-short: $(STAMP)
	$(BIN)/coemogen demo --folder demo --short

test: $(STAMP)
	$(BIN)/python -m pytest --numprocesses 2 --dist loadfile

captioner: $(CAPTIONER_STAMP)

$(CAPTIONER_STAMP): $(wildcard $(CAPTIONER)/requirements-*.txt $(CAPTIONER)/*.py)
	@variant=cpu; if nvidia-smi >/dev/null 2>&1; then variant=gpu; fi; \
	echo "building $(CAPTIONER_VENV) with vLLM for $$variant: minutes, and several GB"; \
	{ test -x $(CAPTIONER_VENV)/bin/python || $(PYTHON) -m venv $(CAPTIONER_VENV); } && \
	$(CAPTIONER_VENV)/bin/python -m pip install --quiet --disable-pip-version-check --requirement $(CAPTIONER)/requirements-$$variant.txt && \
	$(CAPTIONER_VENV)/bin/python $(CAPTIONER)/mend.py && touch $@ || \
	{ echo "make captioner failed: the reason stands above. The same command goes on where it stopped; rm -rf $(CAPTIONER_VENV) starts anew." >&2; exit 1; }

# One after the other: each server takes gigabytes and all cores.
test-vllm: $(STAMP) $(CAPTIONER_STAMP)
	$(BIN)/python -m pytest -m vllm -rs tests/vllm

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

check: lint test

clean-demo:
	rm -rf demo
