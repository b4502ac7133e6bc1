"""A parser of command lines. Its errors have an exit status that no command uses for a result."""

from __future__ import annotations

import argparse
import os
from typing import NoReturn


class CommandLine(argparse.ArgumentParser):
    """An ArgumentParser for which a wrong command line exits with EX_USAGE, 64.

    argparse exits with 2, which `doctor` uses for a machine that zcloop cannot run on.
    """

    def error(self, message: str) -> NoReturn:
        self.exit(os.EX_USAGE, f"{self.format_usage()}{self.prog}: error: {message}\n")
