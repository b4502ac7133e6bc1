"""The command line of `python -m zcloop doctor`."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Sequence

from zcloop._command_line import CommandLine
from zcloop.doctor import issue, report, seccomp_profile, text
from zcloop.doctor.surroundings import Surroundings
from zcloop.doctor.system_calls import SystemCalls

# What --help says below the list of options.
_EPILOG = """\
exit status: 0 everything is there; 1 zcloop runs with less than it could; 2 it cannot run here;
64 wrong command line; 74 the output cannot be written.

--seccomp-profile prints a profile under which io_uring works, complete and ready for docker run
--security-opt seccomp=FILE. With BASE it prints that profile of yours (Podman's is
/usr/share/containers/seccomp.json) with the calls of io_uring allowed.
"""


def main(arguments: Sequence[str]) -> int:
    """Print what is asked for, and return the exit status."""
    parser = _parser()
    chosen = parser.parse_args(arguments)
    if chosen.seccomp_profile is not None:
        try:
            shown = _as_json(_profile(chosen.seccomp_profile))
        except (OSError, ValueError) as error:
            parser.error(str(error))
        _write(shown, parser)
        return 0
    found = report.gather(SystemCalls(), Surroundings())
    if chosen.json:
        shown = _as_json(report.as_dict(found))
    elif chosen.issue:
        shown = issue.render(found)
    else:
        shown = text.render(found, text.wants_colour(sys.stdout))
    _write(shown, parser)
    return found.status


def _parser() -> CommandLine:
    parser = CommandLine(
        prog="python -m zcloop doctor",
        description="Say whether zcloop can run here, what is missing, why, and what to type.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    kinds = parser.add_mutually_exclusive_group()
    kinds.add_argument("--json", action="store_true", help="print all that was found as JSON")
    kinds.add_argument(
        "--issue", action="store_true", help="print Markdown for a bug report, without any names"
    )
    kinds.add_argument(
        "--seccomp-profile",
        nargs="?",
        const="",
        metavar="BASE",
        help="print a seccomp profile that allows io_uring",
    )
    return parser


def _profile(base: str) -> dict[str, object]:
    """Our profile, or the one in the file `base` with io_uring allowed."""
    if not base:
        return seccomp_profile.profile(os.uname().machine)
    with open(base, encoding="utf-8") as file:
        try:
            return seccomp_profile.extended(json.load(file))
        except ValueError as error:
            raise ValueError(f"{base}: {error}") from None


def _as_json(value: object) -> str:
    return json.dumps(value, indent=2) + "\n"


def _write(shown: str, parser: CommandLine) -> None:
    """Write to standard output. A full disk is an error; a reader that has left is none."""
    try:
        sys.stdout.write(shown)
        sys.stdout.flush()
    except OSError as error:
        # What is still in the buffer would fail again when Python ends.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        if not isinstance(error, BrokenPipeError):
            parser.exit(os.EX_IOERR, f"{parser.prog}: error: cannot write: {error.strerror}\n")
