# One target per verb. `make` alone lists them.

ENDPOINTS ?=
LISTEN ?= 127.0.0.1:23790
PREFIX ?= /usr/local
DESTDIR ?=
# For those who build packages. CARGO_FLAGS="--frozen --no-default-features" for instance: offline,
# with vendored crates, without TLS. TARGET is what rustc calls the platform, or "native" for that
# of rustc itself; by default it is musl on this architecture where rustc or rustup has it.
CARGO_FLAGS ?= --locked
TARGET ?=
SEEDS ?= 100000
FUZZ_SECONDS ?= 60
# Tests at a time: one more than there are cores, since most of them wait for something. With twice
# as many, clusters that start together are late.
TEST_THREADS ?= $(shell expr 1 + "$$(nproc)")
ARGS ?=
PLATFORMS ?=

OUT := $(or $(CARGO_TARGET_DIR),target)
# Static, so the file that is built here runs on every Linux of this architecture.
MUSL := $(shell uname -m)-unknown-linux-musl
# The crate `ring` has parts in C, for which it would look for a compiler made for musl. They use
# nothing of a libc but memset, so the compiler that is there does.
export CC_$(subst -,_,$(MUSL)) ?= $(CC)

.DEFAULT_GOAL := help
.PHONY: help run test cost check platforms package sim sim-mutants bench bench-report faults fuzz \
    build install notices clean

help: ## list the targets
	@sed -n 's/^\([a-z-]*\):.*## /  make \1\t/p' Makefile | expand -t 20

# `build` itself installs nothing, since those who build packages want it so.
run: ## run it before ENDPOINTS=host:port,..., or before a cluster made for the occasion
	@sh tests/install-needs.sh cargo cc $(if $(ENDPOINTS),,etcd etcdctl setpriv)
	@$(MAKE) --no-print-directory build
ifeq ($(ENDPOINTS),)
	@exec bash tests/foreground.sh bash tests/cluster.sh $(OUT)/etcd-gateway '$(LISTEN)'
else
	@exec bash tests/foreground.sh \
	    $(OUT)/etcd-gateway start --listen-addr '$(LISTEN)' --endpoints '$(ENDPOINTS)'
endif

# First whether the machine has what they need: Debian's etcd and, fetched, a later one. The release
# build is what the tests in tests/it/cost measure; they would build it themselves, during other
# tests. Of the targets, none waits for another one to succeed.
ETCD_BESIDES := 3.5.1
NEEDS := util::needs::this_machine_has_what_the_tests_need
test: ## all tests, against a real etcd
	@sh tests/install-needs.sh cargo cc git etcd etcdctl curl openssl ip dnsmasq setpriv strace \
	    valgrind python3 pip3 chromedriver prometheus promtool python3-prometheus-client
	@sh tests/fetch-etcd.sh $(ETCD_BESIDES)
	cargo test --locked --test it -- --exact $(NEEDS)
	cargo build --locked --release
	RUST_TEST_THREADS=$(TEST_THREADS) cargo test --locked --no-fail-fast

cost: ## what is counted: system calls, instructions, allocations
	@sh tests/install-needs.sh cargo cc strace valgrind
	cargo build --locked --release
	cargo test --locked --test it -- cost:: --nocapture --test-threads=1

check: ## format, lints, house rules
	cargo fmt --check
	cargo clippy --locked --all-targets -- -D warnings
	cargo test --locked --test tidy

platforms: ## compile with the oldest Rust and for 32 bits, test there; PLATFORMS=all: more
	@sh tests/install-needs.sh cargo cc
	@sh tests/platforms.sh $(PLATFORMS)

package: ## install from a tarball, as those who build packages, and look at the result
	@sh tests/install-needs.sh cargo cc
	@sh tests/package.sh

sim: ## the simulator over SEEDS=100000 new seeds; SEED=n runs that one
	@sh tests/install-needs.sh cargo cc
	SEEDS='$(SEEDS)' cargo test --locked --profile sim --test sim -- no_new_seed --nocapture

