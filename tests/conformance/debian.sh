#!/usr/bin/env bash
# Build zcloop for the Pythons of a newer Debian, and run CPython's own asyncio tests and our unit
# tests with each, in a root of their own:
#
#     make conformance-debian                                      # 3.14 and 3.15 of forky
#     make conformance-debian DEBIAN_PYTHONS=3.15                  # one of them
#     DEBIAN_SUITE=sid DEBIAN_TESTS='tests/unit/loop' make conformance-debian
#
# It needs root, debootstrap, and this machine's own Debian mirror. The root is build/debian/SUITE:
# to make it takes minutes once, and 1.5 GB. This tree, /dev, /proc and /sys are mounted there in a
# mount namespace of the run, which ends with the run however that ends: nothing has to be
# unmounted, and `make clean` never meets a mount. The status is 0 if all passed, 1 if not, 2 if it
# could not begin.
set -euo pipefail
cd "$(dirname "$0")/../.."

suite=${DEBIAN_SUITE:-forky}
read -ra pythons <<<"${DEBIAN_PYTHONS:-3.14 3.15}"
read -ra tests <<<"${DEBIAN_TESTS:-tests/unit tests/architecture/test_overrides.py}"
root=$PWD/build/debian/$suite

refuse() {
  echo "$*" >&2
  exit 2
}

mirror() {
  apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' 'Origin: Debian' 2>/dev/null \
    | grep -v -e security -m 1
}

make_root() {
  local url
  [[ ! -e $root/made ]] || return 0
  command -v debootstrap >/dev/null || refuse 'no debootstrap: apt-get install debootstrap'
  url=$(mirror) || refuse 'apt names no Debian mirror: see /etc/apt/sources.list'
  rm -rf "$root"
  mkdir -p "$root"
  # sid's recipe serves every newer suite, which an older debootstrap does not know by name.
  debootstrap --variant=minbase --include=ca-certificates "$suite" "$root" "$url" sid \
    >"$root.log" 2>&1 || refuse "debootstrap failed: see $root.log"
  # The mirror may be a snapshot, whose lists are out of date.
  echo 'Acquire::Check-Valid-Until "false";' >"$root/etc/apt/apt.conf.d/snapshot"
  touch "$root/made"
}

mount_all() {
  local path
  mkdir -p "$root/zcloop"
  mount --bind "$PWD" "$root/zcloop"
  mount -t proc proc "$root/proc"
  mount --rbind /dev "$root/dev"
  mount --rbind /sys "$root/sys"
  # How this machine reaches registries.
  for path in /etc/resolv.conf /etc/hosts /etc/ssl/certs; do
    [[ -e $root$path ]] || touch "$root$path"
    mount --bind "$path" "$root$path"
  done
}

inside() {
  env -u VIRTUAL_ENV -u PYTHONPATH PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LC_ALL=C.UTF-8 \
    DEBIAN_FRONTEND=noninteractive chroot "$root" "$@"
}

install_packages() {
  local version packages=(gcc libc6-dev linux-libc-dev make openssl procps)
  for version in "${pythons[@]}"; do
    packages+=("python$version-dev" "python$version-venv" "libpython$version-testsuite")
  done
  inside dpkg-query -W "${packages[@]}" >/dev/null 2>&1 && return 0
  inside apt-get update -qq
  inside apt-get install -qq -y --no-install-recommends "${packages[@]}" >"$root.apt.log" 2>&1 \
    || refuse "not to be installed: see $root.apt.log"
}

# Whether one Python passes all; what it says last goes to `results`.
passes() {
  local version=$1 status=0 venv=/venv/python$1 log=$root.python$1
  printf '\n=== Python %s of Debian %s\n' "$version" "$suite"
  inside make -C /zcloop VENV="$venv" PYTHON="python$version" build || return 1
  inside "$venv/bin/python" /zcloop/tests/conformance/run.py | tee "$log.conformance" || status=1
  results+=("$(tail -n 1 "$log.conformance")")
  inside sh -c 'cd /zcloop && exec "$@"' \
    sh "$venv/bin/pytest" -q -p no:cacheprovider "${tests[@]}" | tee "$log.pytest" || status=1
  results+=("${tests[*]} on Python $version: $(tail -n 1 "$log.pytest")")
  return $status
}

if [[ ${1:-} != --mounted ]]; then
  ((EUID == 0)) || refuse 'a root of its own takes root: sudo make conformance-debian'
  exec unshare --mount --propagation private "$0" --mounted
fi

results=() status=0
make_root
mount_all
install_packages
for version in "${pythons[@]}"; do
  passes "$version" || status=1
done
printf '\n'
printf '%s\n' "${results[@]}"
exit $status
