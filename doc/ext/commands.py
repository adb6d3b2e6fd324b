# SPDX-License-Identifier: Apache-2.0
"""The directive ``multistore-commands``: the commands of multistore-hooks with their options."""

from cliff import sphinxext
from docutils import nodes

from multistore_hooks.cli import main


class Commands(sphinxext.AutoprogramCliffDirective):
    """cliff's own directive for the commands of this program, which are no entry points."""

    required_arguments = 0

    def _load_app(self):
        return None

    def _load_commands(self):
        return {name: main.Later(name, target).load() for name, target in main.COMMANDS.items()}

    def _drop_ignored_options(self, parser, ignored_opts):
        super()._drop_ignored_options(parser, ignored_opts)
        # Those of the credentials and of cliff's tables are the same for every command.
        shared = [action for group in parser._action_groups for action in group._group_actions
                  if group.title == 'the cloud' or 'ormatter' in str(group.title)]
        parser._actions[:] = [action for action in parser._actions if action not in shared]

    def _generate_nodes_per_command(self, title, command_name, command_class, ignored_opts):
        made = super()._generate_nodes_per_command(title, command_name, command_class, ignored_opts)
        # cliff's own usage is a column of options in which "STORE,..." is taken apart.
        usage = command_class(None, None).get_parser(command_name).format_usage().partition(': ')[2].rstrip()
        theirs = next(node for section in made for node in section.traverse(nodes.literal_block))
        theirs.replace_self(nodes.literal_block(usage, usage, language='text'))
        return made


def setup(app):
    """Add the directive."""
    app.setup_extension('cliff.sphinxext')
    app.add_directive('multistore-commands', Commands)
    return {'parallel_read_safe': True}
