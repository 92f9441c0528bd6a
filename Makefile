# `make` alone lists the targets. Everything they need is installed by them, into .venv and .tools:
# a machine needs Python 3.11, git and make.

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

PYTHON ?= python3.11
# uv resolves and installs everything else, from uv.lock with its hashes.
UV_VERSION := 0.13.9

BIN := $(CURDIR)/.venv/bin
UV := $(BIN)/uv
RUN := $(BIN)/python
SAM := .tools/sam/bin/sam
CHECKOV := .tools/checkov/bin/checkov

# Stamps: a file is touched when what it stands for is installed as uv.lock has it now.
READY := .venv/.ready
SAM_READY := .tools/sam/.ready
CHECKOV_READY := .tools/checkov/.ready
MINISTACK_READY := .tools/ministack/.ready

# The layers' Makefiles call uv; `python -m local.demo` finds the layer's and the functions' code.
export PATH := $(BIN):$(PATH)
export PYTHONPATH := layers/watchkeeper:functions:.
export SAM_CLI_TELEMETRY := 0
# An activated environment of somebody else's is not ours to fill.
unexport VIRTUAL_ENV
# What is said to one make is not meant for those that its recipe starts: tests run `make invoke`.
MAKEOVERRIDES :=
unexport ARGS TESTS

##@ See it work

demo: $(READY)  ## Let a week of nights pass in a simulated AWS account, and show what was kept and why
	@$(RUN) -m local.demo $(ARGS)

cloud: $(READY)  ## Serve the simulated account over HTTP, for `make invoke` and for the AWS CLI
	@$(RUN) -m local.serve --containers $(ARGS)

# The functions run under ministack's own Python, so the layer is built for that one, apart from `make build`.
deploy-local: $(READY) $(SAM_READY) $(MINISTACK_READY)  ## Deploy the template with SAM CLI into a second emulator, and see a night through there
	@$(RUN) -m local.deploy $(ARGS)

FUNCTION ?= TakeBackups
EVENT ?= events/take_backups/nightly.json
# Written by `make cloud`: per function, its endpoint and the names of what is deployed there.
ENV_VARS := .local/env-vars.json
# SAM hands over only variables that the template declares, and in AWS no function has an endpoint to be told.
# Region and credentials it takes from whoever calls it: these are the account's, and no real ones leave the shell.
invoke: build  ## Run FUNCTION on EVENT in Lambda's own container (needs Docker), against `make cloud`
	@[ -f $(ENV_VARS) ] || { echo "No simulated account: run 'make cloud' in another terminal." >&2; exit 1; }
	@awk '{ print } /^      Variables:$$/ && !n++ { print "        AWS_ENDPOINT_URL: of the simulated account" }' \
		.aws-sam/build/template.yaml > .aws-sam/build/local.yaml
	@AWS_ACCESS_KEY_ID=in-the-box AWS_SECRET_ACCESS_KEY=in-the-box AWS_SESSION_TOKEN= \
		$(SAM) local invoke $(FUNCTION) --region us-east-1 --template .aws-sam/build/local.yaml --event $(EVENT) \
		--env-vars $(ENV_VARS) --skip-pull-image $(ARGS)

##@ Check the evidence

BUCKET ?=
FOLDER ?=
# With your own AWS credentials, which may only have to list versions and read them.
verify-evidence: $(READY)  ## Check the chains of evidence in BUCKET, or in FOLDER, a copy of it; ARGS='--resource ARN --anchor NUMBER:DIGEST'
	@[ "$(BUCKET)$(FOLDER)" ] || { echo "Say where: make verify-evidence BUCKET=name, or FOLDER=path" >&2; exit 2; }
	@$(RUN) -m watchkeeper.drills.verify $(if $(FOLDER),--folder "$(FOLDER)") $(BUCKET) $(ARGS)

INCIDENT ?=
replay: $(READY)  ## Make the report of INCIDENT again from its evidence in BUCKET, or in FOLDER, and compare
	@[ "$(INCIDENT)" ] && [ "$(BUCKET)$(FOLDER)" ] || \
		{ echo "Say which: make replay BUCKET=name INCIDENT=id, or FOLDER=path" >&2; exit 2; }
	@$(RUN) -m watchkeeper.triage.replay $(if $(FOLDER),--folder "$(FOLDER)",$(BUCKET)) $(INCIDENT) $(ARGS)

##@ Change it

test: $(READY)  ## Run the tests; TESTS=tests/unit for some of them, ARGS=-x for pytest's options
	@$(RUN) -m pytest --numprocesses auto --dist worksteal $(ARGS) $(TESTS)

check: check-code check-rules check-template check-locks  ## Check format, lint, types, rules, the template and the locks

check-code: $(READY)
	@ruff format --check --output-format concise .
	@ruff check .
	@mypy

