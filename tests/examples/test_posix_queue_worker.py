"""posix_queue_worker.py takes what is most urgent first, and finishes its jobs when it ends."""

import contextlib
import pathlib
import re
import signal
import subprocess
import sys
import uuid

import pytest

from zcloop.message_queues import PosixQueue, unlink

EXAMPLE = pathlib.Path(__file__).resolve().parents[2] / "examples" / "posix_queue_worker.py"
SECONDS = 20

pytestmark = pytest.mark.zcloop_only


@pytest.fixture
def name():
    name = f"/zcloop-example-{uuid.uuid4().hex[:8]}"
    yield name
    with contextlib.suppress(FileNotFoundError):
        unlink(name)


def command(name, *arguments):
    return [sys.executable, "-W", "error", EXAMPLE, "--queue", name, *arguments]


@contextlib.contextmanager
def worker(name, *arguments):
    """Yield a worker that works already, and the number of jobs that waited for it."""
    with subprocess.Popen(
        command(name, *arguments), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            said = re.fullmatch(r"working on (\S+), (\d+) jobs wait\n", process.stdout.readline())
            assert said[1] == name
            yield process, int(said[2])
        finally:
            process.kill()


def did(process):
    return re.fullmatch(r"worker \d+ did '(.*)', priority (\d+)\n", process.stdout.readline())[1]


def test_jobs_sent_before_are_taken_by_priority(name):
    jobs = [("plants", "0"), ("fire", "9"), ("dishes", "0"), ("door", "5")]
    for job, priority in jobs:
        subprocess.run(
            command(name, "--send", job, "--priority", priority), check=True, timeout=SECONDS
        )
    with worker(name, "--workers", "1", "--job-seconds", "0") as (process, waited):
        assert waited == 4
        assert [did(process) for _ in range(4)] == ["fire", "door", "plants", "dishes"]


@pytest.mark.parametrize("ending", [signal.SIGINT, signal.SIGTERM], ids=lambda each: each.name)
def test_a_signal_lets_jobs_that_were_taken_finish_and_leaves_the_others(name, ending):
    with (
        worker(name, "--workers", "2", "--job-seconds", "0.3") as (process, _),
        PosixQueue(name) as queue,
    ):
        for number in range(6):
            queue.try_send(b"job %d" % number)
        while queue.getattr().curmsgs > 4:
            pass
        process.send_signal(ending)
        output, errors = process.communicate(timeout=SECONDS)
        assert (process.returncode, errors) == (0, "")
        done = sorted(re.findall("job .", output))
        left = [queue.try_receive()[0].decode() for _ in range(queue.getattr().curmsgs)]
        assert len(done) >= 2
        assert done + left == [f"job {number}" for number in range(6)]


def test_the_queue_can_be_removed_at_the_end(name):
    with worker(name, "--unlink") as (process, _):
        process.send_signal(signal.SIGTERM)
        assert process.wait(SECONDS) == 0
    with pytest.raises(FileNotFoundError):
        PosixQueue(name)
