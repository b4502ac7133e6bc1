"""What to type, for each finding that can be mended, and where.

A cure is for one place (docker, kubernetes, sudo on the host, …) and is complete: its lines can be
pasted as they stand, but for words in capitals, which are the reader's own.
"""

from __future__ import annotations

from dataclasses import dataclass

# Writes the profile that the cures of SECCOMP use.
PROFILE = "python -m zcloop doctor --seccomp-profile > io_uring.json"


@dataclass(frozen=True)
class Cure:
    """Where the lines are typed, or written, and the lines."""

    where: str
    lines: tuple[str, ...]


# A seccomp filter refuses the calls of io_uring.
SECCOMP = (
    Cure(
        "docker",
        (PROFILE, "docker run --security-opt seccomp=io_uring.json IMAGE"),
    ),
    Cure(
        "docker compose",
        (PROFILE, 'security_opt: ["seccomp:io_uring.json"]   # of the service, in compose.yaml'),
    ),
    Cure(
        "podman",
        (PROFILE, "podman run --security-opt seccomp=io_uring.json IMAGE"),
    ),
    Cure(
        "kubernetes",
        (
            PROFILE,
            "install -D io_uring.json /var/lib/kubelet/seccomp/io_uring.json   # on each node",
            "securityContext:                                   # of the pod, or the container",
            "  seccompProfile: {type: Localhost, localhostProfile: io_uring.json}",
        ),
    ),
    Cure(
        "systemd",
        (
            "systemctl edit UNIT   # and write:",
            "[Service]",
            "SystemCallFilter=io_uring_setup io_uring_enter io_uring_register",
        ),
    ),
)

# kernel.io_uring_disabled refuses io_uring to this process.
SYSCTL = (
    Cure(
        "root on the host",
        (
            "sysctl -w kernel.io_uring_disabled=0",
            "echo kernel.io_uring_disabled=0 > /etc/sysctl.d/90-io-uring.conf   # to keep it",
        ),
    ),
)

# The sysctl is 1: the members of one group may use io_uring.
SYSCTL_GROUP = (
    Cure(
        "root on the host, for one group",
        ("sysctl -w kernel.io_uring_group=$(getent group GROUP | cut -d: -f3)",),
    ),
    *SYSCTL,
)

# The policy of a security module refuses io_uring.
SELINUX = (
    Cure(
        "root on the host",
        ("ausearch -m avc -ts recent | audit2allow -M io_uring && semodule -i io_uring.pp",),
    ),
    Cure("podman", ("podman run --security-opt label=disable IMAGE",)),
    Cure("docker", ("docker run --security-opt label=disable IMAGE",)),
)

# The same, of the other security module.
APPARMOR = (
    Cure(
        "root on the host",
        (
            "echo 'io_uring,' >> /etc/apparmor.d/local/PROFILE",
            "apparmor_parser -r /etc/apparmor.d/PROFILE",
        ),
    ),
    Cure("docker", ("docker run --security-opt apparmor=unconfined IMAGE",)),
    Cure("podman", ("podman run --security-opt apparmor=unconfined IMAGE",)),
    Cure(
        "kubernetes",
        (
            "securityContext:                                   # of the pod, or the container",
            "  appArmorProfile: {type: Unconfined}",
        ),
    ),
)

# RLIMIT_MEMLOCK is too small: 64 MiB are enough for 42 loops that lend memory.
MEMLOCK = (
    Cure("a shell, up to its hard limit", ("ulimit -l 65536   # KiB",)),
    Cure(
        "root on the host, for a user's next login",
        ("echo 'USER - memlock 65536' > /etc/security/limits.d/90-memlock.conf",),
    ),
    Cure("docker", ("docker run --ulimit memlock=67108864 IMAGE",)),
    Cure("podman", ("podman run --ulimit memlock=67108864 IMAGE",)),
    Cure("systemd", ("systemctl edit UNIT   # and write:", "[Service]", "LimitMEMLOCK=64M")),
    Cure(
        "kubernetes, on each node",
        (
            "systemctl edit containerd   # or crio; and write:",
            "[Service]",
            "LimitMEMLOCK=64M",
            "systemctl restart containerd",
        ),
    ),
)

# A process has as many descriptors open as RLIMIT_NOFILE allows.
DESCRIPTORS = (
    Cure("a shell, up to its hard limit", ("ulimit -n 65536",)),
    Cure("systemd", ("systemctl edit UNIT   # and write:", "[Service]", "LimitNOFILE=65536")),
    Cure("docker", ("docker run --ulimit nofile=65536 IMAGE",)),
)

# The kernel was built without io_uring, or is no Linux.
NO_IO_URING = (
    Cure("docker, where the runtime is gVisor", ("docker run --runtime=runc IMAGE",)),
    Cure("the kernel's configuration", ("CONFIG_IO_URING=y",)),
)

# The kernel is older than what zcloop could use.
KERNEL = (
    Cure(
        "root on Debian, amd64",
        ("apt-get install -t $(lsb_release -cs)-backports linux-image-amd64",),
    ),
    Cure("root on Ubuntu", ("apt-get install linux-generic-hwe-$(lsb_release -rs)",)),
    Cure("root on Fedora and its kin", ("dnf upgrade kernel",)),
)

# A variable of the environment switches off what the kernel has.
BACKEND = (Cure("a shell", ("unset ZCLOOP_BACKEND",)),)
WITHOUT = (Cure("a shell", ("unset ZCLOOP_WITHOUT",)),)


def ordered(cures: tuple[Cure, ...], container: str | None) -> tuple[Cure, ...]:
    """The cures, with those for this kind of container first."""
    if container is None:
        return cures
    return tuple(sorted(cures, key=lambda cure: not cure.where.startswith(container)))