check-rules: $(READY)
	@$(RUN) -m local.rules --check

check-template: $(READY) $(SAM_READY) $(CHECKOV_READY)
	@$(SAM) validate --lint
	@cfn-lint --append-rules cfn_lint_serverless.rules
	@$(CHECKOV)

check-locks: $(READY)
	@$(UV) lock --quiet --check
	@$(EXPORT_LAYER) | diff layers/dependencies/requirements.txt - || \
		{ echo "layers/dependencies/requirements.txt is not what uv.lock says: run 'make lock'." >&2; exit 1; }

fix: $(READY)  ## Format, and mend what ruff can mend
	@ruff format .
	@ruff check --fix .

bench: $(READY)  ## Measure import time, AWS calls per recovery point, memory and retention
	@for each in bench/[a-z]*.py; do $(RUN) -m bench.$$(basename $$each .py); done

DATA ?=
evaluate: $(READY)  ## Measure the quality of triage on the labelled data in DATA=folder: each scorer prints its figure
	@[ "$(DATA)" ] || { echo "Say where the data is: make evaluate DATA=folder" >&2; exit 2; }
	@$(RUN) -m evaluation.nab "$(DATA)/nab"
	@$(RUN) -m evaluation.loghub "$(DATA)/loghub"
	@$(RUN) -m evaluation.audit "$(DATA)/stratus" "$(DATA)/invictus"
	@$(RUN) -m evaluation.petshop "$(DATA)/petshop"
	@$(RUN) -m evaluation.opensre "$(DATA)/opensre-rds"

rules: $(READY)  ## Compile the rules about the audit trail (layers/…/triage/rules/) into what ships
	@$(RUN) -m local.rules

storms: $(READY)  ## Let a thousand alarms fire in five minutes, five times over, and check what people hear; ARGS=<seed>
	@$(RUN) -m tests.simulation.storms $(ARGS)

year: $(READY)  ## Live a year of nights in which much goes wrong, and check it; ARGS=<seed>
	@$(RUN) -m tests.simulation.year $(ARGS)

restores: $(READY)  ## Drill bad restores and good ones, and count which are caught; ARGS='cluster empty' for some
	@$(RUN) -m tests.simulation.restores $(ARGS)

drills-year: $(READY)  ## Live a year of restore drills in which much goes wrong, and judge it; ARGS=<seed>
	@$(RUN) -m tests.simulation.drills_year $(ARGS)

lock: $(READY)  ## Lock the dependencies after a change of pyproject.toml; ARGS=--upgrade for newer ones
	@$(UV) lock $(ARGS)
	@$(EXPORT_LAYER) > layers/dependencies/requirements.txt

##@ Ship it

build: check-rules $(SAM_READY)  ## Build the layers for Lambda's platform, and the template that refers to them
	@find functions -name __pycache__ -prune -exec rm -r {} +  # functions are zipped as they lie there
	@$(SAM) build $(ARGS)

clean:  ## Remove what was built, the simulated account's state and caches; the environments stay
	@rm -rf .aws-sam .local .hypothesis .mypy_cache .pytest_cache .ruff_cache
	@find . -name __pycache__ -not -path './.venv*' -not -path './.tools/*' -prune -exec rm -r {} +

help:  ## Show this list
	@awk 'BEGIN { FS = ":.*  ## " } \
		/^##@ / { printf "\n%s\n", substr($$0, 5) } \
		/^[a-z-]+:.*  ## / { printf "  make %-15s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

# What the dependencies layer installs: the project's dependencies as locked, each with its hashes.
define EXPORT_LAYER
{ echo "# Made by 'make lock' from uv.lock: do not edit."; \
  $(UV) export --quiet --frozen --no-dev --no-emit-project --no-header; }
endef

$(READY): pyproject.toml uv.lock Makefile
	@echo "Setting up .venv: a minute the first time." >&2
	@[ -x $(RUN) ] || $(PYTHON) -m venv .venv || \
		{ echo "Watchkeeper needs Python 3.11 or newer: make PYTHON=/path/to/python" >&2; exit 1; }
	@$(RUN) -m pip install -qq --disable-pip-version-check uv==$(UV_VERSION)
	@$(UV) sync --quiet --frozen
	@touch $@

$(SAM_READY) $(CHECKOV_READY) $(MINISTACK_READY): .tools/%/.ready: uv.lock $(READY)
	@echo "Setting up .tools/$*: half a minute the first time." >&2
	@UV_PROJECT_ENVIRONMENT=.tools/$* $(UV) sync --quiet --frozen --only-group $* --python $(RUN)
	@touch $@

.PHONY: help demo cloud deploy-local invoke verify-evidence replay test check check-code check-rules check-template check-locks fix bench evaluate rules storms year restores drills-year lock build clean
