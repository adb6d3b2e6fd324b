#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# What would reach outside of the test's folder. It is noted in $WORK/calls, and not done; with the
# stand-ins and with devstack's own functions alike.
# shellcheck disable=SC2317

function note {
    echo "$*" >> "$WORK/calls"
}

# What root installs is the user's own in a test.
function sudo {
    if [[ "$1 $2 $4" == "install -D root" ]]; then
        note sudo "$*"
        set -- install -D "${@:7}"
    fi
    "$@"
}

function visudo {
    note visudo "$*"
    return "${VISUDO_SAYS:-0}"
}

function virsh {
    note virsh "$*"
    if [[ "$1" == "secret-define" ]]; then
        cat "$3" >> "$WORK/calls"
    elif [[ "$1" == "secret-list" ]]; then
        grep -o 'secret-set-value --secret [^ ]*' "$WORK/calls" || true
    fi
}

function cephadm {
    note cephadm "$*"
}

function systemctl {
    note systemctl "$*"
}

function echo_summary {
    echo "== $*"
}

function install_package {
    note install_package "$*"
}

function get_python_exec_prefix {
    echo "$WORK/bin"
}

# The command that pip would make.
function setup_develop {
    note setup_develop "$*"
    mkdir -p "$WORK/bin"
    printf '#!/bin/sh\nPYTHONPATH=%s exec %s -m multistore_hooks.cli.main "$@"\n' \
        "$1" "$TEST_PYTHON" > "$WORK/bin/multistore-hooks"
    chmod +x "$WORK/bin/multistore-hooks"
}

function pip_uninstall {
    note pip_uninstall "$*"
    rm -f "$WORK/bin/$1"
}

# Keeps the volume types that were made, each with its properties.
function openstack {
    local words=" $* " name=${!#}
    note openstack "$*"
    case "$words" in
        *" volume type show "*)
            [[ -f "$WORK/types/$name" ]]
            ;;
        *" volume type create "*)
            mkdir -p "$WORK/types"
            if [[ -f "$WORK/types/$name" ]]; then
                return 1
            fi
            touch "$WORK/types/$name"
            ;;
        *" volume type set "*)
            [[ -f "$WORK/types/$name" ]]
            words=${words#* --property }
            echo "${words%% *}" > "$WORK/types/$name"
            ;;
    esac
}
