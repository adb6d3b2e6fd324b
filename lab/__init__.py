# SPDX-License-Identifier: Apache-2.0
"""Real services on loopback, for the tests, the demo, the live gate and the benchmarks; no test is in here.

``glance``          a Glance: ``with Glance(root, {'reliable': 'file', 'fast': 'file'}) as glance:``
``cinder``          a Cinder, or its own code for an upload alone
``nova``            compute hosts: Nova's own manager, driver and API, on a fake libvirt
``ceph``            a Ceph cluster of one node
``volume_store``    a Glance with images on volumes of that Cinder
``keystone``        the stand-in for Keystone; of ``faults`` and ``held_file`` each makes a service fail
``processes``       the one way to start a process and to end it with its children; ``guard`` ends those of
                    a test that was killed, ``forks`` starts them in a tenth of the time
``poll``            the one way to wait
``ini``             the one way to write a configuration file
``demo``            ``make demo``
``gate``            ``make gate``: a whole cloud of two sites, in namespaces of its own
``devstack``        ``make devstack``

Services run in processes of their own, so that nothing here imports one but what runs in those.
"""
