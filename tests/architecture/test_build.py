"""meson.build lists by hand what it builds and installs, and forgets nothing."""

from __future__ import annotations

import importlib.metadata
import importlib.resources
import re
import sysconfig

import pytest


@pytest.fixture(scope="module")
def listed(root) -> list[str]:
    """The native modules in the order of _native/meson.build."""
    text = (root / "_native" / "meson.build").read_text()
    block = re.search(r"^modules = \[(.*?)^\]", text, re.MULTILINE | re.DOTALL)
    assert block is not None
    return [name.replace("/", ".") for name in re.findall(r"'([\w/]+)'", block.group(1))]


def test_every_native_module_is_built(root, listed):
    native = root / "_native"
    sources = native.rglob("*.pyx")
    names = [".".join(path.relative_to(native).with_suffix("").parts) for path in sources]
    assert sorted(listed) == sorted(names)


def test_native_modules_are_listed_in_the_order_of_their_dependencies(listed, dependencies):
    places = {name: place for place, name in enumerate(listed)}
    assert [
        f"{name} comes before {other}, which it imports"
        for name in listed
        for other in dependencies[name] & places.keys()
        if places[other] > places[name]
    ] == []


def test_every_module_of_the_facade_is_installed(root):
    text = (root / "meson.build").read_text()
    paths = (root / "zcloop").rglob("*.py")
    names = sorted(str(path.relative_to(root)) for path in paths)
    assert sorted(re.findall(r"'(zcloop/[\w/]+\.py)'", text)) == names


def test_every_stub_has_its_module(root):
    stubs = (root / "_native").rglob("*.pyi")
    assert [str(stub) for stub in stubs if not stub.with_suffix(".pyx").exists()] == []


def test_types_are_installed(root):
    installed = importlib.resources.files("zcloop")
    assert (installed / "py.typed").is_file()
    stubs = [str(path.relative_to(root)) for path in (root / "_native").rglob("*.pyi")]
    assert stubs
    assert [stub for stub in stubs if not (installed / stub).is_file()] == []


def test_every_native_module_is_installed(listed):
    native = importlib.resources.files("zcloop") / "_native"
    suffix = sysconfig.get_config_var("EXT_SUFFIX")
    files = [name.replace(".", "/") + suffix for name in listed]
    assert [file for file in files if not (native / file).is_file()] == []


def test_the_version_is_one(root):
    import zcloop

    stated = re.search(r"^  version: '(.*)',$", (root / "meson.build").read_text(), re.MULTILINE)
    assert stated is not None
    assert zcloop.__version__ == stated.group(1)
    try:
        assert importlib.metadata.version("zcloop") == zcloop.__version__
    except importlib.metadata.PackageNotFoundError:
        pytest.skip("installed by meson, not by pip: no metadata")
