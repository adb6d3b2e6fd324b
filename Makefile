# SPDX-License-Identifier: Apache-2.0
# Every target sets itself up: virtual environments in .venvs/, made once and reused.
PYTHON ?= python3

help: ## this list
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/make \1\t\2/p' Makefile | expand -t 20

test: ## lint, unit tests on every Python there is, functional tests, documentation (GATE=short: make gate too)
	@tools/packages
	@GATE=$(GATE) $(PYTHON) tools/run_tests.py

lint: ## flake8 with hacking, mypy, reno, doc8, bashate, shellcheck
	@$(PYTHON) tools/run_tests.py lint

unit: ## unit tests on every Python there is (ONLY=unit-3.11 for one)
	@$(PYTHON) tools/run_tests.py unit $(if $(ONLY),--only $(ONLY))

functional: ## tests against the real services
	@$(PYTHON) tools/run_tests.py functional

releases: ## on every release from Train on, into doc/source/releases.rst (ONLY=nova-27 for one, FORCE=1)
	@FORCE=$(FORCE) $(PYTHON) tools/releases.py $(ONLY)

docs: ## the documentation, into doc/build/html
	@$(PYTHON) tools/run_tests.py docs

samples: ## sample configuration files, into build/samples
	@mkdir -p build/samples
	@for name in nova cinder glance-api; do $(PYTHON) tools/env.py services -- oslo-config-generator \
	    --config-file etc/oslo-config-generator/$$name.conf || exit 1; done

demo: ## the main job on a real Glance, with Nova's and Cinder's own code
	@$(PYTHON) tools/env.py services -- python -m lab.demo

bench: ## stock code beside ours, into benchmarks/results
	@$(PYTHON) tools/env.py services -- python -m benchmarks

gate: ## a real cloud with two sites, stock and with the hooks (root; GATE=short, ONLY=1,2, KEEP=1, RELEASE=oldest)
	@GATE=$(GATE) ONLY=$(ONLY) KEEP=$(KEEP) RELEASE=$(RELEASE) $(PYTHON) -m lab.gate

clean: ## remove the environments and everything built
	rm -rf .venvs .stestr .tox .mypy_cache .hypothesis .coverage build dist doc/build *.egg-info
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

.PHONY: help test lint unit functional releases docs samples demo bench gate clean
