"""Run tests under the kernels that Debian ships.

    python tests/kernels/run.py                                  # 5.10, 6.1, 6.12: unit and fault
    python tests/kernels/run.py --kernels 6.1 tests/unit/sync     # a part
    python tests/kernels/run.py --environment ZCLOOP_WITHOUT=push --pytest='-k barrier'
    python tests/kernels/run.py --emulated --kernels 6.18         # in qemu, with two processors

Needs root, debootstrap, dpkg and apt, and the interpreter of Debian 12, Python 3.11: the machine's
userland is Debian 12, and gets zcloop and what it is tested with from the running interpreter's
environment. A kernel is a process (usermode.py), or, if asked for, a machine in qemu (emulated.py).
`guest.sh` is its first process: it runs pytest, hands over the results and turns the machine off.
What it printed is in build/kernels/<kernel>.log.

The status is 0 if every test passed or was skipped, 1 if not, 2 if a machine did not tell.
"""

from __future__ import annotations

import argparse
import itertools
import os
import shlex
import shutil
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import emulated
import usermode
from debian import BUILD, SOURCE, Kernel, Mirror, make_payload, make_root
from emulated import Emulated
from usermode import UserMode

DEFAULT_KERNELS = "5.10,6.1,6.12"
DEFAULT_TESTS = "tests/unit", "tests/fault"


@dataclass
class Outcome:
    """What came of a kernel's tests."""

    kernel: Kernel
    counts: Counter[str] = field(default_factory=Counter)
    failures: dict[str, str] = field(default_factory=dict)
    skips: Counter[str] = field(default_factory=Counter)

    @property
    def is_known(self) -> bool:
        return bool(self.counts)

    def read(self, results: Path) -> None:
        try:
            documents = results.read_text().split("<?xml")[1:]
            roots = [ElementTree.fromstring(f"<?xml{document}") for document in documents]
        except (ElementTree.ParseError, FileNotFoundError):
            return
        for case in itertools.chain.from_iterable(root.iter("testcase") for root in roots):
            name = f"{case.get('classname')}::{case.get('name')}"
            found = {each.tag: each for each in case}
            bad = found.get("failure", found.get("error"))
            if bad is not None:
                self.failures[name] = (bad.get("message") or "").strip()[:300]
                self.counts["failed"] += 1
            elif "skipped" in found:
                self.skips[found["skipped"].get("message") or ""] += 1
                self.counts["skipped"] += 1
            else:
                self.counts["passed"] += 1

    def tell(self) -> None:
        counted = ", ".join(f"{count} {name}" for name, count in sorted(self.counts.items()))
        print(f"{self.kernel.release}: {counted or 'the machine told nothing'}")
        if not self.is_known:
            print(_last_lines(self.kernel.log))
        for name, message in self.failures.items():
            print(f"  FAILED {name}\n         {message.splitlines()[0] if message else ''}")
        for reason, count in self.skips.most_common():
            print(f"  skipped {count}: {reason}")


def _last_lines(log: Path) -> str:
    lines = log.read_text(errors="replace").splitlines() if log.exists() else []
    return "\n".join(f"  | {line}" for line in lines[-25:])


def groups(tests: Sequence[str]) -> Iterator[list[str]]:
    """Return what each pytest of a machine is to run: a folder, or the files beside folders.

    A test that ends its process then ends only the tests of its folder.
    """
    for test in tests:
        place = SOURCE / test
        folders = [each for each in sorted(place.glob("*/")) if any(each.glob("test_*.py"))]
        for folder in folders:
            yield [str(folder.relative_to(SOURCE))]
        if folders:
            yield [str(each.relative_to(SOURCE)) for each in sorted(place.glob("test_*.py"))]
        else:
            yield [test]


def boot(
    kernel: Kernel, root: Path, variables: list[str], pytest: str, tests: Sequence[str]
) -> Outcome:
    """What came of a kernel's tests."""
    outcome = Outcome(kernel)
    payload = BUILD / f"{kernel.release}.payload"
    runs = [
        f"run {number} {kernel.options} {pytest} {shlex.join(group)}"
        for number, group in enumerate(groups(tests))
    ]
    make_payload(payload, variables, runs)
    try:
        outcome.read(kernel.boot(root, payload))
    except subprocess.TimeoutExpired as error:
        print(f"{kernel.release}: not done within {error.timeout / 3600} hours")
    shutil.rmtree(payload)
    return outcome


def main() -> int:
    parser = argparse.ArgumentParser(description="Run tests under the kernels that Debian ships.")
    parser.add_argument("--kernels", default=DEFAULT_KERNELS, help=f"as {DEFAULT_KERNELS}")
    parser.add_argument("--emulated", action="store_true", help="in qemu, which takes hours")
    parser.add_argument("--environment", action="append", default=[], metavar="NAME=VALUE")
    parser.add_argument("--jobs", type=int, default=1, help="machines at a time")
    parser.add_argument("--pytest", default="", metavar="OPTIONS", help="as '-k barrier -x'")
    parser.add_argument("tests", nargs="*", help="tests/unit and tests/fault, unless others")
    options = parser.parse_args()
    if os.geteuid() != 0:
        parser.error("debootstrap, depmod and mount need root")
    if sys.version_info[:2] != (3, 11):
        parser.error("Debian 12 has Python 3.11: run this with a 3.11 that zcloop is built for")
    needed = ["debootstrap", "apt-get", "dpkg-deb", "unshare"]
    for name in [*needed, "qemu-system-x86_64"] if options.emulated else needed:
        if shutil.which(name) is None:
            parser.error(f"no {name}: apt-get install qemu-system-x86 debootstrap util-linux")
    BUILD.mkdir(parents=True, exist_ok=True)
    root = make_root()
    mirror = Mirror()
    kind = Emulated if options.emulated else UserMode
    kernels = []
    for version in options.kernels.split(","):
        kernel = kind.find(mirror, version)
        if kernel is None:
            parser.error(f"Debian has no kernel {version} of that kind")
        kernel.prepare(mirror, root)
        kernels.append(kernel)
    module = emulated if options.emulated else usermode
    named = {**module.GUEST, "ZCLOOP_TEST_SLOWNESS": str(module.SLOWNESS)}
    variables = [f"export {name}={value}" for name, value in named.items()]
    variables += [f"export {shlex.quote(each)}" for each in options.environment]
    asked = options.pytest, options.tests or DEFAULT_TESTS
    with ThreadPoolExecutor(options.jobs) as machines:
        outcomes = list(machines.map(lambda kernel: boot(kernel, root, variables, *asked), kernels))
    for outcome in outcomes:
        outcome.tell()
    if not all(outcome.is_known for outcome in outcomes):
        return 2
    return int(any(outcome.failures for outcome in outcomes))


if __name__ == "__main__":
    sys.exit(main())
