from typing_extensions import disjoint_base

from zcloop._native.channel.pausable import PausableChannel
from zcloop._native.memory.buffer_ring import BufferRing

@disjoint_base
class LoopChannel(PausableChannel):
    has_send_zero_copy: bool
    has_segmented_send: bool
    has_push: bool

    @property
    def has_minimal_wait(self) -> bool: ...
    @property
    def buffers(self) -> BufferRing | None: ...
    @property
    def flood(self) -> BufferRing | None: ...
    @property
    def lending(self) -> BufferRing | None: ...
    @property
    def lending_datagrams(self) -> BufferRing | None: ...
    @property
    def datagrams(self) -> BufferRing | None: ...
    @property
    def segmented(self) -> BufferRing | None: ...
