"""Message queues of POSIX and System V, and semaphores of the latter, awaited without polling."""

from zcloop.posix_queue import PosixQueue, QueueAttributes, unlink

__all__ = ["PosixQueue", "QueueAttributes", "unlink"]
