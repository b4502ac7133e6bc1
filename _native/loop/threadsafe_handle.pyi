from typing import final

from zcloop._native.loop.handle import Handle

@final
class ThreadSafeHandle(Handle): ...
