"""Signatures of native classes and functions, as their stubs say them.

What Cython compiles knows its arguments in C's words (`size_t size`), or not at all. Beside each
compiled module lies a `.pyi`, which type checkers read and `make check` compares with the module.
Autodoc reads it here.
"""

from __future__ import annotations

import ast
import functools
import importlib
import sys
from pathlib import Path
from typing import Any

NATIVE = "zcloop._native."
Function = ast.FunctionDef | ast.AsyncFunctionDef


@functools.cache
def stub(module: str) -> ast.Module | None:
    """The stub of a native module, if it has one."""
    place = getattr(sys.modules.get(module), "__file__", None)
    if place is None:
        return None
    path = Path(place)
    path = path.with_name(path.name.partition(".")[0] + ".pyi")
    return ast.parse(path.read_text()) if path.exists() else None


def functions(body: list[ast.stmt], name: str) -> list[Function]:
    return [one for one in body if isinstance(one, Function) and one.name == name]


def of_class(native: type) -> list[ast.stmt]:
    """The body of a class in its stub; nothing for one of Python's own or of the facade."""
    found = stub(native.__module__) if native.__module__.startswith(NATIVE) else None
    for one in found.body if found else []:
        if isinstance(one, ast.ClassDef) and one.name == native.__name__:
            return one.body
    return []


def in_bases(owner: type, names: tuple[str, ...]) -> Function | None:
    """The first of these methods in the stubs of a class and its bases; None where a class that is
    no native one comes first, which autodoc reads itself."""
    for base in owner.__mro__:
        body = of_class(base)
        for name in names:
            if found := functions(body, name):
                return found[0]
            if name in vars(base) and not body:
                return None
    return None


def resolve(name: str) -> tuple[Any, str]:
    """What holds the object of this dotted name, and the name there."""
    parts = name.split(".")
    for count in range(len(parts) - 1, 0, -1):
        try:
            holder: Any = importlib.import_module(".".join(parts[:count]))
        except ImportError:
            continue
        for part in parts[count:-1]:
            holder = getattr(holder, part)
        return holder, parts[-1]
    raise LookupError(name)


def shown(function: Function, is_method: bool) -> str:
    arguments = function.args
    kinds = {getattr(one, "id", "") for one in function.decorator_list}
    if is_method and "staticmethod" not in kinds:
        (arguments.posonlyargs or arguments.args).pop(0)
        function.decorator_list = [ast.Name("staticmethod")]  # it is taken once
    return f"({ast.unparse(arguments)})"


def signature(
    app: Any, what: str, name: str, thing: Any, options: Any, given: str | None, returned: Any
) -> tuple[str, str | None] | None:
    """For autodoc: the signature and what is returned; None leaves what it has found."""
    holder, last = resolve(name)
    if what in ("class", "exception"):
        found = in_bases(thing, ("__new__", "__init__"))
        if found is not None:
            return shown(found, True), None
        return ("", None) if thing.__module__.startswith(NATIVE) else None
    if what == "function":
        module = getattr(thing, "__module__", "") or ""
        tree = stub(module) if module.startswith(NATIVE) else None
        if tree and (listed := functions(tree.body, last)):
            made = listed[0]
            return shown(made, False), made.returns and ast.unparse(made.returns)
    if what == "method" and isinstance(holder, type):
        found = in_bases(holder, (last,))
        if found is not None:
            return shown(found, True), found.returns and ast.unparse(found.returns)
    return None


def setup(app: Any) -> dict[str, bool]:
    app.connect("autodoc-process-signature", signature)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
