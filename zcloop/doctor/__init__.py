"""`python -m zcloop doctor`: what zcloop finds on this machine, and how to give it what it lacks.

`surroundings` reads files, `system_calls` and `probe_ring` ask the kernel. `access` judges whether
io_uring can be had, `features`, `memory`, `interfaces` and `loops` look at one thing each, and
`report` gathers it. `findings` says what of it matters, with `cures`; `text`, `issue` and the JSON
of `report` show it. `import zcloop` imports none of this. What looks takes what it asks (a root
for files, an object for system calls) as an argument, so that tests can put others in.
"""
