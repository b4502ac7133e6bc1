"""_native/kernel/io_uring.h says what the system's <linux/io_uring.h> says.

ZCLOOP_KERNEL_HEADERS is a folder with other headers to compare with, as `make headers` gives it.
"""

import os
import pathlib
import re
import shutil
import subprocess

import pytest

HEADER = pathlib.Path(__file__).parents[3] / "_native/kernel/io_uring.h"
COMPILER = shutil.which("cc")
FOLDERS = [f"-isystem{path}" for path in os.environ.get("ZCLOOP_KERNEL_HEADERS", "").split()]

pytestmark = [
    pytest.mark.zcloop_only,
    pytest.mark.skipif(COMPILER is None, reason="no C compiler"),
    pytest.mark.skipif(not HEADER.exists(), reason="not in a source tree"),
]
# A structure since this kernel, or a field since that.
STRUCTURE = re.compile(
    r"^(?:/\* since ([\d.]+)[^\n]*\n)?struct (io_\w+) \{\n(.*?)^\};", re.MULTILINE | re.DOTALL
)
FIELD = re.compile(
    r"^ +(?:__\w+|struct \w+) (\w+)(?:\[\d*\])?;(?: +/\* since ([\d.]+))?", re.MULTILINE
)
CONSTANT = re.compile(r"^#define (IO\w+|SOCKET\w+) +[^/\n]+(?:/\* since ([\d.]+))?", re.MULTILINE)


def release(text: str) -> tuple[int, int]:
    major, minor = text.split(".")
    return int(major), int(minor)


def compiled(tmp_path, source: str, *includes: str) -> str:
    """What a C program prints."""
    (tmp_path / "program.c").write_text("#include <stddef.h>\n#include <stdio.h>\n" + source)
    program = tmp_path / "program"
    subprocess.run(
        [COMPILER, "-Werror", *includes, "-o", program, tmp_path / "program.c"], check=True
    )
    return subprocess.run([program], check=True, capture_output=True, text=True).stdout


@pytest.fixture(scope="module")
def system_release(tmp_path_factory) -> tuple[int, int]:
    """The kernel whose headers these are."""
    said = compiled(
        tmp_path_factory.mktemp("version"),
        "#include <linux/version.h>\n"
        'int main(void) { printf("%d", LINUX_VERSION_CODE); return 0; }',
        *FOLDERS,
    )
    return int(said) >> 16, int(said) >> 8 & 255


@pytest.fixture(scope="module")
def expressions() -> dict[str, tuple[int, int]]:
    """What is compared, and the kernel that has brought it."""
    text = HEADER.read_text()
    found = {}
    for name, since in CONSTANT.findall(text):
        found[f"(unsigned long long) {name}"] = release(since or "5.10")
    for since, name, body in STRUCTURE.findall(text):
        first = release(since or "5.10")
        found[f"sizeof(struct {name})"] = first
        for field, later in FIELD.findall(body):
            if "reserved" not in field:
                place = f"offsetof(struct {name}, {field})"
                found[place] = max(first, release(later or "5.10"))
                found[f"sizeof(((struct {name} *) 0)->{field})"] = found[place]
    # Of an array without a length there is no size.
    del found["sizeof(((struct io_uring_probe *) 0)->ops)"]
    return found


def values(tmp_path, header: str, expressions, *includes: str) -> dict[str, str]:
    lines = "\n".join(f'printf("%llu\\n", (unsigned long long) ({e}));' for e in expressions)
    said = compiled(
        tmp_path, f"#include {header}\nint main(void) {{ {lines} return 0; }}", *includes
    )
    return dict(zip(expressions, said.splitlines(), strict=True))


def test_its_names_have_the_values_and_places_that_the_systems_header_gives_them(
    tmp_path, expressions, system_release
):
    both = [name for name, since in expressions.items() if since <= system_release]
    if len(both) < len(expressions) / 2:
        pytest.skip(f"headers of Linux {system_release} know too little to compare with")
    theirs = values(tmp_path, "<linux/io_uring.h>", both, *FOLDERS)
    ours = values(tmp_path, f'"{HEADER}"', both, *FOLDERS)
    assert ours == theirs


def test_everything_is_looked_at(expressions):
    text = HEADER.read_text()
    for name in re.findall(r"\b(?:IORING|IOSQE)_\w+", text):
        if name != "IORING_H":
            assert f"(unsigned long long) {name}" in expressions
    for name in re.findall(r"^struct (io_\w+)", text, re.MULTILINE):
        assert f"sizeof(struct {name})" in expressions
    assert "offsetof(struct io_uring_sqe, optlen)" in expressions
    assert "offsetof(struct io_uring_probe, ops)" in expressions
    assert len(expressions) > 150


def test_the_systems_header_after_it_contradicts_nothing(tmp_path):
    source = f'#include "{HEADER}"\n#include <linux/io_uring.h>\nint main(void) {{ return 0; }}'
    assert compiled(tmp_path, source, *FOLDERS) == ""


def test_the_systems_header_before_it_is_refused_with_a_reason(tmp_path):
    program = tmp_path / "program.c"
    program.write_text(f'#include <linux/io_uring.h>\n#include "{HEADER}"\n')
    said = subprocess.run(
        [COMPILER, "-fsyntax-only", program], check=False, capture_output=True, text=True
    )
    assert said.returncode != 0
    assert "add what is missing to _native/kernel/io_uring.h" in said.stderr
