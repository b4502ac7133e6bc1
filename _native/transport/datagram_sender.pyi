from collections.abc import Iterable
from typing import Any

from typing_extensions import disjoint_base

from zcloop._native.transport.datagram_output import DatagramOutput

@disjoint_base
class DatagramSender(DatagramOutput):
    def open(self, family: int, remote: Any) -> None: ...
    def sendto(self, data: bytes | bytearray | memoryview, addr: Any = None) -> None: ...
    def sendto_many(
        self, datagrams: Iterable[bytes | bytearray | memoryview], addr: Any = None
    ) -> None: ...
