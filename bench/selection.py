"""Finds the scenarios that a command line names, one by one or by group."""

from __future__ import annotations

import fnmatch
from collections.abc import Container

from bench.aims import AIMS
from bench.scenarios import FLOOR, SCENARIOS, Scenario

CHOSEN: dict[str, Container[str]] = {"floor": FLOOR, "aims": AIMS}
GROUPS = (*CHOSEN, *dict.fromkeys(scenario.group for scenario in SCENARIOS), "all")


def select(names: list[str]) -> list[Scenario]:
    """Return the scenarios of these names, groups and patterns (`echo-*`), in the table's order."""

    def is_chosen(scenario: Scenario, name: str) -> bool:
        if name in CHOSEN:
            return scenario.name in CHOSEN[name]
        if name in GROUPS:
            return name in ("all", scenario.group)
        return fnmatch.fnmatch(scenario.name, name)

    for name in names:
        if not any(is_chosen(scenario, name) for scenario in SCENARIOS):
            raise ValueError(f"no scenario or group {name}: --list shows them")
    return [one for one in SCENARIOS if any(is_chosen(one, name) for name in names)]
