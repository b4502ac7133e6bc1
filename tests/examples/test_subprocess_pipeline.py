"""subprocess_pipeline.py's two pipelines give the digest that Python computes."""

from __future__ import annotations

import pytest
from example_programs import bounded, ends_cleanly, example

pytestmark = pytest.mark.filterwarnings("error")


@bounded
async def test_both_pipelines_give_the_digest_that_python_computes():
    async with example("subprocess_pipeline.py", "--lines", "200000") as process:
        lines = (await ends_cleanly(process)).decode().splitlines()
    assert [line.partition(" ")[0] for line in lines] == ["by_the_kernel:", "by_the_loop:"]
    assert {line.split()[1] for line in lines} == {"ok"}
