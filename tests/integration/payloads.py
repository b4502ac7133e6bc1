"""Large payloads are compared by digest: a failed `==` of megabytes is no help to anyone."""

from __future__ import annotations

import hashlib
import random


def payload(size: int, seed: int = 1) -> bytes:
    return random.Random(seed).randbytes(size)


def digest(content: bytes | str) -> str:
    return hashlib.sha256(content.encode() if isinstance(content, str) else content).hexdigest()
