# Two commands do everything: `make demo` and `make test`. `make ui` opens the Dagster UI on what the demo made.

PYTHON ?= python3
UV := .tools/uv
BIN := .venv/bin
export UV_COMPILE_BYTECODE := 1
export UV_PYTHON_DOWNLOADS := never
export DAGSTER_DISABLE_TELEMETRY := 1

.PHONY: help setup demo test check ui bench clean

help: ## what can be made
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 10

$(UV): uv.lock deploy/install_uv.py
	@$(PYTHON) deploy/install_uv.py $@
	@touch $@

.venv/.synced: $(UV) pyproject.toml uv.lock
	@$(UV) sync --locked
	@touch $@

setup: .venv/.synced ## install the locked environment under .venv

demo: setup ## run the whole chain on a synthetic market: raw minutes to paper orders
	@$(BIN)/trading demo

ui: setup ## serve the Dagster UI for what the demo made
	@$(BIN)/trading ui

check: setup ## lint and types
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy

# Three processes on two cores, as many tests wait for a daemon, a kill or a disk. Temporary files go to memory where there
# is room (tests/conftest.py); PYTEST_ARGS=--basetemp=DIR puts them on the disk of DIR.
test: setup ## every test, on three processes
	@$(BIN)/pytest -n 3 --dist loadfile --no-loadscope-reorder $(PYTEST_ARGS)

bench: setup ## the claims about speed, measured against their peers
	@$(UV) sync --locked --group bench --quiet
	@UV_PROJECT_ENVIRONMENT=$(CURDIR)/.tools/dvc $(UV) sync --locked --project benchmarks/dvc --quiet
	@UV_PROJECT_ENVIRONMENT=$(CURDIR)/.tools/nautilus $(UV) sync --locked --project benchmarks/nautilus --quiet
	@$(BIN)/python -m benchmarks.lake $(BENCH_ARGS)
	@$(BIN)/python -m benchmarks.bars $(BENCH_BARS_ARGS)
	@$(BIN)/python -m benchmarks.replay $(BENCH_REPLAY_ARGS)
	@$(BIN)/python -m benchmarks.orders $(BENCH_ORDERS_ARGS)

clean: ## remove what was installed and made here (.venv, .tools, .trading)
	rm -rf .venv .tools .trading
