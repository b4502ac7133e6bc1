"""Cross-compiles the wheel for aarch64, and runs it there by emulation.

    apt-get install gcc-aarch64-linux-gnu qemu-user-static
    python tests/packaging/aarch64.py [FOLDER]      # make wheel-aarch64; FOLDER is build/aarch64

An arm64 Python of this Debian is unpacked below the folder, with its headers. Under qemu-user it
tells meson what an extension module is called. The wheel is `linux_aarch64`, for Pythons of this
Debian. The wheels of a release are built on an aarch64 machine. qemu-user answers ENOSYS to the
calls of io_uring, so the epoll backend runs.
"""

from __future__ import annotations

import os
import pathlib
import shutil
import subprocess
import sys
import tomllib
import venv

from debian import Packages, release

ROOT = pathlib.Path(__file__).parents[2]
COMPILER = "aarch64-linux-gnu-gcc"
EMULATOR = "qemu-aarch64-static"
CROSS_FILE = """
[binaries]
c = '{compiler}'
strip = 'aarch64-linux-gnu-strip'
python = '{python}'
cython = '{cython}'

[host_machine]
system = 'linux'
cpu_family = 'aarch64'
cpu = 'aarch64'
endian = 'little'

[built-in options]
c_args = ['-isystem', '{headers}']
"""


def run(*command: str | pathlib.Path, **options: object) -> str:
    """Run the command and return what it prints. Its errors are shown, and end this program."""
    done = subprocess.run(
        [str(word) for word in command], check=True, stdout=subprocess.PIPE, text=True, **options
    )
    return done.stdout.strip()


def make_python(folder: pathlib.Path) -> pathlib.Path:
    """Make a command that runs the arm64 Python."""
    root = folder / "root"
    if not (root / "usr/bin/python3").exists():
        packages = Packages(folder / "apt", release(), "arm64")
        packages.unpack(root, "python3", "libpython3-dev", with_dependencies=True)
    command = folder / "python"
    command.write_text(f'#!/bin/sh\nexec {EMULATOR} -L {root} {root}/usr/bin/python3 "$@"\n')
    command.chmod(0o755)
    return command


def build(folder: pathlib.Path, python: pathlib.Path) -> pathlib.Path:
    """Build the wheel, and return its path."""
    needed = tomllib.loads((ROOT / "pyproject.toml").read_text())["build-system"]["requires"]
    venv.create(folder / "tools", clear=True, with_pip=True)
    tools = folder / "tools/bin"
    run(tools / "python", "-m", "pip", "-qq", "install", *needed, "build")
    cross_file = folder / "cross.ini"
    headers = folder / "root/usr/include"
    cython = shutil.which("cython", path=f"{os.environ['PATH']}:{tools}")
    cross_file.write_text(
        CROSS_FILE.format(compiler=COMPILER, python=python, cython=cython, headers=headers)
    )
    version = run(python, "-c", "import sys; print('%d.%d' % sys.version_info[:2])")
    assert version == f"{sys.version_info[0]}.{sys.version_info[1]}", (
        f"Debian's arm64 Python is {version}: run this with the same version"
    )
    shutil.rmtree(folder / "dist", ignore_errors=True)
    run(
        *(tools / "python", "-m", "build", "-nxw", "-o", folder / "dist"),
        f"-Csetup-args=--cross-file={cross_file}",
        *("-Cinstall-args=--strip", ROOT),
        env={
            **os.environ,
            "PATH": f"{os.environ['PATH']}:{tools}",
            # meson-python and wheel take the tag from these.
            "_PYTHON_HOST_PLATFORM": "linux-aarch64",
        },
    )
    (wheel,) = (folder / "dist").glob("*.whl")
    print(f"{wheel.name}: {wheel.stat().st_size / 1e6:.2f} MB")
    return wheel


def prove(folder: pathlib.Path, python: pathlib.Path, wheel: pathlib.Path) -> None:
    """Unpack it, and run the smoke test."""
    site = folder / "site"
    shutil.rmtree(site, ignore_errors=True)
    shutil.unpack_archive(wheel, site, "zip")
    environment = {**os.environ, "PYTHONPATH": str(site), "ZCLOOP_BACKEND": "epoll"}
    print(run(python, ROOT / "tests/smoke.py", env=environment, cwd=folder))


def main() -> None:
    folder = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else ROOT / "build/aarch64").resolve()
    missing = [name for name in (COMPILER, EMULATOR, "apt-get") if not shutil.which(name)]
    if missing:
        raise SystemExit(f"no {missing[0]}: apt-get install gcc-aarch64-linux-gnu qemu-user-static")
    folder.mkdir(parents=True, exist_ok=True)
    python = make_python(folder)
    prove(folder, python, build(folder, python))


if __name__ == "__main__":
    main()
