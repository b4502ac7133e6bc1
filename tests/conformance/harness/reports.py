"""What to run, and what came of it.

| outcome   | meaning                                                                         |
|-----------|---------------------------------------------------------------------------------|
| `passed`  | also an expected failure                                                        |
| `failed`  | an assertion, an unexpected success, or an exception that could only be printed |
| `error`   | any other exception                                                             |
| `skipped` | by the test itself                                                              |
| `hung`    | no end within the time a test has, or none after it; detail holds the stacks    |
| `crashed` | the process ended in the test or after it; detail holds signal and stacks       |
| `not run` | the module's time was up before, or its worker could not go on                  |

Trouble that belongs to no test (an import, a fixture, an exit) goes to `ModuleReport.errors`.
"""

from dataclasses import dataclass, field


@dataclass
class TestReport:
    __test__ = False  # to pytest: not a class of tests

    outcome: str
    detail: str = ""
    loops: int = 0
    strays: int = 0
    seconds: float = 0.0


@dataclass
class ModuleReport:
    module: str
    tests: dict[str, TestReport] = field(default_factory=dict)
    left_out: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    seconds: float = 0.0

    @property
    def loops(self) -> int:
        return sum(test.loops for test in self.tests.values())

    @property
    def tests_with_loops(self) -> int:
        return sum(test.loops > 0 for test in self.tests.values())

    def with_outcome(self, *outcomes: str) -> list[str]:
        return [name for name, test in self.tests.items() if test.outcome in outcomes]


@dataclass(frozen=True)
class Order:
    """One module to run. `worker` explains the fields, which its request has as well."""

    module: str
    factory: str | None
    only: tuple[str, ...] | None = None
    leave_out: tuple[str, ...] = ()
    internals: bool = False
    pattern: str | None = None
    native_streams: bool = False
    test_timeout_s: float = 30.0
    module_timeout_s: float = 300.0
