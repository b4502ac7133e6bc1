"""Whether io_uring can be had, and if not, what refuses it. The answers of four calls tell:

    io_uring_setup      makes a ring as large as a loop's; when memory is short, the smallest
    io_uring_enter      is called without a ring: EBADF says that it has reached the kernel
    io_uring_register   likewise
    a request           is a NOP on the ring, when there is one

The sysctl and security modules decide in io_uring_setup alone, so that the other two calls reach
the kernel. A seccomp filter knows numbers of calls: it answers all that it refuses alike, before
the kernel looks at their arguments. So the other two calls tell a filter from the sysctl, although
both answer EPERM. Both may refuse at once. `judge` is a table of this and asks nothing itself.
"""

from __future__ import annotations

import errno
from dataclasses import dataclass

from zcloop.doctor.probe_ring import (
    FEAT_CQE_SKIP,
    FEAT_EXT_ARG,
    FEAT_NODROP,
    SETUP_COOP_TASKRUN,
    SETUP_DEFER_TASKRUN,
    SETUP_SINGLE_ISSUER,
    SETUP_SUBMIT_ALL,
    SETUP_TASKRUN_FLAG,
    ProbeRing,
    RefusedError,
    request,
)
from zcloop.doctor.surroundings import CAP_IPC_LOCK, CAP_SYS_ADMIN, Surroundings
from zcloop.doctor.system_calls import SystemCalls, name_of

# What a filter or a policy answers. To a wrong descriptor the kernel itself answers other errnos.
_REFUSALS = (-errno.EPERM, -errno.EACCES, -errno.ENOSYS)
NO_DESCRIPTORS = (-errno.EMFILE, -errno.ENFILE)
# What a loop needs of a ring.
_NEEDED = {"NODROP": FEAT_NODROP, "EXT_ARG": FEAT_EXT_ARG, "CQE_SKIP": FEAT_CQE_SKIP}

# A loop's ring, and the sets of flags that it tries, best first.
LOOP_ENTRIES, LOOP_COMPLETIONS = 256, 2048
_MODES = (
    (
        "deferred work (6.1)",
        SETUP_SINGLE_ISSUER | SETUP_DEFER_TASKRUN | SETUP_TASKRUN_FLAG | SETUP_SUBMIT_ALL,
    ),
    ("cooperative work (5.19)", SETUP_COOP_TASKRUN | SETUP_TASKRUN_FLAG | SETUP_SUBMIT_ALL),
    ("plain", 0),
)

CAUSES = {
    "sysctl": "the sysctl kernel.io_uring_disabled refuses it",
    "seccomp": "a seccomp filter refuses it",
    "security_module": "a security module refuses it",
    "memlock": "RLIMIT_MEMLOCK leaves no room for a ring",
    "memory": "there is not enough memory for a ring",
    "descriptors": "no more file descriptors can be opened",
    "no_io_uring": "this kernel has no io_uring",
    "old_kernel": "this kernel's io_uring is too old: 5.19 or newer is needed",
    "unknown": "something unknown refuses it",
}
"""Each cause, and how the sentence "io_uring cannot be had: …" goes on."""


@dataclass(frozen=True)
class Answers:
    """What the calls answered: 0 or more, or an errno as a negative number. None: not asked."""

    setup: int
    enter: int
    register: int
    small_setup: int | None = None
    request: int | None = None
    features: int = 0
    mode: str | None = None


@dataclass(frozen=True)
class Access:
    """The verdict: no causes mean that io_uring can be had."""

    answers: Answers
    causes: tuple[str, ...]
    evidence: tuple[str, ...]
    is_register_refused: bool = False

    @property
    def is_available(self) -> bool:
        """Whether io_uring can be had: nothing refuses it."""
        return not self.causes


def ask(calls: SystemCalls) -> Answers:
    """Make the calls. Every ring is closed again."""
    enter = calls.enter(-1, 0, 0)
    register = calls.register(-1, 0, None, 0)
    setup = -errno.EINVAL
    for mode, flags in _MODES:
        try:
            with ProbeRing(calls, LOOP_ENTRIES, LOOP_COMPLETIONS, flags) as ring:
                return Answers(0, enter, register, None, _nop(ring), ring.features, mode)
        except RefusedError as refusal:
            setup = -(refusal.errno or 0)
            if setup != -errno.EINVAL:
                break
    small = None
    if setup == -errno.ENOMEM:
        small = _setup_of(calls, 1, 2)
    return Answers(setup, enter, register, small)


def _nop(ring: ProbeRing) -> int:
    """The result of a request that does nothing, or the error of mapping the ring."""
    try:
        return ring.perform(request(0))[0]
    except OSError as error:
        return -(error.errno or errno.EIO)


