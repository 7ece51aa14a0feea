# Everything runs in .venv, which the first target makes; the peers that benchmarks and tests compare with have one of
# their own (.venv-peers). PYTHON is any Python from 3.10.
PYTHON ?= python3
BIN = .venv/bin
PIP = -m pip install --quiet --disable-pip-version-check
# Where nothing may be skipped, what takes a compiler and libraries to install is installed too.
DEV = dev$(if $(filter 1,$(REQUIRE_SERVICES)),$(comma)dev-native$(comma)dev-uwsgi)
comma := ,
# What is compiled while installing; without a compiler the pure Python runs.
C = $(wildcard profiler/*.[ch] tracer/*.[ch])

.PHONY: demo test lint types bench docs clean

demo: .venv/.demo
	$(BIN)/python -m example_apps.demo

test: .venv/.dev .venv-peers/.ready
	$(BIN)/python -m pytest

lint: .venv/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: .venv/.dev
	$(BIN)/mypy

bench: .venv-peers/.ready
	.venv-peers/bin/python -m benchmarks

docs: .venv/.dev
	$(BIN)/python docs/generate.py

.venv/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10))' || { echo "Python 3.10 or newer is needed: make PYTHON=python3.12"; exit 1; }
	@echo "making .venv"
	@$(PYTHON) -m venv .venv

.venv/.demo: .venv/bin/python pyproject.toml $(C)
	@echo "installing what the demo needs into .venv (once, about half a minute)"
	@$(BIN)/python $(PIP) -e '.[demo]'
	@touch $@

.venv/.dev: .venv/bin/python pyproject.toml $(C)
	@echo "installing what the tests need into .venv (once, about a minute)"
	@$(BIN)/python $(PIP) -e '.[$(DEV)]'
	@touch $@ .venv/.demo

.venv-peers/.ready: benchmarks/requirements.txt pyproject.toml $(C)
	@echo "installing ddtrace and OpenTelemetry into .venv-peers (once, about a minute)"
	@test -x .venv-peers/bin/python || $(PYTHON) -m venv .venv-peers
	@.venv-peers/bin/python $(PIP) -r benchmarks/requirements.txt -e .
	@touch $@

clean:
	rm -rf .venv .venv-peers .nox build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache benchmarks/.work profiler/*.so tracer/*.so
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
