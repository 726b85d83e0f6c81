# A fresh machine needs Python 3.11, 3.12 or 3.13, pip and make; `make help` says the rest.

PYTHON ?=
VENV   ?= .venv

# make sweep
DATASET     ?= cifar10
DIRECTORY   ?= runs
NAME        ?= $(DATASET)
# plain against residual networks at two depths, 8 runs; on CIFAR-10 3 epochs of 10,000 images
SWEEP       ?= --depths 20 56 --shortcuts zero_pad none --seeds 2 --recipe fast --batch-size 64
SWEEP_FLAGS ?=

# make test
PYTEST_WORKERS ?= 2
PYTEST_FLAGS   ?=

LOCK := requirements/lock.txt
BIN  := $(VENV)/bin

# TensorFlow's C++ side is silent (at 2 it still reports a missing GPU as an error): what goes wrong
# is raised in Python. The lines that it writes all the same are removed by keras_resnet/quiet.py.
# pip does not advertise itself.
export TF_CPP_MIN_LOG_LEVEL ?= 3
export PIP_DISABLE_PIP_VERSION_CHECK = 1

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.NOTPARALLEL:
.PHONY: help sweep bench test check slow docs format lock install install-dev clean distclean

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' Makefile
	@echo
	@echo "  DATASET=digits   sweep over a data set that comes with scikit-learn: no download, seconds a trial"
	@echo "  SWEEP=...        the search space, instead of $(SWEEP)"
	@echo "  SWEEP_FLAGS=...  further flags of 'python -m experiments.sweep', DIRECTORY= and NAME= where it writes"
	@echo "  PYTEST_FLAGS=... further flags of pytest, PYTEST_WORKERS=$(PYTEST_WORKERS) at once"
	@echo "  PYTHON=...       the Python to make $(VENV) with (3.11, 3.12 or 3.13)"

sweep: $(VENV)/.experiments-installed ## depth x shortcut on CIFAR-10: a table, pictures, a SavedModel
	$(BIN)/python -m experiments.sweep --dataset $(DATASET) --directory $(DIRECTORY) --name $(NAME) $(SWEEP) $(SWEEP_FLAGS)

test: $(VENV)/.dev-installed ## the fast tests, what CI runs
	$(BIN)/python -m pytest -n $(PYTEST_WORKERS) --dist worksteal $(PYTEST_FLAGS)

check: $(VENV)/.dev-installed ## format, lint, types and the fast tests: run it before you push
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	@$(MAKE) --no-print-directory test

slow: $(VENV)/.dev-installed ## the tests that `make test` leaves out
	$(BIN)/python -m pytest -m "slow or network" $(PYTEST_FLAGS)

bench: $(VENV)/.dev-installed ## speed against the peers that are installed, the short version
	$(BIN)/python -m benchmarks.train --nets resnet20 --rounds 1
	$(BIN)/python -m benchmarks.predict --nets resnet20 --rounds 1

docs: $(VENV)/.dev-installed ## the documentation, in docs/_build/html; warnings are errors
	$(BIN)/python -m sphinx --builder html --fail-on-warning --keep-going --quiet docs docs/_build/html

format: $(VENV)/.dev-installed ## format the code and mend what the linter can
	$(BIN)/ruff check --fix --exit-zero --quiet .
	$(BIN)/ruff format .

lock: $(BIN)/python ## choose the pinned versions anew
	$(BIN)/python -m pip install --quiet uv
	$(BIN)/uv pip compile pyproject.toml --all-extras --universal --python-version 3.11 --upgrade \
	    --no-annotate --custom-compile-command "make lock" --quiet --output-file $(LOCK)

install: $(VENV)/.experiments-installed ## only the set-up of `make sweep`

install-dev: $(VENV)/.dev-installed ## only the set-up of `make test`

clean: ## remove builds and caches; results and the environment stay
	rm -rf build dist docs/_build docs/generated *.egg-info .pytest_cache .mypy_cache .ruff_cache
	find keras_resnet experiments tests -name __pycache__ -type d -prune -exec rm -rf {} +

distclean: clean ## remove the environment as well
	rm -rf $(VENV)

# The stamps are touched last, so an install that was cut short is taken up again by the next make,
# and say nothing once the interpreter they were made with is gone.
$(shell test -x $(BIN)/python || rm -f $(VENV)/.*-installed)

# pip is left to itself but for what is worth a line: big downloads and the long silence at the end.
define pip-install
@echo "Installing keras_resnet and the pinned packages of [$(1)] into $(VENV) (some minutes the first time)"
@$(BIN)/python -m pip --version >/dev/null 2>&1 || $(BIN)/python -m ensurepip >/dev/null
@rm -f $@
@{ $(BIN)/python -m pip install --progress-bar off -c $(LOCK) -e '.[$(1)]' && touch $@; } | awk ' \
    /Downloading .*[0-9] [MG]B/      { print "  " $$2 " " $$3 " " $$4; fflush() } \
    /^Installing collected packages/ { print "  unpacking"; fflush() }'
@test -f $@
endef

$(VENV)/.experiments-installed: pyproject.toml setup.py $(LOCK) $(BIN)/python
	$(call pip-install,experiments)

$(VENV)/.dev-installed: pyproject.toml setup.py $(LOCK) $(BIN)/python
	$(call pip-install,dev)
	@touch $(VENV)/.experiments-installed

$(BIN)/python:
	@for python in $(or $(PYTHON),python3 python3.13 python3.12 python3.11); do \
	    $$python -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' 2>/dev/null || continue; \
	    $$python -c 'import ensurepip, venv' 2>/dev/null || { without_venv="$$python"; continue; }; \
	    echo "Making $(VENV) with $$($$python --version)"; \
	    rm -f $(BIN)/python*; \
	    exec $$python -m venv $(VENV); \
	done; \
	echo "keras_resnet needs Python 3.11, 3.12 or 3.13. Tried: $(or $(PYTHON),python3 python3.13 python3.12 python3.11)." >&2; \
	if test -n "$$without_venv"; then \
	    echo "$$without_venv would do, but has no venv module; on Debian and Ubuntu: apt-get install python3-venv" >&2; \
	fi; \
	echo "Say where one is: make $(firstword $(MAKECMDGOALS)) PYTHON=/path/to/python3.12" >&2; \
	exit 1
