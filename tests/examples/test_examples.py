"""Every example says in its docstring how it is run."""

from __future__ import annotations

import pytest
from example_programs import EXAMPLES, bounded

pytestmark = pytest.mark.filterwarnings("error")


@bounded
async def test_every_example_opens_with_the_command_that_runs_it():
    for path in sorted(EXAMPLES.glob("*.py")):
        assert f"    python examples/{path.name}" in path.read_text().split('"""')[1], path.name
