# SPDX-License-Identifier: Apache-2.0
# What `tox -e NAME` does not do by itself. Without a tox of yours, one is made in .tox/.make: make TOX=tox ...
PYTHON ?= python3
OWN = .tox/.make/bin
TOX ?= $(OWN)/tox
# Where pyenv has Pythons that are not selected, they are found, too.
pythons := $(wildcard $(or $(PYENV_ROOT),$(HOME)/.pyenv)/versions/*/bin)
empty :=
export PATH := $(PATH):$(subst $(empty) $(empty),:,$(pythons))

help: ## this list
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/make \1\t\2/p' Makefile | expand -t 20

test: $(OWN)/bindep ## lint, unit tests on Python 3.6, 3.9, 3.11 and 3.13, functional tests in their short form, docs (FULL=1, EXTRA=..., GATE=short: more)
	@tools/debian_packages $(OWN)/bindep $(if $(GATE),gate)
	@FULL=$(FULL) EXTRA=$(EXTRA) GATE=$(GATE) tools/test $(TOX)

functional: $(OWN)/bindep ## all functional tests (VOLUME_KERNEL=all: hours)
	@tools/debian_packages $(OWN)/bindep
	@$(TOX) -q -e functional

releases: $(OWN)/bindep ## on every release from Train on, into doc/source/releases.rst (ONLY=nova-27 for one)
	@$(TOX) run-parallel -p 2 --notest -e joint-old,joint-mid,joint-new,functional
	@$(TOX) -q -e releases -- $(or $(ONLY),--all)

samples: $(OWN)/bindep ## sample configuration files, into build/samples
	@mkdir -p build/samples
	@for name in nova cinder glance-api; do $(TOX) -q -e venv -- oslo-config-generator \
	    --config-file etc/oslo-config-generator/$$name.conf || exit 1; done

demo: $(OWN)/bindep ## the main job on a real Glance, with Nova's and Cinder's own code
	@$(TOX) -q -e venv -- python -m lab.demo

pictures: $(OWN)/bindep ## of the documentation, as on a screen and on a telephone, into build/pictures (needs Chromium)
	@$(TOX) -q -e docs
	@$(PYTHON) tools/pictures.py doc/build/html build/pictures

bench: $(OWN)/bindep ## stock code beside ours, into benchmarks/results
	@$(TOX) -q -e venv -- python -m benchmarks

gate: $(OWN)/bindep ## a real cloud with two sites, stock and with the hooks (root; GATE=short, ONLY=1,2, KEEP=1, RELEASE=oldest)
	@tools/debian_packages $(OWN)/bindep gate
	@$(TOX) -q -e tempest --notest
	@GATE=$(GATE) ONLY=$(ONLY) KEEP=$(KEEP) $(TOX) -q -e gate$(addprefix -,$(RELEASE:oldest=ussuri))

devstack: $(if $(DEVSTACK_DIR),$(OWN)/bindep) ## a real devstack on this machine (root; DEVSTACK_DIR=..., SERVICES_DIR=..., BRANCH=..., EXAMPLE=2, CEPH=1, LOCAL_CONF=..., AGAIN=1, KEEP=1)
	@[ -z "$(DEVSTACK_DIR)" ] || tools/debian_packages $(OWN)/bindep devstack
	@DEVSTACK_DIR=$(DEVSTACK_DIR) SERVICES_DIR=$(SERVICES_DIR) LOCAL_CONF=$(LOCAL_CONF) CEPH=$(CEPH) AGAIN=$(AGAIN) \
	    BRANCH=$(BRANCH) EXAMPLE=$(EXAMPLE) KEEP=$(KEEP) WORK=$(WORK) STOP=$(STOP) $(PYTHON) -m lab.devstack

clean: ## remove the environments and everything built
	rm -rf .venvs .stestr .tox .mypy_cache .hypothesis .coverage cover build dist doc/build releasenotes/build *.egg-info
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(OWN)/bindep:
	@$(PYTHON) -c 'import ensurepip' 2>/dev/null || apt-get -q install -y --no-install-recommends python3-venv
	@$(PYTHON) -m venv .tox/.make
	@$(OWN)/pip install -qq --disable-pip-version-check tox bindep

.PHONY: help test functional releases samples demo pictures bench gate devstack clean
