# One target per verb. `make` alone lists them.

ENDPOINTS ?=
LISTEN ?= 127.0.0.1:23790
PREFIX ?= /usr/local
DESTDIR ?=
SEEDS ?= 100000
FUZZ_SECONDS ?= 60
ARGS ?=

OUT := $(or $(CARGO_TARGET_DIR),target)
# Static, so the file that is built here runs on every Linux of this architecture.
MUSL := $(shell uname -m)-unknown-linux-musl
# The crate `ring` has parts in C, for which it would look for a compiler made for musl. They use
# nothing of a libc but memset, so the compiler that is there does.
export CC_$(subst -,_,$(MUSL)) ?= cc

.DEFAULT_GOAL := help
.PHONY: help run test cost check sim sim-mutants bench bench-report fuzz build install \
    clean

help: ## list the targets
	@sed -n 's/^\([a-z-]*\):.*## /  make \1\t/p' Makefile | expand -t 20

run: build ## run it before ENDPOINTS=host:port,..., or before a cluster made for the occasion
ifeq ($(ENDPOINTS),)
	@sh tests/install-needs.sh etcd etcdctl
	@exec bash tests/cluster.sh $(OUT)/etcd-gateway '$(LISTEN)'
else
	@exec $(OUT)/etcd-gateway start --listen-addr '$(LISTEN)' --endpoints '$(ENDPOINTS)'
endif

# First whether the machine has what they need. The release build is what the tests in tests/it/cost
# measure; they would build it themselves, beside other tests. Of the targets, none waits for
# another one to succeed.
NEEDS := util::needs::this_machine_has_what_the_tests_need
test: ## all tests, against a real etcd
	@sh tests/install-needs.sh cargo cc git etcd etcdctl curl openssl ip dnsmasq setpriv strace \
	    valgrind
	cargo test --locked --test it -- --exact $(NEEDS)
	cargo build --locked --release
	cargo test --locked --no-fail-fast

cost: ## what is counted: system calls, instructions, allocations
	@sh tests/install-needs.sh cargo cc strace valgrind
	cargo build --locked --release
	cargo test --locked --test it -- cost:: --nocapture --test-threads=1

check: ## format, lints, house rules
	cargo fmt --check
	cargo clippy --locked --all-targets -- -D warnings
	cargo test --locked --test tidy

sim: ## the simulator over SEEDS=100000 new seeds; SEED=n runs that one
	@sh tests/install-needs.sh cargo cc
	SEEDS='$(SEEDS)' cargo test --locked --profile sim --test sim -- no_new_seed --nocapture

sim-mutants: ## plants known bugs, one by one, and sees the simulator find them
	@sh tests/install-needs.sh cargo cc git
	@sh tests/sim/mutants.sh

# A peer that cannot be had is left out, and the report says so.
bench: build ## measure it beside its peers, about 25 minutes; ARGS=--quick for less
	@for peer in etcd haproxy nginx rinetd; do \
	    sh tests/install-needs.sh $$peer || echo "bench: goes on without $$peer"; \
	done
	cargo bench --locked --bench micro
	GATEWAY_BINARY='$(abspath $(OUT))/etcd-gateway' \
	    cargo bench --locked --bench relay -- $(ARGS)

bench-report: ## keep what `make bench` found in benches/report/
	@install -d benches/report
	install -m 644 $(OUT)/bench/report.md $(OUT)/bench/report.svg benches/report/

# Takes a nightly Rust and cargo-fuzz, and fetches them where they are missing.
fuzz: ## each fuzz target for FUZZ_SECONDS=60
	@sh tests/install-needs.sh cargo cc g++
	@sh tests/fuzz/run.sh '$(OUT)/fuzz' '$(FUZZ_SECONDS)'

# rustc comes with a linker's start files and libc for musl, so cc is all it needs besides.
build: ## the binary as it is shipped: target/etcd-gateway
	@sh tests/install-needs.sh cargo cc
	@set -e; \
	has_musl() { [ -d "$$(rustc --print sysroot)/lib/rustlib/$(MUSL)/lib" ]; }; \
	has_musl || timeout 60 rustup target add $(MUSL) >/dev/null 2>&1 || true; \
	if has_musl; then \
	    cargo build --locked --release --target $(MUSL); \
	    built=$(OUT)/$(MUSL)/release/etcd-gateway; kind="static, $(MUSL)"; \
	else \
	    cargo build --locked --release; \
	    built=$(OUT)/release/etcd-gateway; \
	    kind="dynamic: rustup has no $(MUSL) here"; \
	fi; \
	install -m 755 "$$built" $(OUT)/etcd-gateway; \
	echo "built $(OUT)/etcd-gateway ($$kind)"

install: build ## PREFIX=/usr/local, DESTDIR=
	install -D -m 755 $(OUT)/etcd-gateway $(DESTDIR)$(PREFIX)/bin/etcd-gateway
	@echo "installed $(DESTDIR)$(PREFIX)/bin/etcd-gateway"

clean: ## remove what was built
	cargo clean
