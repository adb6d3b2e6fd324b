# SPDX-License-Identifier: Apache-2.0
"""A lab that runs Nova's own code for snapshots, and for disks on RBD, against a real Glance.

What is Nova's own, unchanged, in the release that is importable:
``nova.compute.api.API`` (or, for a cross-cell resize, the conductor's task) creates the image
record; ``ComputeManager`` takes the snapshot with the driver that ``load_compute_driver`` finds
under ``compute_driver``; ``nova.image.glance`` talks to Glance through glanceclient and a
keystoneauth session; the instances are in a database, with the tables that Nova's models name.

What stands in:

* ``libvirt`` is Nova's own fake of it, with a guest whose root disk is a real file;
* ``qemu-img``, only where it is not installed, is a script that knows raw (``lab.standins``);
* the message queue: a call of nova-api or nova-conductor is serialized as for the wire and handed
  to the compute manager in this process;
* Cinder, for the snapshot of a volume-backed server: three methods, by Nova's own argument for it;
* keystone: there is none, the token is in the request's context;
* placement: its version document, which a compute manager requests when it is made.

``program`` is one compute host, ``compute_hosts`` starts it in a process of its own, ``tree`` makes a
tree of Nova with a file added to it.
"""
