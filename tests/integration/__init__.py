"""Programs that people run on asyncio, run on the loop under test against real servers."""
