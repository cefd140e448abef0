# Everything that people and CI type. Nothing but git, make and Python 3.11 to 3.13 need be there.
BIN := .venv/bin
DEMO_SETTINGS := conf/demo.yaml
DEMO_POLL := 2025-01-06
CODE := cas_spark jobs deploy benchmarks tests
BENCH_SETTINGS := conf/stlouis.yaml
BENCH_POLL := 2017-10-02
PYTEST := pytest -n 2 --dist loadfile --no-loadscope-reorder

# Another project's Python or Spark must not leak into this one.
unexport PYTHONPATH PYTHONHOME VIRTUAL_ENV SPARK_HOME SPARK_CONF_DIR

.DEFAULT_GOAL := help
.PHONY: help setup demo test format format-check lint types imports unit test-all test-fast bench bench-nl docs lock clean

help:  ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  %-14s%s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup:  ## Install uv, the locked Python packages, Java and the jars; quick when they are there
	@deploy/runtime/setup

demo: setup  ## Generate a small demo country and run the weekly run on it
	$(BIN)/cas-spark generate --settings $(DEMO_SETTINGS)
	$(BIN)/cas-spark weekly --settings $(DEMO_SETTINGS) --poll $(DEMO_POLL)

test: format-check lint types imports unit  ## Check format, lint, types and imports; run the tests but for the slow

format: setup  ## Format the code and mend what lint can mend
	$(BIN)/ruff format $(CODE)
	$(BIN)/ruff check --fix $(CODE)

format-check: setup  ## Check the format
	$(BIN)/ruff format --check $(CODE)

lint: setup  ## Check the code and the spelling
	$(BIN)/ruff check $(CODE)
	$(BIN)/typos

types: setup  ## Check the types
	$(BIN)/mypy

imports: setup  ## Check that a room imports only rooms above it
	$(BIN)/lint-imports

unit: setup  ## Run the tests but for the slow ones, two files at a time
	$(BIN)/$(PYTEST) -m "not slow"

test-all: format-check lint types imports  ## Run the slow tests too: runs killed, rebuilt, erased, on a cluster
	$(BIN)/$(PYTEST)

test-fast: setup  ## Run the tests that need no Spark
	$(BIN)/pytest -m "not spark"

bench: setup  ## What engines, indicators and revisions cost, as JSON lines; after a weekly run
	$(BIN)/python benchmarks/bench.py --settings $(BENCH_SETTINGS) --poll $(BENCH_POLL)
	$(BIN)/python benchmarks/plain_sql.py --settings $(BENCH_SETTINGS) --poll $(BENCH_POLL)
	$(BIN)/python benchmarks/revisions.py --settings $(BENCH_SETTINGS) --poll $(BENCH_POLL)

bench-nl: setup  ## What a whole country costs, cold and two weeks after, without and with suspects; over two hours
	$(BIN)/cas-spark generate --settings conf/nl.yaml
	$(BIN)/python benchmarks/national.py --settings conf/nl.yaml --poll 2024-10-28
	$(BIN)/python benchmarks/national.py --settings conf/nl-suspects.yaml --poll 2024-10-28

docs: setup  ## Write the references of settings and indicators
	$(BIN)/python -m cas_spark.settings.reference > docs/settings.md
	$(BIN)/python -m cas_spark.indicators.reference > docs/indicators.md

lock: setup  ## Check that uv.lock fits pyproject.toml, without a mirror of one's own
	env -u UV_DEFAULT_INDEX -u UV_INDEX -u UV_INDEX_URL -u UV_EXTRA_INDEX_URL $(BIN)/uv lock --check

clean:  ## Remove caches; what was installed and what is in the lake stay
	rm -rf .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .hypothesis .runtime/warehouse
	find . -name __pycache__ -not -path './.venv/*' -prune -exec rm -rf {} +
