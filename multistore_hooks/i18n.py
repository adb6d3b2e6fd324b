# SPDX-License-Identifier: Apache-2.0
"""The translation marker for what a user reads; log lines are not translated."""

import oslo_i18n

_ = oslo_i18n.TranslatorFactory(domain='multistore_hooks').primary
