"""uvicorn's worker class for gunicorn, on the loop that ZCLOOP_TEST_LOOP names."""

from __future__ import annotations

import os

from uvicorn_worker import UvicornWorker


class Worker(UvicornWorker):
    CONFIG_KWARGS = {"loop": os.environ["ZCLOOP_TEST_LOOP"], "http": "httptools", "lifespan": "on"}
