# Two commands: `make demo` sets up and runs the demo; `make test` sets up and runs the tests.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin

.PHONY: demo test setup dev clean

demo: setup
	$(BIN)/python -m ftlib run demo

test: dev
	$(BIN)/python -m pytest -n logical --maxprocesses 4 --dist loadscope --no-loadscope-reorder

setup: $(VENV)/.setup
dev: $(VENV)/.dev

$(VENV)/.setup: requirements.txt constraints-cpu.txt pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet -r requirements.txt -c constraints-cpu.txt
	$(BIN)/python -m pip install --quiet --no-deps -e .
	touch $@

$(VENV)/.dev: $(VENV)/.setup
	$(BIN)/python -m pip install --quiet --group dev -c constraints-cpu.txt
	touch $@

clean:
	rm -rf $(VENV)
