"""asyncpg against a real PostgreSQL: over TCP, over TLS (start_tls) and over a Unix socket."""

from __future__ import annotations

import asyncio
import contextlib
import io
import ssl

import asyncpg
import pytest

from .payloads import digest, payload


@pytest.fixture(params=["tcp", "tls", "unix"])
def how(request, postgres, certificates) -> dict:
    """What `asyncpg.connect` and `asyncpg.create_pool` need to reach the server."""
    account = {"user": postgres.user, "database": postgres.database, "port": postgres.port}
    if request.param == "unix":
        return {**account, "host": postgres.socket_directory}
    context = certificates.client_context() if request.param == "tls" else False
    return {**account, "host": "127.0.0.1", "ssl": context}


@contextlib.asynccontextmanager
async def connected(how: dict):
    connection = await asyncpg.connect(**how)
    try:
        yield connection
    finally:
        await connection.close()


async def test_queries_and_prepared_statements_return_typed_rows(how):
    async with connected(how) as connection:
        encrypted = await connection.fetchval(
            "select ssl from pg_stat_ssl where pid = pg_backend_pid()"
        )
        assert encrypted == bool(how.get("ssl"))
        rows = await connection.fetch("select n, n::text as t from generate_series(1, 1000) n")
        assert [tuple(row) for row in rows] == [(n, str(n)) for n in range(1, 1001)]
        statement = await connection.prepare("select $1::int * $2::int")
        assert [await statement.fetchval(n, n) for n in range(100)] == [n * n for n in range(100)]
        with pytest.raises(asyncpg.UndefinedTableError):
            await connection.fetch("select * from nowhere")
        assert await connection.fetchval("select 'tschüß'") == "tschüß"


async def test_large_values_travel_both_ways(how):
    value = payload(4_000_000)
    async with connected(how) as connection:
        assert digest(await connection.fetchval("select $1::bytea", value)) == digest(value)


async def test_copy_moves_a_table_in_and_out(how):
    content = b"".join(b"%d\t%s\n" % (n, b"x" * (n % 100)) for n in range(50_000))
    async with connected(how) as connection:
        await connection.execute("create temporary table copied (n int, filler text)")
        status = await connection.copy_to_table("copied", source=io.BytesIO(content))
        assert status == "COPY 50000"
        # A file object is written by the executor, one hop through a thread for each piece.
        written = io.BytesIO()
        await connection.copy_from_query("select * from copied order by n", output=written)
        assert digest(written.getvalue()) == digest(content)


async def test_copy_streams_records_in_from_and_out_to_coroutines(how):
    async def pieces():
        for n in range(200):
            yield b"%d\t%s\n" % (n, b"y" * 20_000)

    received = bytearray()

    async def receive(piece: bytes) -> None:
        await asyncio.sleep(0)
        received.extend(piece)

    async with connected(how) as connection:
        await connection.execute("create temporary table streamed (n int, filler text)")
        assert await connection.copy_to_table("streamed", source=pieces()) == "COPY 200"
        await connection.copy_from_table("streamed", output=receive)
        assert digest(bytes(received)) == digest(b"".join([piece async for piece in pieces()]))
        records = [(n, "z") for n in range(10_000)]
        status = await connection.copy_records_to_table("streamed", records=records)
        assert status == "COPY 10000"


async def test_transactions_commit_roll_back_and_nest(how):
    async with connected(how) as connection:
        await connection.execute("create temporary table t (n int)")
        async with connection.transaction():
            await connection.execute("insert into t values (1)")
            with pytest.raises(asyncpg.DivisionByZeroError):
                async with connection.transaction():
                    await connection.execute("insert into t values (2)")
                    await connection.execute("select 1 / 0")
            await connection.executemany("insert into t values ($1)", [(n,) for n in range(3, 500)])
        with pytest.raises(KeyError):
            async with connection.transaction():
                await connection.execute("delete from t")
                raise KeyError
        assert await connection.fetchval("select array_agg(n order by n) from t") == [
            1,
            *range(3, 500),
        ]


