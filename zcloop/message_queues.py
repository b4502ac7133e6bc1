"""Message queues of POSIX and System V, and semaphores of the latter, awaited without polling."""

from zcloop.posix_queue import PosixQueue, QueueAttributes, unlink
from zcloop.sysv_object import ftok
from zcloop.sysv_queue import SysvQueue, SysvQueueStatus
from zcloop.sysv_semaphore import SysvSemaphore

__all__ = [
    "PosixQueue",
    "QueueAttributes",
    "SysvQueue",
    "SysvQueueStatus",
    "SysvSemaphore",
    "ftok",
    "unlink",
]
