from collections.abc import Iterable
from typing import Any

from typing_extensions import Buffer, disjoint_base

@disjoint_base
class TlsRecords:
    _state: Any
    _sslobj: Any
    _incoming: Any
    _outgoing: Any
    _transport: Any
    _app_protocol: Any
    _write_backlog: Any
    _outgoing_high_water: int
    _app_protocol_is_buffer: bool
    _app_reading_paused: bool
    _app_writing_paused: bool
    _ssl_reading_paused: bool
    _ssl_writing_paused: bool

    def data_received(self, data: Buffer) -> None: ...
    def write(self, data: bytes | bytearray | memoryview) -> None: ...
    def writelines(self, list_of_data: Iterable[bytes | bytearray | memoryview]) -> None: ...
    def _do_read(self) -> None: ...
    def _do_read__buffered(self) -> None: ...
