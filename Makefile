# Postroom. `make` alone shows what there is.
SHELL := /bin/sh
.DEFAULT_GOAL := help

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PORT ?= 5000
POSTROOM_DATA ?=
TRANSLATIONS := translations/ru/LC_MESSAGES/messages.mo

.PHONY: help run demo test check check-security fix screenshots bench vendor corpus messages clean

help: ## This list
	@awk 'BEGIN {FS = ":.*## "} /^[a-z-]+:.*## / {printf "  make %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: $(VENV)/demo $(TRANSLATIONS) ## The product with mail servers, people and mail to play with
	@POSTROOM_LISTEN=127.0.0.1:$(PORT) POSTROOM_DATA="$(or $(POSTROOM_DATA),demo-data)" \
	  exec $(BIN)/python -m flask --app app.py demo

run: $(VENV)/run $(TRANSLATIONS) ## The product, ready to be set up
	@exec $(BIN)/python -m flask --app app.py run-all

test: $(VENV)/dev $(TRANSLATIONS) ## Every test; installs what they need and says so first
	@scripts/system_packages.sh tests
	@$(BIN)/python -m pytest -n auto --dist loadgroup $(TEST)
	@if [ -z '$(TEST)' ] && [ -d ../shared/corpus ]; then $(MAKE) --no-print-directory corpus CORPUS=../shared/corpus; fi

corpus: $(VENV)/dev ## The public hostile messages in CORPUS=<folder>
	@POSTROOM_CORPUS="$(abspath $(CORPUS))" $(BIN)/python -m pytest -n auto -q tests/corpus

check: $(VENV)/dev $(TRANSLATIONS) ## Style, types, directions of imports, templates, translations
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy .
	@$(BIN)/lint-imports
	@$(BIN)/python scripts/vendor.py --check
	@$(BIN)/python scripts/templates.py
	@$(BIN)/python scripts/translations.py --check

check-security: $(VENV)/dev $(TRANSLATIONS) ## Who is kept out, and how; a part of `make test`
	@$(BIN)/python -m pytest -n auto -q -m security tests/architecture tests/security

fix: $(VENV)/dev ## What the checks can mend by themselves
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

messages: $(VENV)/dev ## Collects the sentences to translate into translations/
	@$(BIN)/python scripts/translations.py

screenshots: $(VENV)/dev $(TRANSLATIONS) ## Every page as a picture, on one contact sheet
	@scripts/system_packages.sh tests
	@$(BIN)/python -m scripts.screenshots

bench: $(VENV)/dev $(TRANSLATIONS) ## How long pages take with 50,000 and 500,000 messages
	@$(BIN)/python -m scripts.bench

vendor: $(VENV)/dev ## Fetches the front-end files again (needs npm)
	@$(BIN)/python scripts/vendor.py

clean: ## Removes what was made here, but no data
	rm -rf $(VENV) screenshots .mypy_cache .ruff_cache .pytest_cache .import_linter_cache $(TRANSLATIONS)

$(BIN)/python:
	@scripts/system_packages.sh venv
	@$(PYTHON) -m venv $(VENV)

$(VENV)/run: $(BIN)/python requirements.txt
	@echo "Installing what Postroom needs into $(VENV) (once, about a minute)"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements.txt
	@touch $@

$(VENV)/demo: $(BIN)/python requirements.txt requirements-demo.txt
	@echo "Installing what the demo needs into $(VENV) (once, about a minute)"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements-demo.txt
	@touch $@

$(VENV)/dev: $(BIN)/python requirements.txt requirements-demo.txt requirements-dev.txt
	@echo "Installing what tests and checks need into $(VENV) (once, about a minute)"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements-dev.txt
	@touch $@

$(TRANSLATIONS): $(TRANSLATIONS:.mo=.po)
	@$(BIN)/python -m babel.messages.frontend --quiet compile --input-file $< --output-file $@
