"""A program that makes native types wrongly, and calls everything that they have. It is a program
of its own because what goes wrong here ends it by a signal.

    python native_types.py zcloop._native.loop.handle:Handle ...

It prints the name of each type before it begins with it, and of each call before it is made.
"""

from __future__ import annotations

import contextlib
import copy
import faulthandler
import importlib
import os
import pickle
import pkgutil
import socket
import sys
import types
from collections.abc import Callable, Iterator
from typing import Any

PACKAGE = "zcloop._native"
TYPE_SECONDS = 20
HEAP_TYPE = 1 << 9  # Py_TPFLAGS_HEAPTYPE, which classes written in Python have

# Calls that may end the program, and methods that are not the type's own.
LEFT_OUT = {"__class__", "__init_subclass__", "__subclasshook__", "__new__", "__del__"}


def is_native(kind: type) -> bool:
    return kind.__module__.startswith(PACKAGE) and not kind.__flags__ & HEAP_TYPE


def classes(package: str) -> Iterator[tuple[str, type]]:
    """Every class with the module that defines it, as `module:name`."""
    for info in pkgutil.walk_packages(importlib.import_module(package).__path__, package + "."):
        for name, value in vars(importlib.import_module(info.name)).items():
            if isinstance(value, type) and value.__module__ == info.name:
                yield f"{info.name}:{name}", value


def native_types() -> list[str]:
    """The paths of the native classes."""
    return sorted(path for path, kind in classes(PACKAGE) if is_native(kind))


def faces() -> list[str]:
    """The paths of Python classes that derive from a native one."""
    return sorted(
        path
        for path, kind in classes("zcloop")
        if not is_native(kind) and any(map(is_native, kind.__mro__))
    )


def arguments() -> Iterator[tuple[Any, ...]]:
    """Arguments that nobody should pass."""
    yield ()
    for value in (None, 0, -1, 1 << 70, b"x", "x", object(), bytearray(8), lambda *_: None):
        yield (value,)
    yield (None, None)
    yield (0, 0)
    yield (None, None, None)
    yield (b"x", 0, 0)
    yield (None, None, None, None)


def attempts(kind: type, rightly: list[tuple[Any, ...]]) -> Iterator[Callable[[], Any]]:
    """Ways to make an object of the type, rightly or not."""
    for given in [*arguments(), *rightly]:
        yield lambda given=given: kind(*given)
        yield lambda given=given: kind.__new__(kind, *given)
    yield lambda: object.__new__(kind)
    yield lambda: copy.copy(kind.__new__(kind))
    yield lambda: derived(kind)()
    yield lambda: derived(kind, __init__=lambda self: None)()


def derived(kind: type, **methods: Any) -> type:
    """A class that pickle can find by its name."""
    global Derived
    Derived = type("Derived", (kind,), {"__module__": __name__, **methods})
    return Derived


def try_everything(made: Any, say: Callable[[str], None]) -> None:
    for name in sorted(set(dir(made)) - LEFT_OUT):
        say(name)
        try:
            value = getattr(made, name)
        except BaseException:
            continue
        if callable(value) and not isinstance(value, type):
            for given in arguments():
                with contextlib.suppress(BaseException):
                    result = value(*given)
                    if isinstance(result, types.CoroutineType):
                        result.close()
        elif not name.startswith("__"):
            for new in (None, 0, "x"):
                with contextlib.suppress(BaseException):
                    setattr(made, name, new)
            with contextlib.suppress(BaseException):
                delattr(made, name)
    say("repr")
    with contextlib.suppress(BaseException):
        repr(made), hash(made), bool(made)
    with contextlib.suppress(BaseException):
        memoryview(made).tobytes()


def copies(made: Any) -> Iterator[Callable[[], Any]]:
    yield lambda: copy.copy(made)
    yield lambda: copy.deepcopy(made)
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        yield lambda protocol=protocol: pickle.dumps(made, protocol)


def copied(made: Any) -> list[str]:
    """Errors that should have been a TypeError that says why."""
    wrong = []
    for number, attempt in enumerate(copies(made)):
        try:
            attempt()
        except TypeError as error:
            if str(error):
                continue
            wrong.append(f"attempt {number}: {error!r}")
        except BaseException as error:
            wrong.append(f"attempt {number}: {error!r}")
        else:
            wrong.append(f"attempt {number}: a copy was made")
    return wrong


def rightly_made() -> list[tuple[Any, ...]]:
    """Arguments with which most types could be made: a loop, descriptors of its own."""
    from zcloop import new_event_loop

    loop = new_event_loop()
    sock, peer = socket.socketpair()
    sock.setblocking(False)
    KEPT.extend((loop, sock, peer))
    return [(loop,), (loop, sock.fileno()), (loop, sock, len, len), (sock,), (16, 16)]


KEPT: list[Any] = []


def keep_standard_input() -> None:
    """Open descriptor 0: a field that nobody has set names it."""
    if not has_standard_input():
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)


def has_standard_input() -> bool:
    try:
        os.fstat(0)
    except OSError:
        return False
    return True


def try_type(path: str, out: Callable[[str], None]) -> None:
    module, _, name = path.partition(":")
    kind = getattr(importlib.import_module(module), name)
    for attempt in attempts(kind, rightly_made()):
        out(f"{path} is made")
        keep_standard_input()
        try:
            made = attempt()
        except BaseException:
            made = None
        if not has_standard_input():
            out(f"! {path} closed a descriptor that was not its own")
        if made is None:
            continue
        if not isinstance(made, BaseException):
            for wrong in copied(made):
                out(f"! {path} {wrong}")
        if is_native(kind):
            try_everything(made, lambda call: out(f"{path}.{call}"))
        del made


def main(paths: list[str]) -> None:
    faulthandler.enable()
    out = os.fdopen(os.dup(1), "w", buffering=1)
    quiet = os.open(os.devnull, os.O_RDWR)
    for fd in (0, 1):
        os.dup2(quiet, fd)
    sys.unraisablehook = lambda _: None
    for path in paths:
        faulthandler.dump_traceback_later(TYPE_SECONDS, exit=True)
        try_type(path, lambda text: print(text, file=out))
    print("done", file=out)
    out.flush()
    os._exit(0)


if __name__ == "__main__":
    main(sys.argv[1:])
