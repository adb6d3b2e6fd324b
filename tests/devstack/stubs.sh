#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# Small stand-ins for those functions of devstack that the plugin and the phases use, for when no
# checkout of devstack is at hand (DEVSTACK_DIR). Written from what devstack documents.
# shellcheck disable=SC2001,SC2034

declare -A GITDIR

function die {
    shift
    echo "[ERROR] $*" >&2
    exit 1
}

function trueorfalse {
    case "${!2:-}" in
        1|[yY]es|YES|[tT]rue|TRUE)
            echo True
            ;;
        0|[nN]o|NO|[fF]alse|FALSE)
            echo False
            ;;
        *)
            echo "$1"
            ;;
    esac
}

function define_plugin {
    :
}

function is_plugin_enabled {
    [[ ",$DEVSTACK_PLUGINS," == *",$1,"* ]]
}

function is_service_enabled {
    local service
    for service in "$@"; do
        if [[ ",$ENABLED_SERVICES," == *",$service,"* ]]; then
            return 0
        fi
        case "$service" in
            glance|nova)
                if [[ ",$ENABLED_SERVICES" == *,"${service:0:1}-"* ]]; then
                    return 0
                fi
                ;;
        esac
    done
    return 1
}

# _section FILE SECTION: the line numbers of its first and its last line.
function _section {
    awk -v header="[$2]" '
        inside && /^\[/ { inside = 0 }
        $0 == header { inside = 1; first = NR }
        inside { last = NR }
        END { if (first) print first "," last }' "$1"
}

function ini_has_option {
    [[ -n "$(_option_lines "$@")" ]]
}

function _option_lines {
    local range
    range=$(_section "$1" "$2")
    if [[ -n "$range" ]]; then
        sed -n "${range}{/^$3[ \t]*=/p}" "$1"
    fi
}

function iniget {
    iniget_multiline "$@"
}

function iniget_multiline {
    local lines
    lines=$(_option_lines "$@" | sed -e 's/^[^=]*=[ \t]*//')
    # shellcheck disable=SC2086
    echo $lines
}

function inidelete {
    local range
    range=$(_section "$1" "$2")
    if [[ -n "$range" ]]; then
        sed -i "${range}{/^$3[ \t]*=/d}" "$1"
    fi
}

function iniset {
    local file=$1 section=$2 option=$3 value=$4
    if ! grep -q -s -x -F "[$section]" "$file"; then
        printf '\n[%s]\n' "$section" >> "$file"
    fi
    if ini_has_option "$file" "$section" "$option"; then
        value=$(sed -e 's/[\\&|]/\\&/g' <<< "$value")
        sed -i "$(_section "$file" "$section")s|^\(${option}[ \t]*=[ \t]*\).*|\1$value|" "$file"
    else
        _after_header "$file" "$section" "$option = $value"
    fi
}

function iniset_multiline {
    local file=$1 section=$2 option=$3 value at
    shift 3
    if ! grep -q -s -x -F "[$section]" "$file"; then
        printf '\n[%s]\n' "$section" >> "$file"
    fi
    inidelete "$file" "$section" "$option"
    for ((at = $#; at > 0; at--)); do
        value=${!at}
        _after_header "$file" "$section" "$option = $value"
    done
}

function _after_header {
    local made
    made=$(mktemp)
    awk -v header="[$2]" -v line="$3" '{ print } $0 == header { print line }' "$1" > "$made"
    cat "$made" > "$1"
    rm -f "$made"
}

# run_phase MODE [PHASE]
function run_phase {
    local plugin file=plugin.sh
    case "$1" in
        override_defaults)
            file=override-defaults
            ;;
        source)
            file=settings
            ;;
    esac
    for plugin in ${DEVSTACK_PLUGINS//,/ }; do
        if [[ -f "${GITDIR[$plugin]}/devstack/$file" ]]; then
            # shellcheck source=/dev/null
            source "${GITDIR[$plugin]}/devstack/$file" "$@"
        fi
    done
}

function load_plugin_settings {
    run_phase source
}

# merge_config_group LOCAL_CONF GROUP
function merge_config_group {
    local line file="" section=""
    [[ -r "$1" ]] || return 0
    while read -r line; do
        case "$line" in
            "[["*"]]")
                file=""
                if [[ "$line" == "[[$2|"* ]]; then
                    file=${line#*|}
                    file=$(eval "echo ${file%]]}")
                fi
                ;;
            "["*"]")
                section=${line:1:-1}
                ;;
            *=*)
                if [[ -n "$file" ]]; then
                    iniset "$file" "$section" "${line%%[ =]*}" "$(sed 's/^[^=]*= *//' <<< "$line")"
                fi
                ;;
        esac
    done < "$1"
}

# The defaults of lib/glance that matter here.
function source_libraries {
    GLANCE_CONF_DIR=${GLANCE_CONF_DIR:-/etc/glance}
    GLANCE_API_CONF=$GLANCE_CONF_DIR/glance-api.conf
    GLANCE_API_PASTE_INI=$GLANCE_CONF_DIR/glance-api-paste.ini
    GLANCE_IMAGE_IMPORT_CONF=$GLANCE_CONF_DIR/glance-image-import.conf
    GLANCE_ENABLE_MULTIPLE_STORES=$(trueorfalse False GLANCE_ENABLE_MULTIPLE_STORES)
    GLANCE_USE_IMPORT_WORKFLOW=$(trueorfalse False GLANCE_USE_IMPORT_WORKFLOW)
    USE_CINDER_FOR_GLANCE=$(trueorfalse False USE_CINDER_FOR_GLANCE)
}

function configure_glance_store {
    if [[ "$2" == "True" ]]; then
        iniset "$GLANCE_API_CONF" DEFAULT enabled_backends fast:file
        iniset "$GLANCE_API_CONF" glance_store default_backend fast
        iniset "$GLANCE_API_CONF" os_glance_staging_store filesystem_store_datadir \
            "$DATA_DIR/glance/os_glance_staging_store/"
        iniset "$GLANCE_API_CONF" os_glance_tasks_store filesystem_store_datadir \
            "$DATA_DIR/glance/os_glance_tasks_store/"
    else
        iniset "$GLANCE_API_CONF" glance_store filesystem_store_datadir "$DATA_DIR/glance/images/"
    fi
}
