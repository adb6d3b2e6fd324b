# SPDX-License-Identifier: Apache-2.0
"""A user who is not root, with the rights that the files in etc/ give glance-api's user, and a volume store.

``enter(order)`` runs `_as_root` in a mount namespace of its own: there, and there alone, /etc has sudo's
rule and rootwrap's files, and what the user's Python needs can be reached. Then it becomes the user and does
what it was ordered to; what came of it goes back as JSON. Nothing of the machine is changed.
"""

import contextlib
import hashlib
import io
import json
import os
import pwd
import shutil
import subprocess
import sys
import sysconfig
import tempfile

MODULE = 'tests.functional.rootwrap_user'
CHECKOUT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
SHIPPED = os.path.join(CHECKOUT, 'etc', 'multistore-hooks')
ETC = '/etc/multistore-hooks'
CONF = ETC + '/rootwrap.conf'
USER = 'nobody'
TIMEOUT = 240
# Where a lab's volumes are; no Cinder of an operator hands these out.
LOOP_FILTER = ('[Filters]\nlab_chown: RegExpFilter, /bin/chown, root, chown, --no-dereference, [0-9]+, '
               '/dev/loop[0-9]+\n')
STORE = 'gold'


def scripts(name):
    """Return the path of a script of this Python environment."""
    return os.path.join(sysconfig.get_path('scripts'), name)


def unavailable():
    """Say why there can be no such user here; None: there can."""
    if os.geteuid() != 0:
        return 'becoming another user needs root'
    missing = [name for name in ('sudo', 'unshare', 'mount', 'visudo') if not shutil.which(name)]
    if missing:
        return 'no %s here' % ', '.join(missing)
    try:
        pwd.getpwnam(USER)
    except KeyError:
        return 'no user %s here' % USER
    response = _run({'what': 'nothing'})
    return None if response == {} else 'no mount namespace here: %s' % response


def enter(order):
    """Let the user do something.

    :param order: {'what': 'commands', 'commands': [{'command': [...]}]} runs commands, and returns
        [[code, output]]; {'what': 'brick'} lets os-brick become root, and returns its user id and the
        command of its daemon; {'what': 'store', 'options': {option: value}, 'size': bytes, 'image': id}
        uploads to a volume store, reads, and deletes, and returns what came of it.
    """
    response = _run(order)
    if not isinstance(response, dict) or 'result' not in response:
        raise AssertionError('the user could not start: %s' % response)
    return response['result']


def _run(order):
    command = ['unshare', '--mount', '--propagation', 'private']
    command += [sys.executable, '-W', 'ignore', '-m', MODULE]
    done = subprocess.run(
        command, cwd=CHECKOUT, input=json.dumps(order), stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        timeout=TIMEOUT, universal_newlines=True)
    if done.returncode:
        return done.stderr[-3000:]
    return json.loads(done.stdout.splitlines()[-1])


# ---- in the namespace -------------------------------------------------------------------------------


def _as_root(order):
    # Not in make test's own temporary folder, which nobody but root may enter.
    work = tempfile.mkdtemp(prefix='multistore-user-', dir='/tmp')
    try:
        _mount('-t', 'tmpfs', '-o', 'mode=755', 'lab', work)
        for number, folder in enumerate(['/etc'] + _closed_folders()):
            _cover(folder, os.path.join(work, str(number)))
            if folder != '/etc':
                os.chmod(folder, os.stat(folder).st_mode | 0o001)
        install(ETC, '/etc/sudoers.d/multistore-hooks', USER)
        if order.get('loops', True):
            _write(ETC + '/rootwrap.d/lab.filters', LOOP_FILTER)
        if order.get('without'):
            _drop_lines(ETC + '/rootwrap.d/volume_store.filters', order['without'])
        home = os.path.join(work, 'home')
        os.mkdir(home)
        user = pwd.getpwnam(USER)
        os.chown(home, user.pw_uid, user.pw_gid)
        return _become(user, home, order)
    finally:
        # The namespace goes, and all mounts with it; the empty folder beneath them is left to be removed.
        subprocess.run(['umount', '--lazy', work], stderr=subprocess.DEVNULL, check=False)
        with contextlib.suppress(OSError):
            os.rmdir(work)


def install(target, sudoers, user):
    """Put the shipped files in place as the documentation says, for an environment that is not in /usr."""
    for folder, _folders, names in os.walk(SHIPPED):
        for name in names:
            source = os.path.join(folder, name)
            with open(source, encoding='utf-8') as stream:
                text = stream.read()
            text = text.replace('/usr/bin/privsep-helper', scripts('privsep-helper')).replace(
                '/usr/bin/glance-rootwrap', scripts('glance-rootwrap')).replace(ETC, target)
            if name == 'sudoers':
                _write(sudoers, text.replace('\nglance ', '\n%s ' % user), 0o440)
            else:
                _write(os.path.join(target, os.path.relpath(source, SHIPPED)), text)


def _drop_lines(path, beginning):
    with open(path, encoding='utf-8') as stream:
        lines = stream.readlines()
    _write(path, ''.join(line for line in lines if not line.startswith(beginning)))


def _closed_folders():
    """Return the folders on the way to the Python and the checkout that others may not pass."""
    found = []
    for path in (sys.prefix, os.path.realpath(sys.executable), CHECKOUT):
        while path != '/':
            if not os.stat(path).st_mode & 0o001 and os.path.isdir(path) and path not in found:
                found.append(path)
            path = os.path.dirname(path)
    return sorted(found)


