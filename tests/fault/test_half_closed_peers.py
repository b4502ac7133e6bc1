"""Peers that shut their side down at once and still want the whole answer."""

import asyncio
import socket

from peers import payload, receive_all
from recording import Recorder

ANSWER = payload(400_000)


class Answers(Recorder):
    keep_open = True

    def eof_received(self):
        self.transport.write(ANSWER)
        self.transport.write(bytes(self.data))
        self.transport.close()
        return True


async def test_each_gets_its_answer_to_the_end():
    loop = asyncio.get_running_loop()
    protocols = []

    def factory():
        protocols.append(Answers())
        return protocols[-1]

    async def ask(number):
        client = socket.create_connection(address)
        client.setblocking(False)
        question = payload(1 + number * 700, number)
        await loop.sock_sendall(client, question)
        client.shutdown(socket.SHUT_WR)
        answer = await receive_all(client)
        client.close()
        return answer == ANSWER + question

    async with await loop.create_server(factory, "127.0.0.1", 0, backlog=200) as server:
        address = server.sockets[0].getsockname()
        assert await asyncio.gather(*map(ask, range(150))) == [True] * 150
        for protocol in protocols:
            assert await protocol.lost() is None


async def test_a_shutdown_with_nothing_sent_is_an_end_of_file():
    loop = asyncio.get_running_loop()
    async with await loop.create_server(Answers, "127.0.0.1", 0) as server:
        for _ in range(30):
            with socket.create_connection(server.sockets[0].getsockname()) as client:
                client.shutdown(socket.SHUT_WR)
                client.setblocking(False)
                assert await receive_all(client) == ANSWER
