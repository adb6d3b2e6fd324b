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

# devstack's word for what has Debian's packages.
function is_ubuntu {
    [[ "${os_PACKAGE:-}" == "deb" ]]
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

# The files are small: bash reads and writes them itself, as each process that it starts takes longer.

# _find FILE SECTION OPTION: TEXT, the file's; HEADER, the index of the section's first line, or -1; FOUND, the
# indexes of the option's lines in it.
function _find {
    local at inside=False
    TEXT=()
    HEADER=-1
    FOUND=()
    [[ -f "$1" ]] || return 0
    mapfile -t TEXT < "$1"
    for at in "${!TEXT[@]}"; do
        if [[ "${TEXT[at]}" == "["* ]]; then
            inside=False
            if [[ "${TEXT[at]}" == "[$2]" ]]; then
                inside=True
                [[ "$HEADER" != -1 ]] || HEADER=$at
            fi
        elif [[ "$inside" == "True" && "${TEXT[at]}" == "$3"* \
                && "${TEXT[at]}" =~ ^"$3"[[:blank:]]*= ]]; then
            FOUND+=("$at")
        fi
    done
}

# _save FILE: write TEXT.
function _save {
    if [[ ${#TEXT[@]} -gt 0 ]]; then
        printf '%s\n' "${TEXT[@]}" > "$1"
    else
        : > "$1"
    fi
}

function ini_has_option {
    local -a TEXT FOUND
    local HEADER
    _find "$@"
    [[ ${#FOUND[@]} -gt 0 ]]
}

function iniget {
    iniget_multiline "$@"
}

function iniget_multiline {
    local -a TEXT FOUND
    local HEADER at value lines=""
    _find "$@"
    for at in "${FOUND[@]}"; do
        value=${TEXT[at]#*=}
        lines+=" ${value#"${value%%[![:blank:]]*}"}"
    done
    # shellcheck disable=SC2086
    echo $lines
}

function inidelete {
    local -a TEXT FOUND
    local HEADER at
    _find "$@"
    for at in "${FOUND[@]}"; do
        unset "TEXT[at]"
    done
    [[ ${#FOUND[@]} -eq 0 ]] || _save "$1"
}

function iniset {
    local -a TEXT FOUND
    local HEADER at before
    _find "$1" "$2" "$3"
    if [[ ${#FOUND[@]} -gt 0 ]]; then
        for at in "${FOUND[@]}"; do
            [[ "${TEXT[at]}" =~ ^"$3"[[:blank:]]*=[[:blank:]]* ]]
            before=${BASH_REMATCH[0]}
            TEXT[at]=$before$4
        done
        _save "$1"
    else
        _after_header "$1" "$2" "$3 = $4"
    fi
}

function iniset_multiline {
    local file=$1 section=$2 option=$3 value
    local -a made=()
    shift 3
    inidelete "$file" "$section" "$option"
    for value in "$@"; do
        made+=("$option = $value")
    done
    _after_header "$file" "$section" "${made[@]}"
}

# _after_header FILE SECTION LINE...
function _after_header {
    local file=$1 section=$2
    local -a TEXT FOUND
    local HEADER
    _find "$file" "$section" ""
    shift 2
    if [[ "$HEADER" == -1 ]]; then
        printf '\n[%s]\n' "$section" >> "$file"
        _find "$file" "$section" ""
    fi
    TEXT=("${TEXT[@]:0:HEADER+1}" "$@" "${TEXT[@]:HEADER+1}")
    _save "$file"
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
