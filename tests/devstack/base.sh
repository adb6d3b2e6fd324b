#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# The services' configuration files as devstack leaves them before post-config, so far as it matters
# here, made from the services' own samples; and a tree of Nova.

function configure_services {
    if is_service_enabled g-api; then
        configure_base_glance
    fi
    if is_service_enabled n-cpu; then
        configure_base_nova
    fi
    if is_service_enabled c-api c-vol; then
        configure_base_cinder
    fi
}

function configure_base_glance {
    local file=$GLANCE_API_CONF
    mkdir -p "$GLANCE_CONF_DIR" "$DATA_DIR/glance/images"
    iniset "$file" DEFAULT debug True
    iniset "$file" database connection "sqlite:///$WORK/glance.sqlite?timeout=60"
    iniset "$file" DEFAULT image_cache_dir "$DATA_DIR/glance/cache/"
    iniset "$file" oslo_concurrency lock_path "$DATA_DIR/glance/locks"
    iniset "$file" paste_deploy flavor keystone+cachemanagement
    iniset "$file" keystone_authtoken www_authenticate_uri "$KEYSTONE_SERVICE_URI"
    iniset "$file" DEFAULT show_image_direct_url False
    iniset "$file" DEFAULT show_multiple_locations False
    configure_glance_store "$USE_CINDER_FOR_GLANCE" "$GLANCE_ENABLE_MULTIPLE_STORES"
    iniset "$file" cors allowed_origin "http://$SERVICE_HOST"
    iniset "$file" DEFAULT public_endpoint "$GLANCE_URL"
    iniset "$file" DEFAULT worker_self_reference_url "$GLANCE_URL"
    iniset "$file" oslo_policy enforce_new_defaults True
    cp "$PASTE_SAMPLE" "$GLANCE_API_PASTE_INI"
    iniset "$GLANCE_IMAGE_IMPORT_CONF" image_import_opts image_import_plugins "${IMPORT_PLUGINS:-[]}"
}

function configure_base_nova {
    rm -f "$NOVA_CONF"
    mkdir -p "$(dirname "$NOVA_CONF")"
    iniset "$NOVA_CONF" DEFAULT debug True
    iniset "$NOVA_CONF" DEFAULT compute_driver libvirt.LibvirtDriver
    iniset "$NOVA_CONF" libvirt virt_type qemu
    iniset "$NOVA_CONF" service_user send_service_user_token True
    mkdir -p "$NOVA_DIR/nova/virt" "$NOVA_DIR/nova.egg-info"
    touch "$NOVA_DIR/nova/__init__.py" "$NOVA_DIR/nova/virt/__init__.py"
    printf 'Metadata-Version: 2.1\nName: nova\nVersion: %s\n\n' "${NOVA_VERSION:-34.0.0}" \
        > "$NOVA_DIR/nova.egg-info/PKG-INFO"
}

function configure_base_cinder {
    rm -f "$CINDER_CONF"
    mkdir -p "$(dirname "$CINDER_CONF")"
    iniset "$CINDER_CONF" DEFAULT debug True
    iniset "$CINDER_CONF" DEFAULT osapi_volume_extension cinder.api.contrib.standard_extensions
    iniset "$CINDER_CONF" DEFAULT enabled_backends lvmdriver-1
    iniset "$CINDER_CONF" oslo_concurrency lock_path "$DATA_DIR/cinder"
}

function configure_base_tempest {
    iniset "$TEMPEST_CONFIG" service_available glance True
    iniset "$TEMPEST_CONFIG" image-feature-enabled import_image "$GLANCE_USE_IMPORT_WORKFLOW"
}
