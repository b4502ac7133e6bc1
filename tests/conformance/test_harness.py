"""The harness notices what is wrong with a loop, names the test, and goes on with the rest."""

from typing import Any

import pytest
from harness import modules
from harness.reports import Order
from harness.supervision import run_module
from harness.verdict import judge

if not modules.suite_is_installed():
    pytest.skip("this Python comes without test.test_asyncio", allow_module_level=True)

QUEUE_TESTS = "QueueBasicTests"


def order(loop: str, module: str = "test_queues", **more: Any) -> Order:
    return Order(module=module, factory=f"broken_loops:{loop}", **more)


def test_standard_loop_has_no_regressions() -> None:
    verdict = judge(Order("test_queues", "asyncio:SelectorEventLoop"))
    assert verdict.is_good
    assert verdict.report.tests_with_loops == len(verdict.report.tests) > 20


def test_hung_test_is_named_and_the_next_one_is_run() -> None:
    report = run_module(
        order("HangingLoop", "test_threads", pattern="thread_co", test_timeout_s=0.2)
    )
    assert set(report.with_outcome("hung")) == set(report.tests)
    assert len(report.tests) > 1
    assert all("run_until_complete" in test.detail for test in report.tests.values())


def test_loop_that_hangs_after_the_test_is_blamed_on_the_test() -> None:
    report = run_module(
        order("LingeringLoop", "test_threads", pattern="thread_co", test_timeout_s=0.2)
    )
    assert set(report.with_outcome("hung")) == set(report.tests)
    assert len(report.tests) > 1
    assert all("after the test" in test.detail for test in report.tests.values())
    assert all("in close" in test.detail for test in report.tests.values())


def test_module_out_of_time_says_which_tests_were_not_run() -> None:
    report = run_module(order("HangingLoop", test_timeout_s=60.0, module_timeout_s=2.0))
    assert len(report.with_outcome("not run")) == len(report.tests) > 1
    assert any("time was up" in error for error in report.errors)


def test_crashed_test_is_named_with_its_signal_and_the_next_one_is_run() -> None:
    report = run_module(order("DyingLoop", pattern=QUEUE_TESTS))
    assert set(report.with_outcome("crashed")) == set(report.tests)
    assert len(report.tests) > 1
    assert all("SIGSEGV" in test.detail for test in report.tests.values())


def test_descriptor_left_open_is_an_error_with_the_test_that_opened_it() -> None:
    verdict = judge(order("LeakingLoop", pattern=QUEUE_TESTS))
    assert not verdict.is_good
    assert any("left behind" in error and QUEUE_TESTS in error for error in verdict.errors)


def test_exception_that_could_only_be_printed_is_an_error_with_its_place() -> None:
    verdict = judge(order("MutteringLoop", pattern=QUEUE_TESTS))
    assert not verdict.is_good
    assert any("muttered" in error and QUEUE_TESTS in error for error in verdict.errors)


def test_exception_that_could_only_be_printed_during_a_test_fails_it() -> None:
    verdict = judge(order("MutteringLoop", "test_sock_lowlevel", pattern="EPoll"))
    assert verdict.regressions
    assert all("muttered" in test.detail for test in verdict.regressions.values())


def test_regression_is_what_the_selector_loop_passes() -> None:
    verdict = judge(order("RefusingLoop", module="test_server"))
    assert verdict.regressions
    assert set(verdict.excused.values()) <= {"skipped"}


def test_selector_loop_made_behind_the_factory_is_an_error() -> None:
    found = judge(order("RefusingLoop", "test_base_events", internals=True, pattern="BaseLoopSock"))
    assert any("behind the factory's back" in error for error in found.errors)


def test_module_that_never_calls_the_factory_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("harness.verdict.WITHOUT_LOOPS", frozenset())
    verdict = judge(order("RefusingLoop", module="test_protocols"))
    assert any("never called" in error for error in verdict.errors)


def test_factory_that_does_not_exist_is_an_error() -> None:
    verdict = judge(order("NoSuchLoop"))
    assert any("NoSuchLoop" in error for error in verdict.errors)