sim-mutants: ## plants known bugs, one by one, and sees the simulator find them
	@sh tests/install-needs.sh cargo cc git
	@sh tests/sim/mutants.sh

# A peer that cannot be had is skipped, and the report says so.
bench: ## measure it and its peers, about 25 minutes; ARGS=--quick for less
	@sh tests/install-needs.sh cargo cc
	@$(MAKE) --no-print-directory build
	@for peer in etcd haproxy nginx rinetd; do \
	    sh tests/install-needs.sh $$peer || echo "bench: goes on without $$peer"; \
	done
	cargo bench --locked --bench micro
	GATEWAY_BINARY='$(abspath $(OUT))/etcd-gateway' \
	    cargo bench --locked --bench relay -- $(ARGS)

bench-report: ## keep what `make bench` found in benches/report/
	@install -d benches/report
	install -m 644 $(OUT)/bench/report.md $(OUT)/bench/report.svg benches/report/

# Takes root. The clients that a run measures apart from etcdctl are fetched and built.
FAULTS_CLIENTS = $(or $(filter python node rust,$(ARGS)),$(if $(filter --quick,$(ARGS)),,all))
faults: ## how long clients wait after faults, three hours; ARGS=--quick for less
	@sh tests/install-needs.sh cargo cc etcd etcdctl ip ss setpriv unshare python3 pip3 \
	    $(if $(FAULTS_CLIENTS),node npm protoc)
	@sh tests/install-needs.sh haproxy || echo "faults: goes on without haproxy"
	@sh tests/fetch-etcd.sh $(ETCD_BESIDES)
	@$(if $(FAULTS_CLIENTS),sh benches/faults/prepare.sh)
	@$(MAKE) --no-print-directory build
	GATEWAY_BINARY='$(abspath $(OUT))/etcd-gateway' \
	    cargo bench --locked --bench faults -- $(ARGS)

# Takes a nightly Rust and cargo-fuzz, and fetches them where they are missing.
fuzz: ## each fuzz target for FUZZ_SECONDS=60
	@sh tests/install-needs.sh cargo cc g++
	@sh fuzz/run.sh '$(OUT)/fuzz' '$(FUZZ_SECONDS)'

# rustc comes with a linker's start files and libc for musl, so cc is all it needs besides.
build: ## the binary as it is shipped: target/etcd-gateway
	@sh tests/install-needs.sh --check cargo $(if $(filter-out default,$(origin CC)),,cc)
	@CARGO_FLAGS='$(CARGO_FLAGS)' sh tests/build.sh '$(OUT)' \
	    '$(or $(TARGET),$(CARGO_BUILD_TARGET),$(MUSL)?)'

# Builds it only where it has not been built since the code was changed, so that root needs no
# cargo to install what another user has built. What is asked for by CARGO_FLAGS or TARGET may be
# another one than that which is there, so then cargo decides.
$(OUT)/etcd-gateway: $(if $(filter-out --locked,$(CARGO_FLAGS))$(TARGET),always) \
    Cargo.toml Cargo.lock $(shell find src -name '*.rs')
	@$(MAKE) --no-print-directory build

.PHONY: always
always:

# The manual, and all that it links to, in the same folders.
DOCUMENTS := README.md LICENSE THIRD-PARTY.txt \
    $(wildcard docs/*.md benches/report/* deploy/monitoring/* findings/*.sh)

install: $(OUT)/etcd-gateway ## PREFIX=/usr/local, DESTDIR=
	install -D -m 755 $(OUT)/etcd-gateway '$(DESTDIR)$(PREFIX)/bin/etcd-gateway'
	@for document in $(DOCUMENTS); do \
	    install -D -m 644 $$document \
	        "$(DESTDIR)$(PREFIX)/share/doc/etcd-gateway/$$document" || exit 1; \
	done
	@echo 'installed $(DESTDIR)$(PREFIX)/bin/etcd-gateway, and its documents'

notices: ## write THIRD-PARTY.txt anew, after a change of Cargo.lock
	@sh tests/notices.sh

clean: ## remove what was built
	cargo clean
