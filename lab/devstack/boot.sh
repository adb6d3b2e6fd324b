#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# boot.sh TREE: run by lab/devstack/machine.py in namespaces of its own; makes the tree the root, and becomes
# its systemd. Nothing of the host's file system is left there but the device files named below.
set -o errexit
tree=$1
mount --make-rprivate /
mount --bind "$tree" "$tree"
cd "$tree"
mkdir -p .outside
mount -t proc proc proc
# Of these settings the kernel has one for all namespaces.
for name in fs kernel vm; do
    mount --bind "proc/sys/$name" "proc/sys/$name"
    mount -o remount,bind,ro "proc/sys/$name"
done
mount -t sysfs -o ro sysfs sys
# Some releases of devstack write this setting of all the host's memory, if it is there.
[[ ! -d sys/kernel/mm/ksm ]] || mount -t tmpfs -o ro tmpfs sys/kernel/mm/ksm
mount -t cgroup2 none sys/fs/cgroup
mount -t tmpfs -o mode=755 tmpfs dev
mkdir -p dev/pts dev/shm dev/net dev/mapper
for name in null zero full random urandom tty fuse net/tun; do
    cp -a "/dev/$name" "dev/$name" 2>/dev/null || true
done
chmod 666 dev/tty dev/net/tun
mount -t devpts -o newinstance,ptmxmode=0666,mode=620,gid=5 devpts dev/pts
ln -s pts/ptmx dev/ptmx
ln -s /proc/self/fd dev/fd
ln -s /proc/self/fd/0 dev/stdin
ln -s /proc/self/fd/1 dev/stdout
ln -s /proc/self/fd/2 dev/stderr
mount -t tmpfs tmpfs dev/shm
mount -t tmpfs -o mode=755 tmpfs run
mkdir -p run/lock
hostname devstack
ip link set lo up
pivot_root . .outside
umount -l /.outside
exec env -i container=lab PATH=/usr/sbin:/usr/bin:/sbin:/bin LANG=C.UTF-8 \
    /lib/systemd/systemd --system --log-target=console --show-status=false
