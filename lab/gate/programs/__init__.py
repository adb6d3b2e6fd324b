# SPDX-License-Identifier: Apache-2.0
"""Programs that the gate starts by their file name, in the services' environment."""
