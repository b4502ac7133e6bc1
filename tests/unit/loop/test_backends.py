"""Which backend a program gets: what it asks for, what the environment says, what there is."""

from __future__ import annotations

import os
import pathlib
import subprocess
import sys
import textwrap

import pytest

import zcloop

pytestmark = pytest.mark.zcloop_only

LAUNCHER = pathlib.Path(__file__).parents[2] / "refuse_uring.py"


def output_of(program: str, *launcher: str, **environment: str) -> str:
    """What a program prints, standard error included, in a process of its own."""
    command = [sys.executable, "-P", "-c", textwrap.dedent(program)]
    if launcher:
        command = [sys.executable, str(LAUNCHER), *launcher, "--", *command]
    kept = {name: value for name, value in os.environ.items() if not name.startswith("ZCLOOP_")}
    done = subprocess.run(
        command,
        check=False,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env=kept | environment,
    )
    return done.stdout


WHICH = """
    import asyncio, zcloop
    async def main():
        print(asyncio.get_running_loop().backend)
    zcloop.run(main())
"""


@pytest.mark.needs("uring")
def test_io_uring_where_it_is_to_be_had():
    assert output_of(WHICH) == "uring\n"


def test_epoll_for_who_asks():
    assert output_of(WHICH, ZCLOOP_BACKEND="epoll") == "epoll\n"


@pytest.mark.parametrize("number", ["EPERM", "ENOSYS", "EACCES"])
def test_epoll_where_io_uring_is_refused(number):
    assert output_of(WHICH, "--errno", number) == "epoll\n"


def test_one_line_of_the_log_says_why():
    program = """
        import logging, zcloop
        logging.basicConfig(level=logging.INFO, format="%(levelname)s %(name)s %(message)s")
        for _ in range(3):
            zcloop.new_event_loop().close()
        zcloop.EventChannel().close()
    """
    lines = output_of(program, "--errno", "EPERM").splitlines()
    assert len(lines) == 1
    assert lines[0].startswith(
        "INFO zcloop running on epoll, since io_uring is not to be had (EPERM"
    )


def test_who_insists_on_io_uring_is_told_what_to_do():
    program = """
        import zcloop
        try:
            zcloop.new_event_loop(backend="uring")
        except OSError as error:
            print(type(error).__name__, error)
    """
    said = output_of(program, "--errno", "EPERM")
    assert said.startswith("PermissionError")
    assert "seccomp" in said
    assert "kernel.io_uring_disabled" in said


@pytest.mark.needs("uring")
def test_setup_allowed_and_enter_refused_is_said_as_it_is():
    program = """
        import zcloop
        try:
            zcloop.new_event_loop(backend="uring")
        except OSError as error:
            print(error)
    """
    assert "io_uring_enter is refused" in output_of(program, "--errno", "EPERM", "--only", "enter")
    assert output_of(WHICH, "--errno", "EPERM", "--only", "enter") == "epoll\n"


def test_an_argument_goes_before_the_environment(monkeypatch):
    monkeypatch.setenv("ZCLOOP_BACKEND", "nonsense")
    loop = zcloop.new_event_loop(backend="epoll")
    assert loop.backend == "epoll"
    loop.close()


def test_an_unknown_backend_is_an_error_that_lists_them(monkeypatch):
    with pytest.raises(ValueError, match="'auto', 'uring', 'epoll'"):
        zcloop.new_event_loop(backend="kqueue")
    with pytest.raises(ValueError, match="'auto', 'uring', 'epoll'"):
        zcloop.EventChannel(backend="kqueue")
    monkeypatch.setenv("ZCLOOP_BACKEND", "kqueue")
    with pytest.raises(ValueError, match="ZCLOOP_BACKEND='kqueue'"):
        zcloop.new_event_loop()


def test_a_backend_is_of_a_loop_not_of_the_process():
    loops = [zcloop.new_event_loop(backend=backend) for backend in ("epoll", "auto", "epoll")]
    assert [loop.backend for loop in loops][::2] == ["epoll", "epoll"]
    for loop in loops:
        loop.close()


def test_features_are_read_only_and_named():
    loop = zcloop.new_event_loop(backend="epoll")
    assert set(loop.features) == {
        "multishot_receive", "multishot_message", "send_zero_copy", "futex_wait",
        "segmented_send", "push", "minimal_wait", "registered_buffers",
    }  # fmt: skip
    assert not loop.features["send_zero_copy"]
    with pytest.raises(TypeError):
        loop.features["push"] = True
    loop.close()


def test_an_unknown_feature_to_do_without_is_an_error_that_lists_them():
    said = output_of(
        "import zcloop; zcloop.new_event_loop()", ZCLOOP_WITHOUT="push, multishot_recv"
    )
    assert "ValueError" in said
    assert "'multishot_recv' is no feature" in said
    assert "multishot_receive" in said


def test_every_feature_can_be_done_without():
    program = """
        import zcloop
        loop = zcloop.new_event_loop()
        print(any(loop.features.values()))
    """
    loop = zcloop.new_event_loop(backend="epoll")
    assert output_of(program, ZCLOOP_WITHOUT=",".join(loop.features)) == "False\n"
    loop.close()
