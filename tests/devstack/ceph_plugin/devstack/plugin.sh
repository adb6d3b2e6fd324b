#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# The stand-in's phases: in post-config it writes Glance's stores its way, and makes the pools and
# users that the arrays name.

function configure_lab_ceph {
    local pool key
    iniset "$GLANCE_API_CONF" DEFAULT show_multiple_locations True
    iniset "$GLANCE_API_CONF" DEFAULT enabled_backends robust_rbd:rbd,fast:file
    iniset "$GLANCE_API_CONF" glance_store default_backend robust_rbd
    iniset "$GLANCE_API_CONF" robust_rbd rbd_store_pool "$GLANCE_CEPH_POOL"
    if [[ "$ENABLE_CEPH_NOVA" == "True" ]] && is_service_enabled n-cpu; then
        iniset "$NOVA_CONF" libvirt images_type rbd
        iniset "$NOVA_CONF" libvirt images_rbd_pool "$NOVA_CEPH_POOL"
    fi
    for pool in "${POOLS[@]}" "$GLANCE_CEPH_POOL"; do
        note ceph-pool "$pool"
    done
    for key in "${KEYS[@]}" "client.$GLANCE_CEPH_USER"; do
        note ceph-key "$key"
    done
    if [[ -n "${LAB_CEPH_CONF:-}" ]]; then
        make_in_lab_ceph
    fi
}

function make_in_lab_ceph {
    local pool key caps=""
    for pool in "${POOLS[@]}" "$GLANCE_CEPH_POOL"; do
        ceph --conf "$LAB_CEPH_CONF" osd pool create "$pool" 8
        ceph --conf "$LAB_CEPH_CONF" osd pool application enable "$pool" rbd
        caps+=", profile rbd pool=$pool"
    done
    for key in "${KEYS[@]}" "client.$GLANCE_CEPH_USER"; do
        if ! grep -q -F "[$key]" "$LAB_CEPH_KEYRING"; then
            ceph --conf "$LAB_CEPH_CONF" auth get-or-create "$key" mon 'profile rbd' \
                mgr 'profile rbd' osd "${caps#, }" >> "$LAB_CEPH_KEYRING"
        fi
    done
}

if [[ "$1 ${2:-}" == "stack post-config" ]]; then
    configure_lab_ceph
fi
