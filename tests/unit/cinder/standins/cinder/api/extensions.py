# SPDX-License-Identifier: Apache-2.0
"""Stands in for cinder.api.extensions."""


class ExtensionDescriptor:

    def __init__(self, manager):
        self.manager = manager


class ControllerExtension:

    def __init__(self, extension, collection, controller):
        self.extension, self.collection, self.controller = extension, collection, controller
