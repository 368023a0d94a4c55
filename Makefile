# Everything people and CI run, by the same names. `make` lists them.

# rustup puts cargo there; a shell that was open before knows nothing of it.
export PATH := $(PATH):$(HOME)/.cargo/bin
CARGO ?= cargo
ARGS  ?=
# nextest runs each test in a process of its own; plain cargo does where it is not installed.
TEST  := $(shell $(CARGO) nextest --version >/dev/null 2>&1 && echo nextest run || echo test)

SLOWEST := $(if $(findstring nextest,$(TEST)),scripts/slowest.py target/nextest/default/junit.xml,true)

.DEFAULT_GOAL := help
.PHONY: release-check help tools timescale demo build test test-faults test-timescale-community check fix fmt clippy doc deny typos prose vendor vendor-check test-web bench fuzz compose-check compose-test generate

help: ## what there is
	@sed -n 's/^\([a-z-]*\):.*## /\1	/p' $(MAKEFILE_LIST) | expand -t 16

tools: ## put nats-server, PostgreSQL and anvil into .tools/ where they are missing
	@scripts/tools.sh

timescale: ## put a PostgreSQL with TimescaleDB (Apache edition) into .tools/timescale, for the tests of storage
	@scripts/timescale.sh

demo: tools ## the whole pipeline on private servers: make demo ARGS="--for 60s"
	$(CARGO) run --release --locked --bin crypto-intel -- demo $(ARGS)

build: ## the binary, into target/release/crypto-intel
	$(CARGO) build --release --locked --bin crypto-intel

test: tools ## every test on real servers: make test ARGS="-p crypto-intel-evm"
	$(CARGO) $(TEST) --workspace --locked --no-fail-fast $(ARGS)
	@$(SLOWEST)
	$(CARGO) test --workspace --locked --doc --quiet

test-faults: tools ## every fault of endpoints, chain, broker and machine at full length; about 6 minutes
	CRYPTO_INTEL_FAULT_SECONDS=60 $(CARGO) $(TEST) --workspace --locked --test faults $(ARGS)
	CRYPTO_INTEL_FAULT_SECONDS=60 $(CARGO) $(TEST) --workspace --locked --test it the_last_messages_of_each_chat
	CRYPTO_INTEL_FAULT_SECONDS=60 $(CARGO) $(TEST) --workspace --locked --test it thousands_of_alerts

test-timescale-community: tools ## storage on the server of DATABASE_URL, which has TimescaleDB's community edition
	@[ -n "$(DATABASE_URL)" ] || echo "DATABASE_URL is not set: these tests skip, and say so"
	$(CARGO) $(TEST) --locked -p crypto-intel-store -p crypto-intel-persist --test community --test timescale $(ARGS)

check: fmt typos prose vendor-check clippy release-check doc deny compose-check ## what CI asks beside the tests; changes nothing

fix: ## what a program can correct: formatting, clippy's suggestions, generated files
	$(CARGO) clippy --fix --allow-dirty --allow-staged --workspace --all-targets --locked
	$(CARGO) fmt --all
	@$(MAKE) --no-print-directory generate

fmt:
	$(CARGO) fmt --all --check

clippy:
	$(CARGO) clippy --workspace --all-targets --locked -- -D warnings

release-check: ## that it compiles without what only debug builds have
	$(CARGO) check --release --workspace --locked

doc:
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc --workspace --no-deps --locked

deny: ## licences, sources and bans of the dependency tree
	@if $(CARGO) deny --version >/dev/null 2>&1; then $(CARGO) deny check bans licenses sources; \
	else echo "cargo-deny is missing: $(CARGO) install --locked cargo-deny"; [ -z "$(CI)" ]; fi

typos: ## misspelled words; `scripts/tools.sh typos` gets the program
	@if [ -x .tools/typos/bin/typos ]; then .tools/typos/bin/typos; \
	else echo "typos is missing: scripts/tools.sh typos"; [ -z "$(CI)" ]; fi

vendor: ## fetch the libraries of the dashboard from npm again, and compare them with their hashes
	@scripts/vendor.py fetch

vendor-check: ## that they are what npm ships
	@scripts/vendor.py check

test-web: tools ## the dashboard in a real Chromium against a demo, and the tests of its modules; needs Node 20 and Chromium
	scripts/tools.sh browser
	node --import ./consumers/api/web-tests/resolve.js --test consumers/api/web-tests/*.test.js
	$(CARGO) $(TEST) --locked -p crypto-intel-cli --test it $(ARGS) web_dashboard

prose: ## phrases and names that CONTRIBUTING.md asks to avoid
	@scripts/prose.py

compose-check: ## compose.yaml as Docker Compose v2 reads it
	@scripts/compose-check.sh

compose-test: tools ## compose.yaml really started, with a chain beside it; root and Debian
	@scripts/compose-test.sh $(ARGS)

bench: tools ## rates and latencies, into target/bench/summary.json
	$(CARGO) run --release --locked --bin crypto-intel-bench -- $(ARGS)

fuzz: ## decoders and readers against hostile input: make fuzz ARGS="--seconds 300"
	$(CARGO) run --release --locked -p crypto-intel-schemas --example fuzz_decode -- $(ARGS)
	$(CARGO) run --release --locked -p crypto-intel-evm --example fuzz_logs -- $(ARGS)
	$(CARGO) run --release --locked -p crypto-intel-evm --example fuzz_answers -- $(ARGS)

generate: ## golden vectors, JSON Schemas, configuration reference, generated parts of docs and deployment
	UPDATE_GOLDEN=1 UPDATE_SCHEMAS=1 UPDATE_REFERENCE=1 $(CARGO) $(TEST) -p crypto-intel-schemas -p crypto-intel-cli -p crypto-intel-poll -p crypto-intel-alerts -p crypto-intel-notify -p crypto-intel-api --lib --test it -- golden json_schema reference deployment api_file
