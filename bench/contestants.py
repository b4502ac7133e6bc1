"""Finds the loops that a command line names, and that can be made here."""

from __future__ import annotations

import dataclasses
import sys

from bench.loops import Contestant, parse_contestant
from bench.processes import module_command, pick_cores, run_pinned

IMPORT_SECONDS = 30.0


def probe(contestant: Contestant) -> Contestant:
    """Return the contestant with its version. A ValueError says why it cannot run here."""
    if contestant.is_floor:
        return contestant
    if contestant.protocol == "zero-copy" and contestant.loop != "zcloop":
        raise ValueError("only zcloop has a ZeroCopyProtocol")
    command = module_command(contestant.python, "bench.loops", contestant.factory)
    try:
        found = run_pinned(command, pick_cores().client, IMPORT_SECONDS)
    except OSError as error:
        raise ValueError(str(error)) from error
    if found.returncode:
        raise ValueError(found.stderr.strip().splitlines()[-1])
    return dataclasses.replace(contestant, version=found.stdout.strip())


def pick_contestants(loop: str, against: str, python: str, with_itself: bool) -> list[Contestant]:
    """Return the loop in question and its peers. A message names each peer that is left out."""
    subject = parse_contestant(loop, python)
    try:
        subject = probe(subject)
    except ValueError as error:
        raise ValueError(f"{subject.label}: {error}") from error
    if with_itself:
        return [subject, dataclasses.replace(subject, label=f"{subject.label} again")]
    chosen = [subject]
    for name in filter(None, against.split(",")):
        peer = parse_contestant(name, python)
        if peer.label in [one.label for one in chosen]:
            continue
        try:
            chosen.append(probe(peer))
        except ValueError as error:
            print(f"{peer.label} is left out: {error}", file=sys.stderr)
    return chosen
