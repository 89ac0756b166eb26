# Each target works alone on a fresh clone: .venv is built when it is missing or older than what it is made from.
PYTHON ?= python3
BIN := .venv/bin
READY := .venv/.ready
BENCH := .venv-bench/bin
BENCH_READY := .venv-bench/.ready

.PHONY: setup run test test-fast test-slow coverage check format docs bench bench-one bench-gpu dist dist-extras clean

# Two processes: each test imports torch, and more of them than cores slow each other down. TESTS=... runs a part.
WORKERS ?= 2
TESTS ?=
PARALLEL := -n $(WORKERS) --dist worksteal

run: RUN := lenet5-$(shell date +%Y%m%d-%H%M%S)
run: $(READY)  ## train LeNet-5 on MNIST, evaluate, write the run folder, classify two images
	$(BIN)/neocog train mnist --recipe lenet5 --name $(RUN)
	@echo
	$(BIN)/neocog predict runs/$(RUN)/model.neocog examples/pictures/seven.png examples/pictures/two.png
	@echo
	@echo "report  runs/$(RUN)/report.html"
	@echo "model   runs/$(RUN)/model.neocog"

test: $(READY)  ## everything that is proved in minutes
	$(BIN)/pytest -m "not slow" $(PARALLEL) $(TESTS)

# tests/support/costs.py decides which these are; the `fast` profile of tests/conftest.py tries fewer random examples.
test-fast: $(READY)  ## while working: without tests that train, build whole networks, start processes or open a browser
	$(BIN)/pytest -m "not (slow or train or long or subprocess or browser)" --hypothesis-profile fast $(PARALLEL) $(TESTS)

test-slow: $(READY)  ## the proofs that train to an accuracy, or kill and resume
	$(BIN)/pytest -m slow -v -rP

coverage: $(READY)  ## `make test`, then the lines that it did not run: here and in build/coverage/index.html
	COVERAGE_FILE=build/.coverage $(BIN)/pytest -m "not slow" $(PARALLEL) $(TESTS) \
		--cov=neocog --cov-report=term:skip-covered --cov-report=html:build/coverage

check: $(READY)  ## format, lint, types, import order, wording
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python tools/check_words.py

format: $(READY)
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

docs: $(READY)  ## build/docs/index.html; the code in the pages is run, and their numbers are computed
	$(BIN)/sphinx-build -W --keep-going -q -b html -d build/doctrees docs build/docs

bench: $(BENCH_READY)  ## side by side with the peers, in less than 40 minutes; nothing else may run on the machine; ARGS=--publish: into docs/bench
	$(BENCH)/python bench/run.py $(ARGS)

bench-one: $(BENCH_READY)  ## the rows whose names begin with NAME=...
	@test -n "$(NAME)" || { echo "Name rows: make bench-one NAME=start. All rows:"; $(BENCH)/python bench/run.py --list; exit 2; }
	$(BENCH)/python bench/run.py --again $(ARGS) $(NAME)

# The peers have an environment of their own: what they bring with them must not be what Neocog lives on.
$(BENCH_READY): pyproject.toml constraints.txt
	$(PYTHON) -m venv --clear .venv-bench
	$(BENCH)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt torch==2.13.0
	PIP_CONSTRAINT=constraints.txt $(BENCH)/python -m pip install --quiet --disable-pip-version-check -e '.[bench]'
	touch $@

bench-gpu: $(READY)  ## speeds and checks of a GPU, in at most 8 minutes, without the network; writes gpu.json
	$(BIN)/python bench/gpu.py

# torch is installed first, by its exact pin: any other order or a range brings the multi-gigabyte CUDA build.
$(READY): pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Neocog needs Python 3.11 or newer. Name one: make PYTHON=python3.12")'
	$(PYTHON) -m venv --clear .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt torch==2.13.0
	PIP_CONSTRAINT=constraints.txt $(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[dev]'
	touch $@

# The wheel is built from the source archive, must equal that of the checkout, and runs in an environment of its own.
DIST := build/dist-venv/bin
dist: $(READY)  ## the wheel and the source archive in dist/, checked, installed and tried in a clean environment
	rm -rf dist build/dist-venv build/dist-try build/dist-checkout
	$(BIN)/python -m build --outdir dist .
	$(BIN)/twine check --strict dist/*
	$(BIN)/python -m build --wheel --outdir build/dist-checkout .
	$(BIN)/python tools/try_wheel.py check dist/*.whl build/dist-checkout/*.whl
	$(PYTHON) -m venv build/dist-venv && mkdir -p build/dist-try
	$(DIST)/pip install --quiet --disable-pip-version-check -c constraints.txt torch==2.13.0
	PIP_CONSTRAINT=constraints.txt $(DIST)/pip install --quiet --disable-pip-version-check dist/*.whl
	$(BIN)/python tools/try_wheel.py run $(DIST) build/dist-try

dist-extras: dist  ## each extra of the wheel, installed by itself and used; some minutes, and a gigabyte
	$(PYTHON) tools/try_extras.py dist/*.whl

setup: $(READY)  ## build .venv alone

clean:
	rm -rf .venv .venv-bench build runs .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
