#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# phases.sh WORK STEP...: run devstack's phases in one bash, as stack.sh does.
#
#   stack              all that stack.sh does, in its order
#   twice              the same, each phase of the plugin two times in a row
#   unstack, clean     what those scripts do; a new bash for each, as there
#   upgrade            what upgrade.sh does, to a devstack that was stacked without the hooks
#   pre-install ...    stack up to this phase
#
# WORK/localrc is local.conf's section localrc, WORK/local.conf has the others. With DEVSTACK_DIR the
# functions are devstack's own, otherwise those of stubs.sh. TEST_PYTHON runs multistore-hooks.
# shellcheck disable=SC2034

set -o errexit
WORK=$1
HERE=$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")

DEST=$WORK/dest
TOP_DIR=$DEST/devstack
DATA_DIR=$WORK/data
NOVA_DIR=$DEST/nova
GLANCE_CONF_DIR=$WORK/etc/glance
NOVA_CONF=$WORK/etc/nova/nova.conf
NOVA_CPU_CONF=$WORK/etc/nova/nova-cpu.conf
CINDER_CONF=$WORK/etc/cinder/cinder.conf
TEMPEST_CONFIG=$WORK/etc/tempest.conf
MULTISTORE_ETC_DIR=$WORK/etc/multistore-hooks
MULTISTORE_SUDOERS_FILE=$WORK/etc/sudoers.d/multistore_hooks
MULTISTORE_UNIT_DIR=$WORK/etc/systemd/system
STACK_USER=$(id -un)
SERVICE_HOST=127.0.0.1
SERVICE_LISTEN_ADDRESS=127.0.0.1
SERVICE_PROTOCOL=http
SERVICE_PROJECT_NAME=service
SERVICE_DOMAIN_NAME=Default
SERVICE_PASSWORD='secret&pass'
KEYSTONE_SERVICE_URI=http://127.0.0.1/identity
REGION_NAME=RegionOne
PYTHON3_VERSION=3
os_PACKAGE=deb
DEVSTACK_PLUGINS=multistore-hooks
ENABLED_SERVICES=g-api,n-api,n-cpu,n-cond,c-api,c-vol,c-sch,tempest,key
mkdir -p "$TOP_DIR" "$DATA_DIR" "$MULTISTORE_UNIT_DIR"
ln -sf "$WORK/local.conf" "$TOP_DIR/local.conf"

if [[ -n "${DEVSTACK_DIR:-}" ]]; then
    # shellcheck source=/dev/null
    source "$DEVSTACK_DIR/functions"
    function source_libraries {
        # shellcheck source=/dev/null
        source "$DEVSTACK_DIR/lib/glance"
        # It puts these two where one is inside of the other; unlike cleanup_glance, no test may.
        unset GLANCE_STAGING_DIR GLANCE_TASKS_DIR
    }
else
    # shellcheck source=tests/devstack/stubs.sh
    source "$HERE/stubs.sh"
fi
# shellcheck source=tests/devstack/outside.sh
source "$HERE/outside.sh"
# shellcheck source=tests/devstack/base.sh
source "$HERE/base.sh"

GITDIR[multistore-hooks]=$(readlink -f "$HERE/../..")
GITDIR[devstack-plugin-ceph]=$HERE/ceph_plugin
# shellcheck source=/dev/null
source "$WORK/localrc"

function load_settings {
    run_phase override_defaults
    source_libraries
    GLANCE_URL=http://127.0.0.1:9/image
    load_plugin_settings
}

# phase MODE PHASE: the plugins' part, and once more if it shall change nothing.
function phase {
    run_phase "$@"
    if [[ "$TIMES" == "twice" ]]; then
        tar -C "$WORK" -cf - --sort=name --mtime=@0 etc data dest types 2>/dev/null > "$WORK/before.tar" || true
        run_phase "$@"
        tar -C "$WORK" -cf - --sort=name --mtime=@0 etc data dest types 2>/dev/null > "$WORK/after.tar" || true
        if ! cmp "$WORK/before.tar" "$WORK/after.tar"; then
            echo "phase $* changed something the second time" >&2
            exit 3
        fi
    fi
    if [[ "${2:-}" == "$LAST" ]]; then
        exit 0
    fi
}

function stack {
    load_settings
    phase stack pre-install
    configure_services
    phase stack install
    phase stack post-config
    merge_config_group "$TOP_DIR/local.conf" post-config
    merge_config_group "$TOP_DIR/local.conf" extra
    phase stack extra
    if is_service_enabled tempest; then
        configure_base_tempest
    fi
    phase stack test-config
    merge_config_group "$TOP_DIR/local.conf" test-config
}

TIMES=once
LAST=""
case "$2" in
    stack)
        stack
        ;;
    twice)
        TIMES=twice
        stack
        ;;
    unstack)
        load_settings
        phase unstack
        ;;
    upgrade)
        load_settings
        run_phase functions
        # shellcheck source=devstack/lib/multistore_upgrade
        source "$MULTISTORE_PLUGIN_DIR/lib/multistore_upgrade"
        multistore_upgrade
        ;;
    clean)
        # clean.sh does not source override-defaults, and runs unstack.sh first.
        bash "${BASH_SOURCE[0]}" "$WORK" unstack
        source_libraries
        load_plugin_settings
        phase clean
        ;;
    *)
        LAST=$2
        stack
        ;;
esac
