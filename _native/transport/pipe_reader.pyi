from typing import final

from zcloop._native.transport.pipe import Pipe

@final
class PipeReader(Pipe): ...
