#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Replaces the images of this cloud by one raw image, of MULTISTORE_RAW_IMAGE_MIB (localrc) MiB.
set -o errexit
cd "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")"
# shellcheck source=/dev/null
source openrc admin admin

small=$(find files -name "cirros*$(uname -m)-disk.img" | sort | tail -n 1)
qemu-img convert -O raw "$small" files/multistore-raw.img
truncate --size "${MULTISTORE_RAW_IMAGE_MIB:-512}M" files/multistore-raw.img
for image in $(openstack image list --format value --column ID); do
    openstack image delete "$image"
done
openstack image create --public --disk-format raw --container-format bare \
    --file files/multistore-raw.img multistore-raw
