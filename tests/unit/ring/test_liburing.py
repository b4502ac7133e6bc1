"""Who makes the system calls: zcloop itself, or python-liburing where it is installed."""

import os
import pathlib
import shutil
import subprocess
import sys

import pytest
from providers import EITHER, needs_liburing

import zcloop._native.kernel.errors

pytestmark = pytest.mark.zcloop_only
HERE = pathlib.Path(__file__).parent
# sys.modules without the module: as where it is not installed.
HIDE = "import sys; sys.modules['liburing'] = None"
ASK = "from zcloop._native.ring import liburing; print(liburing.provider, liburing.cure, sep='|')"
DIRECT = ["direct", "pip install --force-reinstall zcloop"]
WITHOUT = "set ZCLOOP_LIBURING=direct"


def asked(wish: str, *lines: str, path: pathlib.Path | None = None) -> subprocess.CompletedProcess:
    environment = {**os.environ, "ZCLOOP_LIBURING": wish}
    if path is not None:
        environment["PYTHONPATH"] = str(path)
    return subprocess.run(
        [sys.executable, "-P", "-c", "; ".join((*lines, ASK))],
        check=False, capture_output=True, text=True, env=environment,
    )  # fmt: skip


def answer(*arguments, **options) -> list[str]:
    done = asked(*arguments, **options)
    assert (done.returncode, done.stderr) == (0, ""), done.stderr
    return done.stdout.strip().split("|")


def refusal(*arguments, **options) -> str:
    done = asked(*arguments, **options)
    assert done.returncode == 1
    last = done.stderr.splitlines()[-1]
    assert last.startswith("ImportError: ")
    return last


@pytest.fixture
def broken(tmp_path) -> pathlib.Path:
    """A folder with a `liburing` whose shared object the test puts there."""
    (tmp_path / "liburing").mkdir()
    (tmp_path / "liburing" / "__init__.py").touch()
    return tmp_path


@pytest.mark.parametrize("wish", ["", "direct"])
def test_without_liburing_the_system_calls_are_made_directly(wish):
    assert answer(wish, HIDE) == DIRECT


@needs_liburing
@pytest.mark.parametrize("wish", ["", "wheel"])
def test_liburing_is_bound_where_it_is_installed(wish):
    provider, cure = answer(wish)
    assert provider.endswith("/liburing/liburing.so")
    assert cure.startswith("pip install --force-reinstall zcloop 'liburing>=")
    assert cure.endswith(f"or {WITHOUT} to do without liburing")


@needs_liburing
def test_direct_binds_no_liburing_though_it_is_installed():
    assert answer("direct") == DIRECT


def test_liburing_that_is_asked_for_and_not_installed_is_an_error_that_says_what_to_type():
    said = refusal("wheel", HIDE)
    assert "pip install 'zcloop[liburing]'" in said and WITHOUT in said


def test_another_value_is_an_error_that_lists_those_there_are():
    said = refusal("Direct")
    assert "'Direct'" in said and "'direct'" in said and "'wheel'" in said


def test_a_package_of_that_name_without_the_library_is_not_bound(broken):
    assert answer("", path=broken) == DIRECT


@pytest.mark.parametrize("wish", ["", "wheel"])
def test_a_library_that_cannot_be_loaded_is_an_error_that_says_what_to_type(wish, broken):
    (broken / "liburing" / "liburing.so").write_bytes(b"no library")
    said = refusal(wish, path=broken)
    assert f"cannot load {broken}/liburing/liburing.so" in said
    assert "pip install --force-reinstall zcloop 'liburing>=" in said and WITHOUT in said


def test_a_library_without_a_function_is_an_error_that_says_what_to_type(broken):
    shutil.copy(zcloop._native.kernel.errors.__file__, broken / "liburing" / "liburing.so")
    said = refusal("", path=broken)
    assert "the liburing that is installed has no io_uring_queue_init_params" in said
    assert "pip install --force-reinstall zcloop 'liburing>=" in said and WITHOUT in said


def test_direct_helps_where_the_installed_library_is_broken(broken):
    (broken / "liburing" / "liburing.so").write_bytes(b"no library")
    assert answer("direct", path=broken) == DIRECT


@pytest.mark.needs("uring")
@pytest.mark.seconds(240)
@pytest.mark.parametrize("wish", EITHER)
def test_the_tests_of_ring_and_channel_pass(wish, monkeypatch):
    """Also of what waits on the fault layer below them, and of the event channel's own ring."""
    monkeypatch.setenv("ZCLOOP_LIBURING", wish)
    tests = HERE.parents[1]
    done = subprocess.run(
        [
            *(sys.executable, "-P", "-m", "pytest", "-q", "-p", "no:cacheprovider"),
            f"--ignore={__file__}",  # this test, too
            *(HERE, tests / "unit/channel", tests / "fault/test_channel_submissions.py"),
            *(tests / "unit/events/test_event_channel_batches.py",),
        ],
        check=False, capture_output=True, text=True, cwd=tests.parent,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-10_000:]
    assert " passed" in done.stdout
