# Everything an operator or a contributor types. The work is done by scripts/; `make help` lists the words.
SHELL := /bin/sh
MAKEFLAGS += --no-print-directory

# Text that a person typed reaches the script by environment, as it was typed: neither make nor a shell reads it.
ifneq ($(origin ISSUE),undefined)
export NANNYAPI_ISSUE := $(value ISSUE)
endif
export NANNYAPI_INVENTORY := $(value INVENTORY)
export NANNYAPI_LIMIT := $(value LIMIT)
unexport ISSUE INVENTORY LIMIT MAKEFLAGS MAKEOVERRIDES MFLAGS

.PHONY: help diagnose build test lint sanity importer test-unit test-integration test-faults-gateway test-safety test-kernels test-long molecule bench bytecode clean distclean

help: ## these lines
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1|\2/p' $(MAKEFILE_LIST) | awk -F'|' '{ printf "%-24s %s\n", $$1, $$2 }'

diagnose: ## set this machine (or INVENTORY=, LIMIT=) up and diagnose ISSUE="…"
	@scripts/diagnose

build: ## the collection as a tarball in build/
	@scripts/build

test: ## every test there is
	@scripts/test

lint: ## ruff, mypy --strict, shellcheck, ansible-lint
	@scripts/lint

sanity: ## ansible-test sanity
	@scripts/sanity

importer: ## the checks of Galaxy's importer, on the built tarball
	@scripts/importer

test-unit: ## unit tests
	@scripts/test-unit

test-integration: ## tests that trace for real (root)
	@scripts/test-integration

test-faults-gateway: ## diagnoses while the model's server misbehaves in every known way (root; writes reports/gateway.json)
	@scripts/test-faults-gateway

test-safety: ## hostile lines, ways out, secrets and injected text against the fences (root; writes reports/safety.json)
	@scripts/test-safety

bench: ## speed and memory beside bpftrace and Ansible (root; writes reports/bench.json)
	@scripts/bench

bytecode: ## compile bpf/*.c anew to bpf/bytecode/, after a change of one of them (needs BCC)
	@scripts/bytecode

test-kernels: ## Debian's kernels in virtual machines (root; slow, not part of test)
	@scripts/test-kernels

test-long: ## what takes hours: many rounds, many requests, kills in every phase (root; not part of test)
	@scripts/test-long

molecule: ## set up and trace this machine, and a virtual one with Debian's kernel (root)
	@scripts/molecule

clean: ## remove what was built in this checkout
	rm -rf .cache .venv build

distclean: clean ## the same, and the environments cached for the tests
	rm -rf "$${XDG_CACHE_HOME:-$$HOME/.cache}/nannyapi-diagnostics"
