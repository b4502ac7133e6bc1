#!/bin/sh
# The first process of a machine that tests/kernels/run.py has made: it runs the tests, writes their
# results to the second serial port, and turns the machine off. /zcloop/command sets its arguments.
export PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LANG=C.UTF-8
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs devtmpfs /dev
mkdir -p /dev/pts /dev/shm /dev/mqueue /tmp /run
mount -t devpts devpts /dev/pts
mount -t tmpfs tmpfs /dev/shm
mount -t mqueue mqueue /dev/mqueue
mount -t cgroup2 cgroup2 /sys/fs/cgroup
hostname kernels
printf '127.0.0.1 localhost kernels\n::1 localhost\n' > /etc/hosts
ip link set lo up
# As from Linux 6.12 on: tests fill sockets with more than the 208 KiB of before.
sysctl -q -w net.core.rmem_max=4194304

modprobe -a virtio_pci virtio_blk ext4 veth dummy tun
until [ -b /dev/vda ] || [ "$((tries += 1))" -gt 50 ]; do sleep 0.1; done
mkfs.ext4 -q /dev/vda && mount /dev/vda /tmp
chmod 1777 /tmp

cd /zcloop || exit
export PYTHONPATH=/zcloop/packages PYTHONDONTWRITEBYTECODE=
. /zcloop/command
ulimit -n 65536
uname -r
date
python3 -P -m pytest -p no:cacheprovider -v --tb=short --junitxml=/run/results.xml "$@"
echo "pytest has ended with status $?"
stty -F /dev/ttyS1 raw
cat /run/results.xml > /dev/ttyS1
sync
echo o > /proc/sysrq-trigger
sleep 60
