# SPDX-License-Identifier: Apache-2.0
"""A service's configuration files, read by oslo.config as the service does, for the options that matter."""

import os
from typing import Any
from typing import Callable
from typing import Dict
from typing import List
from typing import NamedTuple
from typing import Optional
from typing import Sequence

from oslo_config import cfg

from multistore_hooks.status.facts import options


_MOST_REFERENCES = 10
#: Cinder's section for what backends do not set themselves.
DEFAULTS = 'backend_defaults'


class Unreadable(Exception):
    """A file or folder that was named is not there, not readable, or no ini file. One line."""


class WrongValue(NamedTuple):
    """An option whose value is not of its type."""

    where: str
    why: str


class ServiceConf:
    """The configuration of one service.

    :param service: nova, cinder or glance
    :param paths: files, later ones win, and folders of files; ``X.conf.d`` beside ``X.conf`` is read too,
        as oslo.config does
    :raises Unreadable: one of them cannot be read
    """

    def __init__(self, service: str, paths: Sequence[str]) -> None:
        self.service = service
        self.files: List[str] = []
        arguments: List[str] = []
        for path in paths:
            path = os.path.abspath(path)
            if os.path.isdir(path):
                arguments += ['--config-dir', path]
                continue
            self.files.append(path)
            arguments += ['--config-file', path]
            if os.path.isdir(path + '.d'):
                arguments += ['--config-dir', path + '.d']
        self.conf = cfg.ConfigOpts()
        # The same without types: oslo.config names no place for a value that is not of its type.
        self._texts = cfg.ConfigOpts()
        self._registered: Dict[str, List[cfg.Opt]] = {}
        try:
            for conf in (self.conf, self._texts):
                # No default files, and not our environment: the service has one of its own.
                conf(arguments, project=service, default_config_files=[], default_config_dirs=[],
                     use_env=False)
        except cfg.ConfigFileParseError as error:
            raise Unreadable('%s cannot be read as a configuration file: %s' % (
                error.config_file, _one_line(error.msg))) from error
        except (cfg.Error, OSError, UnicodeDecodeError) as error:
            raise Unreadable('the configuration of %s, %s, cannot be read: %s' % (
                service, ', '.join(paths), _one_line(error))) from error
        self._named = ', '.join(self.files) or ', '.join(paths)

    def register(self, group: str, opts: Sequence[cfg.Opt]) -> None:
        """Make options of a section readable."""
        known = self._registered.setdefault(group, [])
        for opt in opts:
            if opt.dest not in {one.dest for one in known}:
                section = None if group == 'DEFAULT' else group
                self.conf.register_opt(opt, group=section)
                self._texts.register_opt(cfg.StrOpt(opt.dest), group=section)
                known.append(opt)

    def get(self, group: str, option: str) -> Any:
        """Return an option's value; its default where the value is not of its type (see `wrong_values`)."""
        opt = next(opt for opt in self._registered[group] if opt.dest == option)
        try:
            return self._value(group, option)
        except (cfg.Error, ValueError):
            return opt.default

    def is_set(self, group: str, option: str) -> bool:
        """Return whether a file sets an option."""
        place = self._location(group, option)
        return place is not None and place.location == cfg.Locations.user

    def where(self, group: str, option: str) -> str:
        """Return file, section and option in the words of a finding."""
        place = self._location(group, option)
        file = place.detail if place is not None and place.location == cfg.Locations.user else self._named
        return '%s, [%s] %s' % (file, group, option)

    def wrong_values(self) -> List[WrongValue]:
        """Return every option that is read here and whose value is not of its type."""
        found = []
        for group, opts in self._registered.items():
            for opt in opts:
                try:
                    self._value(group, opt.dest)
                except (cfg.Error, ValueError) as error:
                    why = _one_line(error).partition(' is not valid: ')[2] or _one_line(error)
                    found.append(WrongValue(self.where(group, opt.dest), 'is not valid: ' + why))
        return found

    def _value(self, group: str, option: str) -> Any:
        return _substituted(self.conf, lambda: (
            self.conf[option] if group == 'DEFAULT' else self.conf[group][option]))

    def _location(self, group: str, option: str) -> Optional[Any]:
        return _substituted(self._texts, lambda: self._texts.get_location(
            option, None if group == 'DEFAULT' else group))


class Backend:
    """A backend of Cinder: its section, and below it ``[backend_defaults]``."""

    def __init__(self, conf: ServiceConf, name: str) -> None:
        self._conf, self.name = conf, name

    def _section(self, option: str) -> str:
        given = not self._conf.is_set(self.name, option) and self._conf.is_set(DEFAULTS, option)
        return DEFAULTS if given else self.name

    def get(self, option: str) -> Any:
        """Return an option's value, as Cinder reads it."""
        return self._conf.get(self._section(option), option)

    def where(self, option: str) -> str:
        """Return file, section and option in the words of a finding."""
        return self._conf.where(self._section(option), option)

    @property
    def store(self) -> str:
        """The Glance store in the backend's own Ceph cluster; empty where none is named."""
        return str(self.get('rbd_glance_store_name') or '')


def backends(cinder: Optional[ServiceConf]) -> List[Backend]:
    """Return the enabled backends of a cinder.conf."""
    return [] if cinder is None else [Backend(cinder, name)
                                      for name in cinder.get('DEFAULT', 'enabled_backends')]


def read_nova(paths: Sequence[str]) -> ServiceConf:
    """Return nova.conf.

    :raises Unreadable: see `ServiceConf`
    """
    return _read('nova', paths, options.NOVA)


def read_cinder(paths: Sequence[str]) -> ServiceConf:
    """Return cinder.conf, with a section for each of its backends.

    :raises Unreadable: see `ServiceConf`
    """
    conf = _read('cinder', paths, options.CINDER)
    for section in [DEFAULTS] + conf.get('DEFAULT', 'enabled_backends'):
        conf.register(section, options.CINDER_BACKEND)
    return conf


def read_glance(paths: Sequence[str]) -> ServiceConf:
    """Return glance-api.conf, with a section for each of its stores.

    :raises Unreadable: see `ServiceConf`
    """
    conf = _read('glance', paths, options.GLANCE)
    for store in conf.get('DEFAULT', 'enabled_backends') or ():
        conf.register(store, options.GLANCE_STORE)
    return conf


def _read(service: str, paths: Sequence[str], known: Dict[str, List[cfg.Opt]]) -> ServiceConf:
    conf = ServiceConf(service, paths)
    for group, opts in known.items():
        conf.register(group, opts)
    return conf


def _substituted(conf: cfg.ConfigOpts, get: Callable[[], Any]) -> Any:
    """Return what ``get`` returns; a value may refer to options of the service that are not read here."""
    for _time in range(_MOST_REFERENCES):
        try:
            return get()
        except cfg.Error as error:
            unknown = _unknown(error)
            if unknown is None:
                raise
            group = unknown.group.name if unknown.group is not None else None
            conf.register_opt(cfg.StrOpt(unknown.opt_name, default=''),
                              group=None if group == 'DEFAULT' else group)
    return get()


def _unknown(error: Optional[BaseException]) -> Optional[cfg.NoSuchOptError]:
    while error is not None and not isinstance(error, cfg.NoSuchOptError):
        error = error.__cause__ or error.__context__
    return error


def _one_line(error: Any) -> str:
    return ' '.join(str(error).split()).rstrip('.')
