from os import PathLike

from zcloop._native.operation.request import Request

class FileStatus(Request): ...

def statx(
    path: str | bytes | PathLike[str] | PathLike[bytes] = b"",
    dir_fd: int = ...,
    flags: int = 0,
) -> FileStatus: ...
