# Two commands do all: `make run` starts the platform, `make test` passes the tests. `make help` lists the rest.
SHELL := bash
.SHELLFLAGS := -euo pipefail -c
MAKEFLAGS += --no-print-directory
TSX := node --conditions=development --import tsx
SECONDS_PER_TARGET ?= 60
.DEFAULT_GOAL := help

.PHONY: help
help: ## This list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: run
run: build ## Start the platform: API, STUN, TURN and signaling in one process (HOST=IP, READY_FILE=F, CONFIG=F)
	@exec node cli/bin/culvert.js up $(if $(HOST),--host $(HOST)) $(if $(READY_FILE),--ready-file $(READY_FILE)) $(if $(CONFIG),--config $(CONFIG))

.PHONY: build
build: ## Install the npm packages, compile, and build the native data plane where cargo is
	@scripts/prepare run
	@scripts/build-native
	@scripts/compile

.PHONY: test
test: ## All tests, foreign clients included (ONLY=path narrows them)
	@scripts/prepare test
	@scripts/build-native
	@scripts/compile
	@$(TSX) scripts/test.ts $(ONLY)

.PHONY: check
check: ## Types, lint, import direction, unused code, generated code, Rust format and lints
	@scripts/prepare check
	@scripts/check

.PHONY: bench
bench: ## Benchmarks beside a peer, in one run (ONLY=name,... QUICK=1)
	@scripts/prepare bench
	@scripts/build-native
	@scripts/compile
	@exec $(TSX) bench/run.ts $(if $(ONLY),--only $(ONLY)) $(if $(QUICK),--quick)

.PHONY: bench-soak
bench-soak: ## A minute of everything the relay can take, with allocations coming and going: nothing leaks, every packet is accounted for
	@scripts/prepare bench
	@scripts/build-native
	@scripts/compile
	@exec $(TSX) bench/soak.ts

.PHONY: chaos
chaos: ## Break a fleet on purpose: each fault's figures against their limits (ONLY=row,... SCALE=short)
	@scripts/prepare chaos
	@scripts/build-native
	@scripts/compile
	@cargo build --release --locked --quiet -p loadgen
	@exec $(TSX) e2e/chaos/run.ts $(if $(ONLY),--only $(ONLY)) $(if $(SCALE),--scale $(SCALE))

.PHONY: chart-test
chart-test: ## The Helm chart: lint, manifests, and a real API server that takes them (ONLY=path narrows it)
	@scripts/prepare chart
	@$(TSX) scripts/test.ts --config e2e/chart/vitest.config.ts $(ONLY)

.PHONY: cluster-test
cluster-test: ## A real Kubernetes cluster on this machine, and every user's path in it (ONLY=hostNetwork,...)
	@scripts/prepare cluster
	@scripts/build-native
	@scripts/compile
	@exec e2e/cluster/sandbox $(TSX) e2e/cluster/run.ts $(if $(ONLY),--only $(ONLY))

.PHONY: dashboards-test
dashboards-test: ## Scrape a running platform under load: every panel's query and every alert's expression against it
	@scripts/prepare dashboards
	@scripts/build-native
	@scripts/compile
	@$(TSX) scripts/test.ts --config e2e/dashboards/vitest.config.ts

.PHONY: fuzz
fuzz: ## Fuzz the parsers, the TURN server and the native data plane (ONLY=target, SECONDS_PER_TARGET=60)
	@scripts/prepare fuzz
ifeq ($(filter native-%,$(ONLY)),)
	@$(TSX) fuzz/run.ts --seconds $(SECONDS_PER_TARGET) $(if $(ONLY),--target $(ONLY))
endif
ifeq ($(filter-out native-%,$(ONLY)),)
	@exec scripts/fuzz-native $(SECONDS_PER_TARGET) $(ONLY)
endif

.PHONY: sanitize
sanitize: ## The native data plane's tests under AddressSanitizer and ThreadSanitizer
	@exec scripts/sanitize

.PHONY: image
image: ## Build the image with Docker (IMAGE=name:tag, PLATFORM=linux/arm64, ...)
	@docker buildx build -f deploy/Dockerfile -t $(or $(IMAGE),culvert:dev) $(if $(PLATFORM),--platform $(PLATFORM)) --build-arg REVISION=$$(git rev-parse HEAD) --load .

.PHONY: generate
generate: ## Write libs/contracts/src/generated from proto/, the tables of docs/guides/configuration.md, dashboards, alert rules, the chart's schema and README
	@scripts/prepare run
	@scripts/generate-contracts
	@$(TSX) scripts/configuration-guide.ts
	@$(TSX) scripts/migration-guide.ts
	@$(TSX) dashboards/src/main.ts
	@$(TSX) e2e/chart/generate/main.ts

.PHONY: format
format: ## Format everything
	@scripts/prepare run
	@node_modules/.bin/biome check --write .

.PHONY: clean
clean: ## Remove what was built
	@rm -rf libs/*/dist services/*/dist cli/dist node_modules/.cache bench/out target libs/dataplane/native/*.node
	@find . -name '*.tsbuildinfo' -not -path './node_modules/*' -delete
