#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# The entry of the plugin: which function belongs to which phase of stack.sh. Sourced by devstack.

_MULTISTORE_XTRACE=$(set +o | grep xtrace)
set +o xtrace

# shellcheck source=devstack/lib/multistore
source "$MULTISTORE_PLUGIN_DIR/lib/multistore"

# From here on as the caller has it: a failed job is understood by the trace of its phase.
$_MULTISTORE_XTRACE

case "$1 ${2:-}" in
    "stack pre-install")
        multistore_pre_install
        ;;
    "stack install")
        multistore_install
        ;;
    "stack post-config")
        multistore_post_config
        ;;
    "stack extra")
        multistore_extra
        ;;
    "stack test-config")
        multistore_test_config
        ;;
    "unstack ")
        multistore_unstack
        ;;
    "clean ")
        multistore_clean
        ;;
esac