async def test_cursor_reads_a_large_result_in_pieces(how):
    async with connected(how) as connection, connection.transaction():
        total = 0
        async for row in connection.cursor("select generate_series(1, 20000) as n", prefetch=500):
            total += row["n"]
        assert total == sum(range(1, 20_001))


async def test_pool_serves_many_tasks_over_few_connections(how):
    async with asyncpg.create_pool(**how, min_size=2, max_size=6) as pool:

        async def work(name: int) -> tuple[int, int]:
            async with pool.acquire() as connection, connection.transaction():
                pid = await connection.fetchval("select pg_backend_pid()")
                return pid, await connection.fetchval("select $1::int + 1", name)

        answers = await asyncio.gather(*(work(name) for name in range(200)))
    assert [answer for _, answer in answers] == list(range(1, 201))
    assert 1 < len({pid for pid, _ in answers}) <= 6


async def test_notifications_arrive_in_order_while_the_listener_is_idle(how):
    heard: asyncio.Queue[str] = asyncio.Queue()
    async with connected(how) as listener, connected(how) as speaker:
        await listener.add_listener("news", lambda *arguments: heard.put_nowait(arguments[-1]))
        for number in range(100):
            await speaker.execute("select pg_notify('news', $1)", str(number))
        assert [await heard.get() for _ in range(100)] == [str(number) for number in range(100)]
        await listener.reset()


async def test_timeout_cancels_the_query_in_the_server_and_keeps_the_connection(how):
    async with connected(how) as connection, connected(how) as other:
        pid = connection.get_server_pid()
        with pytest.raises(asyncio.TimeoutError):
            await connection.execute("select pg_sleep(60)", timeout=0.05)
        assert await connection.fetchval("select 1") == 1
        assert connection.get_server_pid() == pid
        active = "select count(*) from pg_stat_activity where query like 'select pg_sleep%'"
        assert await other.fetchval(f"{active} and state = 'active'") == 0


async def test_cancelled_task_cancels_its_query_and_the_pool_recovers(how):
    async with asyncpg.create_pool(**how, min_size=1, max_size=1) as pool:
        for _ in range(5):
            async with connected(how) as other:
                query = asyncio.create_task(pool.fetch("select pg_sleep(60) /* cancelled */"))
                running = "select count(*) from pg_stat_activity where state = 'active'"
                running += " and wait_event = 'PgSleep' and query like 'select pg_sleep(60) /* c%'"
                while not await other.fetchval(running):
                    pass
                query.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await query
                assert await pool.fetchval("select 2") == 2
                assert await other.fetchval(running) == 0


async def test_connection_ended_by_the_server_is_an_error_and_the_pool_replaces_it(how):
    async with asyncpg.create_pool(**how, min_size=1, max_size=1) as pool, connected(how) as killer:
        async with pool.acquire() as victim:
            query = asyncio.create_task(victim.fetch("select pg_sleep(60) /* terminated */"))
            # asyncpg fails otherwise, on any loop, when the answer to its Parse and the end of the
            # connection arrive in one piece: the query has to be under way.
            running = "select count(*) from pg_stat_activity where state = 'active'"
            running += " and wait_event = 'PgSleep' and query like 'select pg_sleep(60) /* t%'"
            while not await killer.fetchval(running):
                pass
            await killer.fetchval("select pg_terminate_backend($1, 10000)", victim.get_server_pid())
            with pytest.raises(asyncpg.ConnectionDoesNotExistError, match="administrator command"):
                await query
        assert await pool.fetchval("select 3") == 3


async def test_tls_connection_refuses_a_server_of_an_unknown_authority(postgres):
    with pytest.raises(ssl.SSLCertVerificationError):
        await asyncpg.connect(
            host="127.0.0.1",
            port=postgres.port,
            user=postgres.user,
            database=postgres.database,
            ssl=ssl.create_default_context(),
        )
