#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# upgrade.sh [TOP_DIR]: turns the plugin on in a devstack that was stacked with
# MULTISTORE_ENABLED=False, and restarts the services. Run as the stack user on the node.

set -o errexit
TOP_DIR=$(readlink -f "${1:-/opt/stack/devstack}")
cd "$TOP_DIR"

# As unstack.sh does it.
# shellcheck source=/dev/null
source "$TOP_DIR/functions"
# shellcheck source=/dev/null
source "$TOP_DIR/openrc" admin admin
DATA_DIR=${DATA_DIR:-${DEST}/data}
# stack.sh alone sets it.
SSL_BUNDLE_FILE=${SSL_BUNDLE_FILE:-$DATA_DIR/ca-bundle.pem}
TEMPEST_CONFIG=${TEMPEST_CONFIG:-${DEST}/tempest/etc/tempest.conf}
if [[ -r "$TOP_DIR/.stackenv" ]]; then
    # shellcheck source=/dev/null
    source "$TOP_DIR/.stackenv"
fi
GetDistro
run_phase override_defaults
for library in apache tls infra lvm keystone glance nova placement cinder; do
    # shellcheck source=/dev/null
    source "$TOP_DIR/lib/$library"
done
load_plugin_settings

function echo_summary {
    echo "$*"
}

# A phase that the plugin has nothing to do in, for its functions.
# shellcheck source=devstack/plugin.sh
source "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/plugin.sh" functions
# shellcheck source=devstack/lib/multistore_upgrade
source "$MULTISTORE_PLUGIN_DIR/lib/multistore_upgrade"
multistore_upgrade
