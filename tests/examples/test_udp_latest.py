"""udp_latest.py shows the newest readings; with the policy "all" it would show the oldest."""

import pathlib
import re
import signal
import socket
import subprocess
import sys

import pytest

EXAMPLE = pathlib.Path(__file__).resolve().parents[2] / "examples" / "udp_latest.py"
READINGS = 60


@pytest.mark.zcloop_only
@pytest.mark.parametrize("policy", ["latest", "all"])
def test_readings_that_are_drawn_slowly(policy):
    with subprocess.Popen(
        [sys.executable, "-W", "error", EXAMPLE, "--policy", policy, "--draw-seconds", "0.05"],
        stdout=subprocess.PIPE,
        text=True,
    ) as display:
        try:
            announced = re.fullmatch(r"listening on (\S+):(\d+)\n", display.stdout.readline())
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sensor:
                sensor.connect((announced[1], int(announced[2])))
                for number in range(READINGS):
                    sensor.send(b"%d" % number)
            drawn = []
            while not drawn or drawn[-1] != READINGS - 1:
                drawn.append(int(display.stdout.readline().split()[0]))
            display.send_signal(signal.SIGINT)
            assert display.wait(10) == 0
        finally:
            display.kill()
    assert drawn == sorted(drawn)
    if policy == "all":
        assert drawn == list(range(READINGS))
    else:
        assert len(drawn) < READINGS // 2
        assert drawn[-3:] == [READINGS - 3, READINGS - 2, READINGS - 1]
