"""The reading end of a pipe: asyncio's, which receives into leases for a ZeroCopyProtocol."""

from __future__ import annotations

import os
from asyncio import unix_events
from typing import Any

from zcloop._native.memory.lender import Lender
from zcloop._native.memory.region import Region
from zcloop._native.transport.zero_copy import ZeroCopyProtocol
from zcloop.transports import Lending

_ReadPipe: Any = unix_events._UnixReadPipeTransport  # type: ignore[attr-defined]


class ReadPipeTransport(Lending, _ReadPipe):  # type: ignore[misc]
    """A pipe, FIFO, socket or terminal that is read from. Not thread-safe, as asyncio's."""

    _lender: Lender | None = None

    def _lend(self) -> Lender:
        if self._lender is None:
            loop = self._loop
            self._lender = Lender(loop.channel.lending_pool())
            self._lender.when_relieved(
                lambda: loop.call_soon_threadsafe(self._read_if_wanted),
            )
        return self._lender

    def reserve(self, size: int) -> memoryview:
        return self._lend().reserve(size)

    def _set_quota(self, quota: int) -> None:
        self._lend().set_quota(quota)

    def set_protocol(self, protocol: Any) -> None:
        super().set_protocol(protocol)
        if self._lender is not None and not isinstance(protocol, ZeroCopyProtocol):
            self._lender.forgive()  # what another protocol keeps is not its fault

    def associate(self, region: Region) -> None:
        self._lend().associate(region)

    def disassociate(self, region: Region) -> None:
        self._lend().disassociate(region)

    def resume_reading(self) -> None:
        if self._lender is not None and self._lender.account.is_waiting:
            self._paused = False  # leases come back first
        else:
            super().resume_reading()

    def _read_if_wanted(self) -> None:
        if not self._closing and not self._paused:
            self._loop._add_reader(self._fileno, self._read_ready)

    def _read_ready(self) -> None:
        if isinstance(self._protocol, ZeroCopyProtocol):
            self._read_lease()
        else:
            super()._read_ready()

    def _read_lease(self) -> None:
        lender = self._lend()
        with lender.take_buffer(self.max_size) as buffer:
            try:
                size = os.readv(self._fileno, [buffer])
            except (BlockingIOError, InterruptedError):
                return
            except OSError as error:
                self._fatal_error(error, "Fatal read error on pipe transport")
                return
            if size:
                lender.account.name = type(self._protocol).__qualname__
                view = lender.lent(buffer, size)
        if not size:
            self._end_of_file()
            return
        try:
            self._protocol.buffer_received(view)
        finally:
            del view
            if lender.wait_if_over():
                self._loop._remove_reader(self._fileno)

    def _end_of_file(self) -> None:
        self._closing = True
        self._loop._remove_reader(self._fileno)
        self._loop.call_soon(self._protocol.eof_received)
        self._loop.call_soon(self._call_connection_lost, None)
