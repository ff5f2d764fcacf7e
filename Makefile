# Every target works in a fresh clone with nothing but Python 3.11 to 3.14 and make.

PYTHON ?= python3
BIN := .venv/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check

.PHONY: run test check bench screenshots snapshots clean

run: .venv/.train            ## open the app on its main job; without a terminal, do it and print the result
	@$(BIN)/cnntui train

test: .venv/.dev             ## the whole suite
	$(BIN)/python -m pytest -q -n 2 --dist worksteal

check: .venv/.dev            ## lint, format, types, import rules
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: .venv/.dev            ## the budgets, as ratios in one run; writes bench.json
	$(BIN)/python tests/bench.py

screenshots: .venv/.train    ## the README's pictures
	$(BIN)/python screenshots/make.py

snapshots: .venv/.dev        ## accept how the screens look now
	$(BIN)/python -m pytest -q tests/ui/test_snapshots.py --snapshot-update

clean:
	rm -rf .venv

.venv/bin/python:
	$(PYTHON) -m venv .venv

.venv/.train: pyproject.toml | .venv/bin/python
	$(PIP) -e '.[train]'
	@touch $@

.venv/.dev: pyproject.toml | .venv/bin/python
	$(PIP) -e '.[train,dev]'
	@touch $@ .venv/.train
