"""uvicorn with two workers where io_uring is refused, as in most containers: under wrk, and
restarted meanwhile."""

from __future__ import annotations

import json
import pathlib
import re
import signal
import subprocess
import sys
import urllib.request

import pytest

from .servers import Server, required

HERE = pathlib.Path(__file__).parent
RUNNING = r"Uvicorn running on http://127\.0\.0\.1:(\d+)"
WORKER = r"Application startup complete"
GONE = r"Finished server process"
FALLBACK = "running on epoll, since io_uring is not to be had (EPERM"
# Everything that anybody logs from INFO on; uvicorn's own with its names.
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"all": {"format": "%(levelname)s:%(name)s:%(message)s"}},
    "handlers": {"all": {"class": "logging.StreamHandler", "formatter": "all"}},
    "root": {"handlers": ["all"], "level": "INFO"},
}


def load(address: str, seconds: int) -> tuple[int, str]:
    """How many answers wrk had, and what it says of errors."""
    said = subprocess.run(
        [required("wrk", "wrk"), "-t1", "-c32", f"-d{seconds}s", address],
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    errors = [line for line in said.splitlines() if "Non-2xx" in line or "Socket errors" in line]
    return int(re.search(r"(\d+) requests in", said)[1]), "\n".join(errors)


def test_two_workers_answer_restart_and_say_one_line_each(tmp_path, loop_name):
    if loop_name != "zcloop:new_event_loop":
        pytest.skip("asks for zcloop's own line of the log")
    log_config = tmp_path / "logging.json"
    log_config.write_text(json.dumps(LOGGING))
    server = Server(
        [
            *(sys.executable, HERE.parent / "refuse_uring.py", "--errno", "EPERM", "--"),
            *(sys.executable, "-m", "uvicorn", "asgi_application:application"),
            *("--app-dir", HERE, "--loop", loop_name, "--port", "0", "--workers", "2"),
            *("--log-config", log_config, "--no-access-log"),
        ],
        environment={"ZCLOOP_TEST_LIFESPAN": str(tmp_path / "lifespan")},
    )
    try:
        address = f"http://127.0.0.1:{server.wait_for_line(RUNNING)[1]}/loop"
        server.wait_for_line(WORKER, 2)
        with urllib.request.urlopen(address) as answer:
            assert answer.status == 200
        count, errors = load(address, 2)
        assert count > 100
        assert errors == ""
        server.process.send_signal(signal.SIGHUP)  # one worker after the other
        load(address, 1)
        # uvicorn starts a worker before it ends the one that it replaces, with its connections.
        server.wait_for_line(WORKER, 4)
        server.wait_for_line(GONE, 2)
        count, errors = load(address, 1)
        assert count > 50
        assert errors == ""
    finally:
        server.stop()
    log = server.log.splitlines()
    assert sum(FALLBACK in line for line in log) == 4  # each worker's, of before and after
    assert [line for line in log if ":zcloop:" in line and FALLBACK not in line] == []
    assert [line for line in log if re.match("(WARNING|ERROR|Traceback)", line)] == []
