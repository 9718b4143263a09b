SHELL := bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
MAKEFLAGS += --no-builtin-rules

# A Python that runs, not one that is merely on the path: a version manager leaves names that do not.
PYTHON ?= $(shell for name in python3.13 python3.12 python3.11 python3; do \
	"$$name" -c 'import ensurepip, sys, venv; sys.exit(sys.version_info < (3, 11))' \
	>/dev/null 2>&1 && echo "$$name" && break; done)
# More than cores: many tests wait for brokers and servers.
PYTEST_WORKERS ?= 3

BIN := .venv/bin
LOCK := .ci/requirements.txt
READY := .venv/.ready

.PHONY: help
help: ## Say what can be made
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-10s %s\n", $$1, $$2 }' Makefile

.PHONY: setup
setup: $(READY) ## Make .venv with everything locked; all else does it by itself

$(READY): pyproject.toml $(LOCK)
	@[ -n "$(PYTHON)" ] || { echo 'Acta needs Python 3.11 or newer with venv (Debian: python3-venv).' \
		'Install one, or name it: make PYTHON=/path/to/python3' >&2; exit 1; }
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --require-hashes --requirement $(LOCK)
	@# The build backend looks for its program on the path.
	PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/python -m pip install --quiet \
		--no-deps --no-build-isolation --editable .
	@touch $(READY)

.PHONY: demo
demo: $(READY) ## Watch a year of a small platform, on a fresh embedded database
	$(BIN)/python examples/demo.py

.PHONY: demo-kafka
demo-kafka: $(READY) ## Relay that year to a real Kafka and read it back (Java 17 and Maven)
	$(BIN)/python examples/demo_kafka.py

.PHONY: check
check: $(READY) ## Read the code: style, types, arrows, contracts
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/pyright
	$(BIN)/lint-imports
	$(BIN)/acta schemas check

.PHONY: test
test: $(READY) ## Run the tests (PYTEST_WORKERS=3)
	$(BIN)/pytest --numprocesses $(PYTEST_WORKERS) --dist worksteal

.PHONY: soak
soak: $(READY) ## Run the long tests (SEED=… to run one again)
	@seed=$${SEED:-$$(od -An -N4 -tu4 /dev/urandom | tr -d ' ')}; \
	echo "to run this again: make soak SEED=$$seed"; \
	ACTA_SOAK=1 ACTA_SOAK_SEED=$$seed $(BIN)/pytest -m soak --timeout=3600 --hypothesis-seed=$$seed

.PHONY: bench
bench: $(READY) ## Measure against the stock parts
	$(BIN)/python -m benchmarks

.PHONY: rules
rules: $(READY) ## List rule → tests (MUTATE=1: each refusal taken out must be noticed)
	$(BIN)/python -m tests.rules $(if $(MUTATE),--mutate)

.PHONY: lock
lock: $(READY) ## Write the lock anew from pyproject.toml (UPGRADE=1: newest versions)
	$(BIN)/uv pip compile pyproject.toml --extra dev --universal --python-version 3.11 \
		--generate-hashes --no-emit-index-url --no-emit-find-links --no-header --quiet \
		$(if $(UPGRADE),--upgrade) --output-file $(LOCK)

.PHONY: clean
clean: ## Remove what making left behind, .venv too
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache build dist
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
