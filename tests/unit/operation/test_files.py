"""What a file is asked for: the four ways to read and write, and what they refuse."""

import asyncio

import pytest

from zcloop._native.operation import files

pytestmark = pytest.mark.zcloop_only

TRANSFERS = [
    (files.read, bytearray(4)),
    (files.write, b"abcd"),
    (files.readv, [bytearray(2), bytearray(2)]),
    (files.writev, [b"ab", b"cd"]),
]
NAMES = ["read", "write", "readv", "writev"]


def perform(operation):
    return asyncio.get_running_loop().perform(operation)


@pytest.mark.parametrize(("ask", "data"), TRANSFERS, ids=NAMES)
def test_a_negative_offset_is_refused(ask, data):
    with pytest.raises(ValueError, match="negative offset -2"):
        ask(0, data, -2)


@pytest.mark.parametrize(
    ("ask", "data"), [(files.read, b"abcd"), (files.readv, [bytearray(2), b"cd"])]
)
def test_reading_into_what_cannot_be_written_is_refused(ask, data):
    with pytest.raises(BufferError):
        ask(0, data)


@pytest.mark.parametrize("ask", [files.readv, files.writev])
def test_more_pieces_than_the_kernel_takes_are_refused(ask):
    with pytest.raises(ValueError, match="1025 pieces"):
        ask(0, [bytearray(1)] * 1025)


@pytest.mark.parametrize(("ask", "data"), TRANSFERS, ids=NAMES)
async def test_each_moves_four_bytes_at_an_offset(ask, data, tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"0123456789")
    with path.open("r+b") as file:
        assert await perform(ask(file.fileno(), data, 3)) == 4
    if ask in (files.write, files.writev):
        assert path.read_bytes() == b"012abcd789"
    else:
        assert b"".join(data if ask is files.readv else [data]) == b"3456"


async def test_an_offset_of_minus_one_is_the_files_own_position(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"0123456789")
    with path.open("rb", buffering=0) as file:
        file.seek(8)
        buffer = bytearray(4)
        assert await perform(files.read(file.fileno(), buffer)) == 2
        assert buffer[:2] == b"89"


async def test_what_is_beyond_the_length_is_cut(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"0123456789")
    with path.open("r+b") as file:
        assert await perform(files.fallocate(file.fileno(), 0, 0, 20)) == 0
        assert await perform(files.fsync(file.fileno(), True)) == 0
    assert path.read_bytes() == b"0123456789".ljust(20, b"\0")
