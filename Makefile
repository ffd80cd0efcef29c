# Every command of the project. `make` alone lists them.
.DEFAULT_GOAL := help
CARGO ?= cargo
FUZZ_RUNS ?= 1000000

.PHONY: help
help: ## List the commands
	@echo "Tapward: access control and identity bridge for clinics."
	@echo
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /\1\t/' | while IFS="$$(printf '\t')" read -r name what; do printf '  make %-12s %s\n' "$$name" "$$what"; done

.PHONY: run
run: ## Build and start a living clinic on this machine; Ctrl-C stops it, starting again goes on
	$(CARGO) run --quiet --bin tapward -- demo

.PHONY: build
build: ## Build the executable for production (target/release/tapward)
	$(CARGO) build --release --bin tapward

.PHONY: prepare
prepare: ## Install what the tests need: PostgreSQL, Mosquitto, Chromium, a Python environment
	scripts/prepare

.PHONY: lint
lint: ## Formatting and lints, as the tests ask for them
	$(CARGO) fmt --all --check
	$(CARGO) clippy --workspace --all-targets --quiet -- -D warnings

.PHONY: test
test: prepare lint ## Prepare, lint and run every test
	$(CARGO) test --quiet --no-fail-fast

.PHONY: bench
bench: ## Measure speed as ratios to floors of the same run (some minutes)
	scripts/bench

.PHONY: fuzz
fuzz: ## Fuzz the parsers, FUZZ_RUNS executions for each target
	scripts/fuzz $(FUZZ_RUNS)

.PHONY: screenshots
screenshots: ## Take the pictures of README and guides from the running product
	scripts/screenshots

.PHONY: demo-mis
demo-mis: ## As `run`, with GNU Health beside it, the reference medical system
	scripts/demo-mis

.PHONY: test-mis
test-mis: prepare ## Test with GNU Health, the reference medical system (some minutes the first time)
	scripts/gnuhealth prepare
	$(CARGO) test --quiet -p mis-bridge --test gnuhealth -- --ignored
