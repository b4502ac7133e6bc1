"""redis-py's asyncio client against a real redis-server, over TCP and over a Unix socket."""

from __future__ import annotations

import asyncio
import contextlib

import pytest
import redis.asyncio
import redis.exceptions

from .payloads import digest, payload
from .servers import free_port


@pytest.fixture(params=["tcp", "unix"])
def connect(request, redis_server):
    """A function that makes a client of one transport, to be used by `async with`."""

    def client(**options) -> redis.asyncio.Redis:
        if request.param == "unix":
            return redis.asyncio.Redis(unix_socket_path=redis_server.unix_socket, **options)
        return redis.asyncio.Redis(port=redis_server.port, **options)

    return client


@contextlib.asynccontextmanager
async def emptied(client: redis.asyncio.Redis):
    async with client:
        await client.flushall()
        yield client


async def test_values_come_back_as_they_were_set(connect):
    async with emptied(connect(decode_responses=True)) as client:
        assert await client.set("name", "tschüß")
        assert await client.get("name") == "tschüß"
        assert await client.get("nothing") is None
        await client.hset("hash", mapping={"a": "1", "b": "2"})
        assert await client.hgetall("hash") == {"a": "1", "b": "2"}
        with pytest.raises(redis.exceptions.ResponseError):
            await client.incr("name")
        assert await client.eval("return redis.call('get', KEYS[1])", 1, "name") == "tschüß"


async def test_large_values_travel_both_ways(connect):
    value = payload(16_000_000)
    async with emptied(connect()) as client:
        await client.set("large", value)
        assert digest(await client.get("large")) == digest(value)
        assert digest(await client.getrange("large", 1_000_000, 8_999_999)) == digest(
            value[1_000_000:9_000_000]
        )


async def test_pipeline_of_thousands_of_commands_answers_in_order(connect):
    async with emptied(connect()) as client:
        pipeline = client.pipeline(transaction=False)
        for number in range(10_000):
            pipeline.rpush("list", b"x" * (number % 50))
        assert await pipeline.execute() == list(range(1, 10_001))
        pieces = await client.lrange("list", 0, -1)
        assert [len(piece) for piece in pieces] == [number % 50 for number in range(10_000)]


async def test_transaction_is_refused_when_a_watched_key_changed(connect):
    async with emptied(connect()) as client, client.pipeline() as pipeline:
        await pipeline.watch("counter")
        await client.set("counter", 7)
        pipeline.multi()
        pipeline.incr("counter")
        with pytest.raises(redis.exceptions.WatchError):
            await pipeline.execute()
        assert await client.get("counter") == b"7"


async def test_every_subscriber_hears_every_message_in_order(connect):
    async def listen(client: redis.asyncio.Redis, ready: asyncio.Barrier) -> list[int]:
        async with client.pubsub() as pubsub:
            await pubsub.subscribe("news")
            await pubsub.psubscribe("end*")
            messages = pubsub.listen()
            confirmed = [(await anext(messages))["type"] for _ in range(2)]
            assert confirmed == ["subscribe", "psubscribe"]
            await ready.wait()
            heard = []
            while (message := await anext(messages))["type"] == "message":
                heard.append(int(message["data"]))
            return heard

    async with emptied(connect()) as client:
        ready = asyncio.Barrier(6)
        listeners = [asyncio.create_task(listen(client, ready)) for _ in range(5)]
        await ready.wait()
        for number in range(500):
            assert await client.publish("news", number) == 5
        await client.publish("ending", "")
        for heard in await asyncio.gather(*listeners):
            assert heard == list(range(500))


async def test_blocking_pop_waits_for_a_push_and_times_out_without_one(connect):
    async with emptied(connect()) as client:
        pop = asyncio.create_task(client.blpop(["queue"], timeout=20))
        while not (await client.info("clients"))["blocked_clients"]:
            pass
        await client.rpush("queue", "work")
        assert await pop == (b"queue", b"work")
        before = asyncio.get_running_loop().time()
        assert await client.blpop(["queue"], timeout=0.2) is None
        assert asyncio.get_running_loop().time() - before > 0.15


async def test_cancelled_blocking_pop_loses_no_value_and_leaves_the_client_usable(connect):
    async with emptied(connect()) as client:
        for number in range(20):
            pop = asyncio.create_task(client.blpop(["queue"], timeout=20))
            while not (await client.info("clients"))["blocked_clients"]:
                pass
            pop.cancel()
            with pytest.raises(asyncio.CancelledError):
                await pop
            # The server learns of the cancelled client's end when its connection closes.
            while (await client.info("clients"))["blocked_clients"]:
                pass
            await client.rpush("queue", number)
            assert await client.lpop("queue") == b"%d" % number


async def test_hundred_workers_share_a_small_pool(connect):
    async with emptied(connect()) as monitor:
        kwargs = monitor.connection_pool.connection_kwargs
        pool = redis.asyncio.BlockingConnectionPool(
            max_connections=10,
            timeout=20,
            connection_class=monitor.connection_pool.connection_class,
            **kwargs,
        )
        async with redis.asyncio.Redis.from_pool(pool) as client:

            async def work(name: int) -> None:
                for _ in range(20):
                    await client.incr("counter")
                    await client.set(f"worker:{name}", b"x" * 2000)
                    assert len(await client.get(f"worker:{name}")) == 2000

            await asyncio.gather(*(work(name) for name in range(100)))
            assert await client.get("counter") == b"2000"
            assert (await client.info("clients"))["connected_clients"] <= 11


async def test_client_times_out_on_a_silent_server_and_recovers(connect):
    async with emptied(connect()) as client, connect(socket_timeout=0.05, retry=None) as hasty:
        assert await hasty.ping()
        await client.client_pause(200, all=True)
        with pytest.raises(redis.exceptions.TimeoutError):
            await hasty.get("anything")
        assert await client.ping()  # the pause is over
        assert await hasty.ping()


async def test_client_reconnects_after_the_server_closed_its_connection(connect):
    async with emptied(connect()) as client, connect() as killer:
        identity = await client.client_id()
        assert await killer.client_kill_filter(_id=identity) == 1
        assert await client.ping()
        assert await client.client_id() != identity


async def test_lock_admits_one_holder_at_a_time(connect):
    inside = 0

    async with emptied(connect()) as client:

        async def enter() -> None:
            nonlocal inside
            async with client.lock("lock", timeout=20, sleep=0.001):
                inside += 1
                await client.incr("entered")
                assert inside == 1
                inside -= 1

        await asyncio.gather(*(enter() for _ in range(10)))
        assert await client.get("entered") == b"10"


async def test_connection_to_a_port_without_a_server_is_refused():
    async with redis.asyncio.Redis(port=free_port(), retry=None) as client:
        with pytest.raises(redis.exceptions.ConnectionError):
            await client.ping()
