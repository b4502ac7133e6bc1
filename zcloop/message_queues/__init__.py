"""Message queues of POSIX and System V, and semaphores of the latter, awaited without polling."""

from zcloop.message_queues._posix import PosixQueue, QueueAttributes, unlink
from zcloop.message_queues._sysv_object import ftok
from zcloop.message_queues._sysv_queue import SysvQueue, SysvQueueStatus
from zcloop.message_queues._sysv_semaphore import SysvSemaphore

__all__ = [
    "PosixQueue",
    "QueueAttributes",
    "SysvQueue",
    "SysvQueueStatus",
    "SysvSemaphore",
    "ftok",
    "unlink",
]
