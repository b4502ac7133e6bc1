"""What a run needs and makes itself, in a cache directory: the C client and a TLS certificate."""

from __future__ import annotations

import functools
import hashlib
import importlib.util
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

CLIENT_SOURCES = Path(__file__).parent / "client"
COMPILER_FLAGS = ("-O2", "-Wall", "-Wextra")


class ArtefactError(Exception):
    """Something needed cannot be made here; the text says what to install."""


@functools.cache
def cache_directory() -> Path:
    """Where built things are kept between runs; never in the source tree."""
    base = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    directory = Path(base).expanduser() / "zcloop-bench"
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError:
        directory = Path(tempfile.mkdtemp(prefix="zcloop-bench-"))
    return directory


def has_compiler() -> bool:
    """Whether the C client can be built."""
    return shutil.which(os.environ.get("CC", "cc")) is not None


@functools.cache
def client() -> str:
    """The path of the C client, built unless these very sources were built before."""
    compiler = os.environ.get("CC", "cc")
    sources = sorted(CLIENT_SOURCES.glob("*.[ch]"))
    digest = hashlib.sha256(repr((compiler, COMPILER_FLAGS)).encode())
    for source in sources:
        digest.update(source.read_bytes())
    binary = cache_directory() / f"client-{digest.hexdigest()[:16]}"
    if not binary.exists():
        if not has_compiler():
            raise ArtefactError("the load generator needs a C compiler (cc, or set CC)")
        partial = binary.with_suffix(f".{os.getpid()}")
        units = [str(source) for source in sources if source.suffix == ".c"]
        command = [compiler, *COMPILER_FLAGS, "-o", str(partial), *units, "-ldl"]
        built = subprocess.run(command, capture_output=True, text=True)
        if built.returncode:
            raise ArtefactError(f"the load generator does not compile:\n{built.stderr}")
        partial.rename(binary)
    return str(binary)


@functools.cache
def certificate() -> str:
    """The path of a PEM file with a key and a self-signed certificate of it."""
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
    """The path of a file that holds the right answer, for the C client to compare with."""
    path = cache_directory() / f"body-{hashlib.sha256(body).hexdigest()[:16]}"
    path.write_bytes(body)
    return str(path)