def _setup_of(calls: SystemCalls, entries: int, completions: int) -> int:
    try:
        with ProbeRing(calls, entries, completions):
            return 0
    except RefusedError as refusal:
        return -(refusal.errno or 0)


def judge(answers: Answers, around: Surroundings) -> Access:
    """Say what the answers mean in these surroundings."""
    causes: list[str]
    if answers.setup >= 0:
        causes = _of_a_ring(answers)
    elif answers.setup == -errno.EPERM:
        causes = _of_eperm(answers, around)
    elif answers.setup == -errno.ENOSYS:
        causes = ["seccomp" if _is_hidden(answers, around) else "no_io_uring"]
    elif answers.setup == -errno.EACCES:
        filtered = answers.enter == -errno.EACCES and _has_filter(around)
        causes = ["seccomp" if filtered else "security_module"]
    elif answers.setup == -errno.ENOMEM:
        causes = ["memlock" if is_memory_limited(around) else "memory"]
    elif answers.setup in NO_DESCRIPTORS:
        causes = ["descriptors"]
    else:
        causes = ["old_kernel" if answers.setup == -errno.EINVAL else "unknown"]
    is_register_refused = not causes and answers.register in _REFUSALS
    return Access(answers, tuple(causes), tuple(_evidence(answers, around)), is_register_refused)


def _of_a_ring(answers: Answers) -> list[str]:
    """The causes, when a ring was made and something is wrong with it."""
    if answers.request in _REFUSALS:
        return ["seccomp"]
    if answers.request == -errno.ENOMEM:
        return ["memory"]
    if answers.request in NO_DESCRIPTORS:
        return ["descriptors"]
    if answers.request != 0:
        return ["unknown"]
    return ["old_kernel"] if _lacking(answers) else []


def _lacking(answers: Answers) -> list[str]:
    """The features that a loop needs and the ring does not have."""
    return [name for name, bit in _NEEDED.items() if not answers.features & bit]


def _of_eperm(answers: Answers, around: Surroundings) -> list[str]:
    """The causes of EPERM: the sysctl, a filter, or both. A filter that refuses io_uring_setup
    alone is found only when the sysctl cannot be the cause."""
    causes = ["sysctl"] if is_switched_off(around) else []
    if answers.enter == -errno.EPERM or (not causes and _has_filter(around)):
        causes.append("seccomp")
    if not causes:
        causes.append("security_module" if around.security_modules else "unknown")
    return causes


def _is_hidden(answers: Answers, around: Surroundings) -> bool:
    """Whether ENOSYS comes from a filter: the kernel itself has io_uring."""
    has_io_uring = around.io_uring_disabled is not None or answers.enter != -errno.ENOSYS
    return has_io_uring or _has_filter(around)


def _has_filter(around: Surroundings) -> bool:
    return around.seccomp is not None and around.seccomp.mode == "filter"


def is_switched_off(around: Surroundings) -> bool:
    """Whether the sysctl forbids io_uring to this process."""
    if around.io_uring_disabled == 1:
        return not (around.is_in_io_uring_group or around.has_capability(CAP_SYS_ADMIN))
    return around.io_uring_disabled == 2


def is_memory_limited(around: Surroundings) -> bool:
    """Whether RLIMIT_MEMLOCK counts for this process."""
    return around.memlock[0] is not None and not around.has_capability(CAP_IPC_LOCK)


def _evidence(answers: Answers, around: Surroundings) -> list[str]:
    """What the judgement rests on, one sentence for each thing."""
    said = [f"io_uring_setup answers {name_of(answers.setup)}"]
    if answers.small_setup is not None:
        said.append(f"io_uring_setup of one entry answers {name_of(answers.small_setup)}")
        soft = around.memlock[0]
        counts = "counts" if is_memory_limited(around) else "does not count"
        limit = "unlimited" if soft is None else f"{soft} bytes"
        said.append(f"RLIMIT_MEMLOCK is {limit} and {counts} for this process")
    for call, answer in (("enter", answers.enter), ("register", answers.register)):
        place = "a filter or the kernel refuses it" if answer in _REFUSALS else "it is let through"
        said.append(f"io_uring_{call} without a ring answers {name_of(answer)}: {place}")
    if answers.request is not None:
        said.append(f"a request on a ring answers {name_of(answers.request)}")
        if _lacking(answers):
            said.append(f"the ring's features do not have {', '.join(_lacking(answers))}")
    disabled = around.io_uring_disabled
    sysctl = "does not exist (it is of 6.6)" if disabled is None else f"is {disabled}"
    said.append(f"the sysctl kernel.io_uring_disabled {sysctl}")
    if around.seccomp is not None:
        said.append(f"/proc/self/status says Seccomp: {around.seccomp.mode}")
    if around.security_modules:
        said.append(f"security modules: {', '.join(around.security_modules)}")
    return said
