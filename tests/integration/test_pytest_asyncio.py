"""pytest-asyncio runs a user's tests and fixtures on the loop of a factory that the user names."""

from __future__ import annotations

import subprocess
import sys

CONFTEST = """
import pkgutil

def pytest_asyncio_loop_factories(config, item):
    return {"tested": pkgutil.resolve_name(%r)}
"""

TESTS = """
import asyncio
import pkgutil

import pytest
import pytest_asyncio

loop = pkgutil.resolve_name(%r)()
loop.close()
LOOP_CLASS = type(loop)


@pytest_asyncio.fixture
async def echo():
    async def serve(reader, writer):
        writer.write(await reader.read())
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        yield server.sockets[0].getsockname()


@pytest.mark.asyncio
async def test_fixture_and_test_share_the_loop(echo):
    assert type(asyncio.get_running_loop()) is LOOP_CLASS
    reader, writer = await asyncio.open_connection(*echo)
    writer.write(b"hello")
    writer.write_eof()
    assert await reader.read() == b"hello"
    writer.close()
    await writer.wait_closed()


class TestScoped:
    loop = None

    @pytest.mark.asyncio(loop_scope="class")
    async def test_first(self):
        TestScoped.loop = asyncio.get_running_loop()
        assert type(self.loop) is LOOP_CLASS

    @pytest.mark.asyncio(loop_scope="class")
    async def test_second_runs_on_the_loop_of_the_first(self):
        assert asyncio.get_running_loop() is self.loop
"""


def test_plugin_runs_tests_and_fixtures_on_the_factory_of_its_hook(tmp_path, loop_name):
    (tmp_path / "pytest.ini").write_text("[pytest]\nasyncio_default_fixture_loop_scope = function")
    (tmp_path / "conftest.py").write_text(CONFTEST % loop_name)
    (tmp_path / "test_user.py").write_text(TESTS % loop_name)
    command = (sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-W", "error")
    done = subprocess.run(
        command,
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=25,
    )
    assert done.returncode == 0, done.stdout
    assert "3 passed" in done.stdout
