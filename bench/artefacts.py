"""What a run needs and makes itself, in a cache directory: the C programs and a TLS certificate."""

from __future__ import annotations

import functools
import hashlib
import importlib.util
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

CLIENT_FOLDER = Path(__file__).parent / "client"
FLOOR_FOLDER = Path(__file__).parent / "floor"
COMPILER_FLAGS = ("-O2", "-Wall", "-Wextra")


class ArtefactError(Exception):
    """Raised when something cannot be made here. The text says what to install."""


@functools.cache
def cache_directory() -> Path:
    """Return the folder where built things are kept between runs. It is outside the source tree."""
    base = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    directory = Path(base).expanduser() / "zcloop-bench"
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError:
        directory = Path(tempfile.mkdtemp(prefix="zcloop-bench-"))
    return directory


def has_compiler() -> bool:
    """Whether the C programs can be built."""
    return shutil.which(os.environ.get("CC", "cc")) is not None


def _build(name: str, folder: Path, sources: list[Path]) -> str:
    """Return the path of a program. It is built if these very sources were not built before."""
    compiler = os.environ.get("CC", "cc")
    digest = hashlib.sha256(repr((compiler, COMPILER_FLAGS)).encode())
    for source in (*sources, *sorted(folder.glob("*.h"))):
        digest.update(source.read_bytes())
    binary = cache_directory() / f"{name}-{digest.hexdigest()[:16]}"
    if not binary.exists():
        if not has_compiler():
            raise ArtefactError(f"{name} needs a C compiler (cc, or set CC)")
        partial = binary.with_suffix(f".{os.getpid()}")
        command = [compiler, *COMPILER_FLAGS, "-o", str(partial), *map(str, sources), "-ldl"]
        built = subprocess.run(command, capture_output=True, text=True)
        if built.returncode:
            raise ArtefactError(f"{name} does not compile:\n{built.stderr}")
        partial.rename(binary)
    return str(binary)


@functools.cache
def client() -> str:
    """Return the path of the load generator in C."""
    return _build("client", CLIENT_FOLDER, sorted(CLIENT_FOLDER.glob("*.c")))


@functools.cache
def floor_server(label: str) -> str:
    """Return the path of a server in C: `c-uring` or `c-epoll`."""
    sources = [FLOOR_FOLDER / "floor.c", FLOOR_FOLDER / f"{label.removeprefix('c-')}.c"]
    return _build(label, FLOOR_FOLDER, sources)


@functools.cache
def certificate() -> str:
    """Return the path of a PEM file with a key and a self-signed certificate."""
    openssl = shutil.which("openssl")
    if not openssl:
        # CPython's own test suite brings one.
        found = importlib.util.find_spec("test.certdata") or importlib.util.find_spec("test")
        for directory in (found and found.submodule_search_locations) or ():
            pem = Path(directory) / "keycert.pem"
            if pem.exists():
                return str(pem)
        raise ArtefactError("TLS needs the openssl command, or Python's package test")
    pem = cache_directory() / "certificate.pem"
    key = cache_directory() / "key.pem"
    command = [openssl, "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"]
    command += ["-nodes", "-days", "30", "-subj", "/CN=localhost", "-keyout", str(key)]
    made = subprocess.run([*command, "-out", str(pem)], capture_output=True, text=True)
    if made.returncode:
        raise ArtefactError(f"openssl makes no certificate:\n{made.stderr}")
    pem.write_text(key.read_text() + pem.read_text())
    return str(pem)


def body_file(body: bytes) -> str:
    """Return the path of a file with the right answer, with which the C client compares."""
    path = cache_directory() / f"body-{hashlib.sha256(body).hexdigest()[:16]}"
    path.write_bytes(body)
    return str(path)
