#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# What the machine of the lab lacks: networks, and a kernel for LVM and iSCSI.
_LAB_DIR=$(dirname "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")")

if [[ "$1 ${2:-}" == "stack install" ]]; then
    cp "$_LAB_DIR/lab_local_files.py" "$(echo "$DEVSTACK_VENV"/lib/python3*/site-packages)/"
elif [[ "$1 ${2:-}" == "stack post-config" ]]; then
    get_or_create_service neutron network "stand-in"
    get_or_create_endpoint network "$REGION_NAME" "http://127.0.0.1:9696/"
    iniset "$NOVA_CONF" neutron auth_type password
    iniset "$NOVA_CONF" neutron auth_url "$KEYSTONE_SERVICE_URI"
    iniset "$NOVA_CONF" neutron username nova
    iniset "$NOVA_CONF" neutron password "$SERVICE_PASSWORD"
    iniset "$NOVA_CONF" neutron user_domain_name "$SERVICE_DOMAIN_NAME"
    iniset "$NOVA_CONF" neutron project_name "$SERVICE_PROJECT_NAME"
    iniset "$NOVA_CONF" neutron project_domain_name "$SERVICE_DOMAIN_NAME"
    iniset "$NOVA_CONF" neutron region_name "$REGION_NAME"
    iniset "$NOVA_CONF" neutron cafile "$SSL_BUNDLE_FILE"
    iniset "$NOVA_CONF" DEFAULT vif_plugging_is_fatal False
    iniset "$NOVA_CONF" DEFAULT vif_plugging_timeout 0
    run_process lab-neutron \
        "/usr/bin/env PYTHONPATH=$DEST/multistore-hooks /usr/bin/python3 -m lab.gate.programs.neutron 9696"
elif [[ "$1" == "unstack" ]]; then
    stop_process lab-neutron
fi
