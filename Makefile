# Everything that a person or CI does with this repository; `make help` lists it.
.DEFAULT_GOAL := help
PYTHON ?= python3.11
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
# pyspark is 450 MB on disk and wanted by few: an environment of its own
SPARK_VENV := .venv-spark
SPARK_READY := $(SPARK_VENV)/.ready
DEMO := data/demo

# nothing that runs here reports home
export DAGSTER_DISABLE_TELEMETRY = yes
export GX_ANALYTICS_ENABLED = false
# an environment that forbids it makes every start compile every module again: twice the time
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help run test test-slow test-spark test-spark-sample spark-environment java prove prove-quick bench ui check format lock demo docs clean

help: ## Show this list.
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-12s %s\n", $$1, $$2}'

# --no-deps: the lock is whole, and a machine's own pip settings add nothing
$(READY): requirements.lock pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --no-deps -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $(READY)

run: $(READY) $(DEMO)/planted_truth.json ## Build the environment, make the demonstration company, run the graph, print the headline.
	$(BIN)/milestones run

$(DEMO)/planted_truth.json: | $(READY)
	$(BIN)/milestones demo $(DEMO)

demo: $(READY) ## Make the demonstration company (left as it is when it is there).
	$(BIN)/milestones demo $(DEMO)

ui: $(READY) ## Serve the Dagster UI with schedules, sensors and the history of runs.
	$(BIN)/milestones ui

# a file's tests stay together: a warehouse that they share is made once, not once in each process; the longest files are the first
test: $(READY) ## Run all tests.
	$(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder --durations=25 --durations-min=5

test-slow: $(READY) ## Histories drawn by chance, day by day against a rebuild: minutes.
	$(BIN)/python -m pytest -n 2 -m slow

test-spark: java $(SPARK_READY) ## Prove every table equal on DuckDB and Spark, and Spark's promise (needs Java 17).
	$(SPARK_VENV)/bin/python -m pytest tests/spark --timeout=3600

test-spark-sample: java $(SPARK_READY) ## The same for the dialect and one table of each kind.
	$(SPARK_VENV)/bin/python -m pytest tests/spark -m spark_sample --timeout=1200

java:
	@command -v java >/dev/null || { echo "no Java runtime: on Debian, apt-get install openjdk-17-jre-headless" >&2; exit 1; }

spark-environment: $(SPARK_READY)

# --no-build-isolation: pyspark is published as source, and the lock holds what builds it
$(SPARK_READY): requirements.lock requirements-spark.lock pyproject.toml
	$(PYTHON) -m venv $(SPARK_VENV)
	$(SPARK_VENV)/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes --no-deps -r requirements.lock
	$(SPARK_VENV)/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes --no-deps --no-build-isolation -r requirements-spark.lock
	$(SPARK_VENV)/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $(SPARK_READY)

prove: $(READY) ## Prove the evidence on planted truth, write the table into docs/proving.md (≤ 60 minutes on 2 cores).
	$(BIN)/python -m tests.proving --write docs/proving.md

prove-quick: $(READY) ## The same with few runs (≤ 5 minutes), which a broken method fails.
	$(BIN)/python -m tests.proving --quick

SIZES ?= 1 10
bench: $(READY) ## Measure speed and size as ratios, write benchmarks/README.md (SIZES="1 10 100": millions of events).
	$(BIN)/python -m benchmarks $(SIZES)

check: $(READY) ## Lint, formatting, types, import contracts, definitions, config.
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/milestones check-config assets_config
	$(BIN)/dagster definitions validate -m milestones_dagster.definitions

format: $(READY) ## Format the code.
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix --exit-zero .

docs: $(READY) ## Write the data dictionary and the JSON Schemas again.
	$(BIN)/milestones dictionary docs/data_dictionary.md
	$(BIN)/milestones schemas assets_config/schemas

lock: ## Resolve the dependencies again (exact versions and hashes, no addresses).
	$(BIN)/uv pip compile pyproject.toml --extra dev --python-version 3.11 --generate-hashes --no-emit-index-url --no-header --quiet -o requirements.lock
	$(BIN)/uv pip compile pyproject.toml --extra spark --python-version 3.11 --generate-hashes --no-emit-index-url --no-header --quiet -c requirements.lock -o requirements-spark.lock

clean: ## Remove the demonstration data, the warehouses and the environment.
	rm -rf $(VENV) $(SPARK_VENV) data warehouse
