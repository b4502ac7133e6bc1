"""`python -m zcloop`: it finds the command, and imports that command alone."""

from __future__ import annotations

import sys
from collections.abc import Sequence

import zcloop
from zcloop._command_line import CommandLine

# The help of the subcommand.
_DOCTOR = "say whether zcloop can run here, what is missing, why, and what to type"


def main(arguments: Sequence[str]) -> int:
    """Run one command and return its exit status. A wrong command line exits with 64 (EX_USAGE)."""
    if arguments[:1] == ["doctor"]:
        from zcloop.doctor.command import main as doctor

        return doctor(arguments[1:])
    parser = CommandLine(prog="python -m zcloop", description=zcloop.__doc__)
    parser.add_argument("--version", action="version", version=zcloop.__version__)
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    commands.add_parser("doctor", help=_DOCTOR)
    parser.parse_args(arguments)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
