"""Requests and the event channel's methods: the same arguments, and each says what it does."""

from __future__ import annotations

import inspect

import pytest

from zcloop import EventChannel, requests

# What the channel's method is called where it is not called as the function is.
METHODS = {"close": "close_fd", "wait_for": "request"}
FUNCTIONS = [
    name for name in requests.__all__ if inspect.isfunction(vars(requests)[name])
]  # and no EventRequest


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_channels_method_has_the_arguments_of_the_function(name):
    function = inspect.signature(vars(requests)[name])
    method = inspect.signature(getattr(EventChannel, METHODS.get(name, name)))
    _, *parameters = method.parameters.values()
    assert [(one.kind, one.default) for one in parameters] == [
        (one.kind, one.default) for one in function.parameters.values()
    ]
    names = [one.name for one in parameters]
    assert names == [*function.parameters] or name == "close"  # of a file, or of an fd alone


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_request_says_what_it_does_and_what_its_event_has(name):
    says = vars(requests)[name].__doc__
    assert "event's result is" in says
    assert getattr(EventChannel, METHODS.get(name, name)).__doc__


def test_each_function_is_exported():
    public = {
        name
        for name, value in vars(requests).items()
        if inspect.isfunction(value) and value.__module__ == requests.__name__
    }
    assert public == {*FUNCTIONS}
    assert len(FUNCTIONS) == 21
