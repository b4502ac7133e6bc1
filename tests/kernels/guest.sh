#!/bin/sh
# The first process of a machine that tests/kernels/run.py has made: it runs the tests, writes their
# results to $RESULTS, and turns the machine off. Variables and tests are in /zcloop.
export PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LANG=C.UTF-8
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mountpoint -q /dev || mount -t devtmpfs devtmpfs /dev
mkdir -p /dev/pts /dev/shm /dev/mqueue /tmp /run
for name in fd:fd stdin:fd/0 stdout:fd/1 stderr:fd/2; do
  ln -sf "/proc/self/${name#*:}" "/dev/${name%:*}"
done
mount -t devpts devpts /dev/pts
mount -t tmpfs tmpfs /dev/shm
mount -t mqueue mqueue /dev/mqueue
mount -t cgroup2 cgroup2 /sys/fs/cgroup
hostname kernels
printf '127.0.0.1 localhost kernels\n::1 localhost\n' > /etc/hosts
ip link set lo up
# As from Linux 6.12 on: tests fill sockets with more than the 208 KiB of before.
sysctl -q -w net.core.rmem_max=4194304
# Tests map more than a machine's memory, and touch little of it.
sysctl -q -w vm.overcommit_memory=1

depmod -A
modprobe -qa ipv6 virtio_pci virtio_blk ext4 veth dummy tun
. /zcloop/variables
until [ -b "$DISK" ] || [ "$((tries += 1))" -gt 50 ]; do sleep 0.1; done
mkfs.ext4 -qF "$DISK" && mount "$DISK" /tmp || exit
chmod 1777 /tmp

cd /zcloop || exit
export PYTHONDONTWRITEBYTECODE=1
ulimit -n 65536
uname -r
date

run() {  # number, arguments of pytest
  results=/run/results-$1.xml
  shift
  python3 -P -m pytest -p no:cacheprovider -v --color=no --tb=short --junitxml="$results" "$@"
  echo "pytest has ended with status $?"
}

. /zcloop/tests-to-run
[ ! -c "$RESULTS" ] || stty -F "$RESULTS" raw
cat /run/results-*.xml > "$RESULTS"
sync
echo o > /proc/sysrq-trigger
sleep 60
