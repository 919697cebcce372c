# The front door. `make` alone explains every verb.
# Verbs that need servers or a compiler run the set-up first, which is silent when all is there.

CARGO ?= cargo
TOOLS := $(CURDIR)/.reeve/tools/bin
# Pinned, so that a check gives the same answer everywhere.
BUF_VERSION := 1.75.0
HELM_VERSION := 3.22.0
GRPCURL_VERSION := 1.9.3
BUF := $(TOOLS)/buf-$(BUF_VERSION)
HELM := $(TOOLS)/helm-$(HELM_VERSION)
GRPCURL := $(TOOLS)/grpcurl-$(GRPCURL_VERSION)
CHART := helm/reeve
REEVE := $(CARGO) run --quiet --locked --package reeve --

.DEFAULT_GOAL := help
.SUFFIXES:
.PHONY: help setup setup-tests build check format lint chart test demo up down migrate bench readme chaos ci clean

help: ## Explain the verbs
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-9s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: ## Install what is missing: PostgreSQL, Redis or Valkey, a C compiler
	@scripts/setup.sh

setup-tests:
	@scripts/setup.sh --tests

build: setup ## Build the executable, target/debug/reeve
	$(CARGO) build --locked --package reeve

demo: setup ## Run the main job on this repository's own files, from nothing to an invoice
	@$(REEVE) demo

test: setup-tests ## Run all tests, on private servers
	$(CARGO) test --workspace --locked

up: setup ## Run the platform in the foreground; DETACH=1 in the background
	@$(REEVE) up $(if $(filter-out 0,$(DETACH)),--detach)

down: ## Stop the platform that `make up` runs
	@$(REEVE) down

migrate: setup ## Bring the schemas of the database in REEVE_ADMIN_URL up to date
	@$(REEVE) migrate

check: format ## Check the format and let clippy deny every warning
	$(CARGO) clippy --workspace --all-targets --locked -- --deny warnings

format:
	$(CARGO) fmt --all --check

lint: $(BUF) ## Check the contracts with buf and the dependencies against deny.toml's bans
	$(BUF) lint
	$(BUF) format --diff --exit-code
	@scripts/banned-crates.sh

readme: setup $(GRPCURL) ## Run every command that README.md shows, with the real grpcurl
	$(CARGO) build --locked --package reeve
	@scripts/check-readme.sh $(GRPCURL)

chart: $(HELM) ## Check and render the Helm chart with the real Helm
	@scripts/check-chart.sh $(HELM) $(CHART)

bench: setup ## Measure the task path; writes target/bench/report.json
	$(CARGO) build --locked --profile dist --package reeve --package reeve-bench
	$(CARGO) run --locked --profile dist --package reeve-bench

chaos: setup ## Kill, freeze and empty what 20 agents work on; TASKS=50000 STRIKES=30 SEED=…
	$(CARGO) build --locked --package reeve --package reeve-chaos
	target/debug/reeve-chaos --tasks $(or $(TASKS),50000) --strikes $(or $(STRIKES),30) $(if $(SEED),--seed $(SEED))

# The cheap checks first. Every test is run, so that the count at the end is of all of them.
ci: setup-tests ## Everything that must hold before a merge
	@$(MAKE) --no-print-directory format
	@$(MAKE) --no-print-directory lint
	@$(MAKE) --no-print-directory chart
	@$(MAKE) --no-print-directory check
	$(CARGO) test --workspace --locked --no-fail-fast
	@$(MAKE) --no-print-directory readme
	@$(MAKE) --no-print-directory chaos TASKS=5000 STRIKES=12

clean: ## Remove what was built and the data of `make up`; installed tools stay
	@! [ -x target/debug/reeve ] || target/debug/reeve down --purge
	$(CARGO) clean
	@! [ -d .reeve ] || find .reeve -mindepth 1 -maxdepth 1 ! -name tools -exec rm -rf {} +

$(BUF):
	@scripts/check-tool.sh $@ github.com/bufbuild/buf/cmd/buf@v$(BUF_VERSION) buf-bin==$(BUF_VERSION)

$(HELM):
	@scripts/check-tool.sh $@ helm.sh/helm/v3/cmd/helm@v$(HELM_VERSION)

$(GRPCURL):
	@scripts/check-tool.sh $@ github.com/fullstorydev/grpcurl/cmd/grpcurl@v$(GRPCURL_VERSION)