def _cover(folder, place):
    """Mount a layer over a folder, so that what is changed in it is changed here only."""
    for name in ('upper', 'work'):
        os.makedirs(os.path.join(place, name))
    _mount('-t', 'overlay', '-o', 'lowerdir=%s,upperdir=%s/upper,workdir=%s/work' % (folder, place, place),
           'lab', folder)


def _mount(*arguments):
    subprocess.run(['mount', *arguments], check=True, stdout=sys.stderr)


def _write(path, text, mode=0o644):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, 'w', encoding='utf-8') as stream:
        stream.write(text)
    os.chmod(path, mode)


def _become(user, home, order):
    """Return what the user's process says; it is another process, so that root can clean up."""
    command = [sys.executable, '-W', 'ignore', '-m', MODULE, 'user', home]
    environ = {name: value for name, value in os.environ.items() if name not in ('TMPDIR', 'HOME')}

    def give_up_root():
        os.setgroups([])
        os.setgid(user.pw_gid)
        os.setuid(user.pw_uid)

    done = subprocess.run(
        command, cwd=CHECKOUT, input=json.dumps(order), stdout=subprocess.PIPE, preexec_fn=give_up_root,
        env=dict(environ, HOME=home, USER=USER, LOGNAME=USER), universal_newlines=True)
    if done.returncode:
        sys.exit('the user ended with %d' % done.returncode)
    return json.loads(done.stdout.splitlines()[-1])


# ---- as the user ------------------------------------------------------------------------------------


def _as_user(order, home):
    if os.geteuid() == 0:
        sys.exit('this is root')
    if order['what'] == 'commands':
        return {'result': [_command(one, home) for one in order['commands']]}
    if order['what'] == 'brick':
        return {'result': _brick()}
    if order['what'] == 'store':
        return {'result': _store(order, home)}
    return {}


def _command(one, home):
    done = subprocess.run(one['command'], cwd=home, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, universal_newlines=True, timeout=60)
    return [done.returncode, done.stdout[-2000:]]


def root_helper():
    """Return the option root_helper of a store, for the user."""
    return 'sudo --non-interactive %s %s' % (scripts('glance-rootwrap'), CONF)


def _brick():
    from multistore_hooks.volume_store import brick
    from os_brick.privileged import rootwrap
    from oslo_config import cfg
    cfg.CONF([])
    brick.prepare(brick.Settings(root_helper=root_helper(), host='h', privsep_config=ETC + '/privsep.conf'),
                  cfg.CONF)
    uid = rootwrap.execute('id', '-u', run_as_root=True)[0]
    # Whoever runs this is the daemon's child.
    reported = rootwrap.execute('sh', '-c', 'cat /proc/$PPID/cmdline', run_as_root=True)[0]
    return {'uid': int(uid), 'command': reported.split('\0')}


def _register(home):
    """Let the driver be found where the environment is older than it."""
    from lab.volume_store import lab
    if not lab.registered('volume'):
        place = os.path.join(home, 'volume_store-1.dist-info')
        _write(os.path.join(place, 'METADATA'), 'Metadata-Version: 2.1\nName: volume-store\nVersion: 1\n')
        _write(os.path.join(place, 'entry_points.txt'), '[glance_store.drivers]\nvolume = %s\n' % lab.DRIVER)
        sys.path.append(home)


def _store(order, home):
    import glance_store
    from glance_store import multi_backend
    from oslo_config import cfg
    from oslo_context import context as contexts
    _register(home)
    path = os.path.join(home, 'glance-api.conf')
    options = dict({'attachment_dir': os.path.join(home, 'attachments')}, **order['options'])
    _write(path, '[DEFAULT]\nenabled_backends = %s:volume\n[glance_store]\ndefault_backend = %s\n[%s]\n' % (
        STORE, STORE, STORE) + ''.join('%s = %s\n' % pair for pair in options.items())
        + '[oslo_concurrency]\nlock_path = %s/locks\n' % home, 0o600)
    conf = cfg.CONF
    conf.register_opts([cfg.DictOpt('enabled_backends')])
    conf(['--config-file', path], project='glance')
    glance_store.register_opts(conf)
    glance_store.register_store_opts(conf)
    glance_store.create_multi_stores(conf)
    data = os.urandom(order['size'] // 2).ljust(order['size'], b'\0')
    context = contexts.RequestContext(project_id='p' * 32)
    came = {'uid': os.geteuid()}
    try:
        location, size, checksum, multihash, reported = multi_backend.add_with_multihash(
            conf, order['image'], io.BytesIO(data), len(data), STORE, 'sha512', context=context)
        came.update(location=location, size=size, reported=reported, right=(
            checksum == hashlib.md5(data).hexdigest(), multihash == hashlib.sha512(data).hexdigest()))
        chunks, _size = multi_backend.get(location, STORE, context=context)
        came['read'] = b''.join(chunks) == data
        multi_backend.delete(location, STORE, context=context)
    except Exception as error:
        came['error'] = '%s: %s' % (type(error).__name__, error)
    came['helper'] = conf.privsep_osbrick.helper_command if 'privsep_osbrick' in conf else None
    return came


if __name__ == '__main__':
    wanted = json.loads(sys.stdin.read())
    if sys.argv[1:2] == ['user']:
        print(json.dumps(_as_user(wanted, sys.argv[2])))
    else:
        print(json.dumps(_as_root(wanted)))
