"""The classes of a loop's transports, for annotations and `isinstance`. The loop makes them."""

from zcloop.loop._transports import DatagramTransport, StreamTransport

__all__ = ["DatagramTransport", "StreamTransport"]
