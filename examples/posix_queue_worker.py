"""Workers that take jobs from a POSIX message queue, the most urgent first, in any process.

    python examples/posix_queue_worker.py --queue /jobs
    python examples/posix_queue_worker.py --queue /jobs --send "water the plants"
    python examples/posix_queue_worker.py --queue /jobs --send "put out the fire" --priority 9

The queue stays when the workers end, and keeps what is sent meanwhile; --unlink removes it. Ctrl-C
or SIGTERM lets each worker finish its job. No thread and no polling: the queue's descriptor is
waited for on the loop's own ring.
"""

from __future__ import annotations

import argparse
import asyncio
import signal

import zcloop
from zcloop.message_queues import PosixQueue, unlink


async def work(number: int, queue: PosixQueue, job_seconds: float) -> None:
    async for job, priority in queue:
        await asyncio.sleep(job_seconds)
        print(f"worker {number} did {job.decode()!r}, priority {priority}", flush=True)


async def serve(options: argparse.Namespace) -> None:
    loop = asyncio.get_running_loop()
    with PosixQueue(options.queue, create=True) as queue:
        # A closed queue ends the workers' iterations; a job that was taken is finished.
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, queue.close)
        waiting = queue.getattr().curmsgs
        print(f"working on {options.queue}, {waiting} jobs wait", flush=True)
        await asyncio.gather(
            *(work(number, queue, options.job_seconds) for number in range(options.workers))
        )


async def send(options: argparse.Namespace) -> None:
    with PosixQueue(options.queue, create=True) as queue:
        await queue.send(options.send.encode(), options.priority)  # waits while the queue is full


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    options.add_argument("--queue", default="/zcloop-jobs", help="begins with a slash")
    options.add_argument("--workers", type=int, default=2)
    options.add_argument("--job-seconds", type=float, default=0.1, help="how long a job takes")
    options.add_argument("--send", metavar="JOB", help="send a job instead of working")
    options.add_argument("--priority", type=int, default=0, help="the highest is taken first")
    options.add_argument("--unlink", action="store_true", help="remove the queue at the end")
    given = options.parse_args()
    try:
        zcloop.run(send(given) if given.send is not None else serve(given))
    finally:
        if given.unlink:
            unlink(given.queue)


if __name__ == "__main__":
    main()
