"""Protocols that set another one in the middle of what they are given."""

from peers import script


def test_two_buffered_protocols_that_hand_over_to_each_other_need_no_stack():
    """Each takes one byte of what came at once, in a thread whose stack is small."""
    said = script(
        """
        import threading

        SIZE = 16_000
        received = bytearray()

        class Byte(asyncio.BufferedProtocol):
            def __init__(self):
                self.memory = bytearray(1)

            def connection_made(self, transport):
                self.transport = transport

            def get_buffer(self, hint):
                return self.memory

            def buffer_updated(self, count):
                received.extend(self.memory)
                self.transport.set_protocol(self.other)
                if len(received) == SIZE:
                    self.done.set_result(None)

        async def main():
            loop = asyncio.get_running_loop()
            one, other, (ours, theirs) = Byte(), Byte(), socket.socketpair()
            one.other, other.other = other, one
            one.done = other.done = loop.create_future()
            ours.setblocking(False)
            theirs.sendall(bytes(range(250)) * 64)
            transport, _ = await loop.create_connection(lambda: one, sock=ours)
            other.transport = transport
            await one.done
            transport.close()
            await asyncio.sleep(0.01)
            theirs.close()

        def run():
            with asyncio.Runner(loop_factory=new_event_loop) as runner:
                runner.run(main())

        threading.stack_size(512 * 1024)
        thread = threading.Thread(target=run)
        thread.start()
        thread.join()
        print(received == bytes(range(250)) * 64)
        """
    )
    assert said == "True\n"
