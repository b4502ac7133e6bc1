"""Compiles zcloop with the headers of other kernels, without a kernel's, and with musl's.

    python tests/packaging/headers.py FOLDER BUILD    # make headers; BUILD is meson's folder

Our constants are compared with Debian's kernel headers of four releases
(tests/unit/ring/test_header.py). Then the compiler reads the C code that Cython made in BUILD, and
makes no machine code of it: with the oldest of these headers; without <linux/io_uring.h> and
<linux/time_types.h>, as in containers of manylinux_2_28, whose headers are of 4.18; with musl's.
"""

from __future__ import annotations

import concurrent.futures
import os
import pathlib
import shutil
import subprocess
import sys
import sysconfig

from debian import Packages, release

ROOT = pathlib.Path(__file__).parents[2]
KERNELS = ("bullseye", "bookworm", "trixie", "sid")  # Linux 5.10, 6.1, 6.12, and the newest
MISSING = ("linux/io_uring.h", "linux/time_types.h")


def words(*folders: pathlib.Path) -> list[str]:
    return [word for folder in folders for word in ("-isystem", str(folder))]


def compiles(source: pathlib.Path, options: list[str]) -> str:
    """Return what the compiler complains of."""
    include = sysconfig.get_paths()["include"]
    command = ["cc", "-fsyntax-only", "-Werror=implicit-function-declaration", "-std=gnu11"]
    command += ["-Wno-unused", f"-I{ROOT / '_native'}", *options, "-isystem", include, str(source)]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    return done.stderr if done.returncode else ""


def read_all(name: str, sources: list[pathlib.Path], options: list[str]) -> bool:
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        complaints = list(pool.map(lambda source: compiles(source, options), sources))
    bad = [source.name for source, said in zip(sources, complaints, strict=True) if said]
    print(f"{name}: {len(sources) - len(bad)} modules compile, {len(bad)} do not {bad}", flush=True)
    if bad:
        print(max(complaints, key=len)[:4000])
    return not bad


def compare(folders: list[pathlib.Path]) -> bool:
    """Compare our constants with those of the headers."""
    environment = {**os.environ, "ZCLOOP_KERNEL_HEADERS": " ".join(map(str, folders))}
    pytest, test = shutil.which("pytest"), ROOT / "tests/unit/ring/test_header.py"
    command = (pytest, "-q", "-p", "no:cacheprovider", str(test))
    return subprocess.run(command, check=False, cwd=ROOT, env=environment).returncode == 0


def main() -> None:
    folder, build = (pathlib.Path(word).resolve() for word in sys.argv[1:3])
    sources = sorted(build.rglob("*.pyx.c"))
    assert sources, f"{build} has no C code: make build"
    machine = sysconfig.get_config_var("MULTIARCH") or "x86_64-linux-gnu"
    architecture = subprocess.check_output(("dpkg", "--print-architecture"), text=True).strip()
    headers, passed = {}, True
    for suite in KERNELS:
        root = folder / suite
        if not root.exists():
            packages = Packages(folder / f"apt-{suite}", suite, architecture)
            packages.unpack(root, "linux-libc-dev")
        headers[suite] = [root / "usr/include", root / "usr/include" / machine]
        print(f"{suite}'s kernel headers:", flush=True)
        passed = compare(headers[suite]) and passed
    none = folder / "none"
    for name in MISSING:
        (none / name).parent.mkdir(parents=True, exist_ok=True)
        (none / name).write_text(f'#error "{name} is to be done without"\n')
    musl = folder / "musl"
    if not musl.exists():
        packages = Packages(folder / "apt-musl", release(), architecture)
        packages.unpack(musl, "musl-dev")
    compiler = subprocess.check_output(("cc", "-print-file-name=include"), text=True).strip()
    oldest = headers[KERNELS[0]]
    libc = musl / "usr/include" / machine.replace("-gnu", "-musl")
    sets = {
        f"{KERNELS[0]}'s kernel": words(*oldest),
        "no io_uring": words(none, *oldest),
        "musl": ["-nostdinc", *words(libc, pathlib.Path(compiler), none, *oldest)],
    }
    for name, options in sets.items():
        passed = read_all(name, sources, options) and passed
    raise SystemExit(not passed)


if __name__ == "__main__":
    main()
