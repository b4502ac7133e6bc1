"""`python -m zcloop doctor` as its user meets it: text, JSON, issues, colours, errors."""

from __future__ import annotations

import importlib.resources
import json
import os
import pty
import re
import select
import shutil
import socket
import subprocess
import sys

import json_schemas
import pytest

import zcloop
from zcloop.doctor import features
from zcloop.doctor.access import CAUSES
from zcloop.doctor.findings import SEVERITIES

SCHEMA = json.loads((importlib.resources.files("zcloop.doctor") / "schema.json").read_text())
ESCAPE = "\x1b["


def on_a_terminal(*arguments, **environment):
    """Return what the doctor writes to a terminal."""
    ours, its = pty.openpty()
    command = [sys.executable, "-P", "-m", "zcloop", "doctor", *arguments]
    variables = {"PATH": os.environ["PATH"], "TERM": "xterm", **environment}
    process = subprocess.Popen(command, cwd="/", env=variables, stdout=its, stderr=its)
    os.close(its)
    shown = b""
    try:
        while select.select([ours], [], [], 20)[0]:
            try:
                piece = os.read(ours, 65536)
            except OSError:  # EIO: the other side is closed
                break
            if not piece:
                break
            shown += piece
    finally:
        os.close(ours)
        process.wait()
    return shown.decode()


@pytest.mark.parametrize("refuse", [None, "", "--errno ENOSYS", "--only enter", "--only register"])
def test_the_json_is_as_its_schema_says(refuse, diagnosis):
    found = diagnosis(refuse=refuse)
    assert list(json_schemas.errors(found, SCHEMA)) == []
    assert list(found["features"]) == [feature.name for feature in features.FEATURES]
    assert found["versions"]["zcloop"] == zcloop.__version__


def test_what_is_not_as_the_schema_says_is_noticed(diagnosis):
    found = diagnosis()
    for spoil in (
        lambda it: it.pop("advice"),
        lambda it: it.update(more=1),
        lambda it: it.update(status=3),
        lambda it: it["memory"].update(is_limited=1),
        lambda it: it["features"]["push"].update(available=None),
        lambda it: it["io_uring"]["causes"].append("weather"),
    ):
        spoilt = json.loads(json.dumps(found))
        spoil(spoilt)
        assert len(list(json_schemas.errors(spoilt, SCHEMA))) == 1


def test_the_schema_knows_every_cause_and_severity():
    properties = SCHEMA["properties"]
    causes = properties["io_uring"]["properties"]["causes"]["items"]["enum"]
    assert causes == list(CAUSES)
    finding = properties["findings"]["items"]["properties"]
    assert set(finding["code"]["enum"]) > set(causes)
    assert finding["severity"]["enum"] == list(SEVERITIES)


def test_the_schema_describes_every_member():
    def undescribed(schema, path):
        for name, member in schema.get("properties", {}).items():
            if not member.get("description", "").endswith("."):
                yield f"{path}.{name}"
            yield from undescribed(member, f"{path}.{name}")
        for inner in (schema.get("items"), schema.get("additionalProperties")):
            if isinstance(inner, dict):
                yield from undescribed(inner, f"{path}[]")

    assert list(undescribed(SCHEMA, "$")) == []


def test_the_verdict_is_the_first_line_and_what_to_do_the_second(doctor, needs_io_uring):
    shown = doctor()
    first, second, third = shown.stdout.splitlines()[:3]
    assert first.startswith("zcloop runs on io_uring, ") and third == ""
    assert (second == "Nothing to do.") == (shown.returncode == 0)


def test_findings_and_cures_come_before_details(doctor, status_without_io_uring):
    shown = doctor(refuse="")
    lines = shown.stdout.splitlines()
    assert shown.returncode == status_without_io_uring
    assert "io_uring cannot be had: a seccomp filter refuses it" in lines[0]
    starts = (
        "zcloop runs on epoll, " if status_without_io_uring == 1 else "zcloop cannot run here: "
    )
    assert lines[0].startswith(starts)
    assert lines[1] == "What to type stands below each finding, for where you are."
    order = ["Findings", "   seen: io_uring_setup answers EPERM", "   docker:", "Versions"]
    assert [line for line in lines if line in order] == order
    assert "      docker run --security-opt seccomp=io_uring.json IMAGE" in lines


def test_a_single_cure_is_said_at_once(doctor, needs_io_uring):
    lines = doctor(ZCLOOP_WITHOUT="push").stdout.splitlines()
    if "older_kernel" not in lines[0]:
        assert lines[1] in (
            "What to type (a shell): unset ZCLOOP_WITHOUT",
            "What to type stands below each finding, for where you are.",
        )


def test_details_have_every_feature_with_its_kernel_and_what_happens_without(doctor):
    text = doctor(refuse="").stdout
    for feature in features.FEATURES:
        (line,) = [
            one for one in text.splitlines() if re.match(rf" +(yes|no) +{feature.name} ", one)
        ]
        assert f"Linux {feature.since} " in line
        assert line.split()[0] == "yes" or f"without: {feature.without}" in text


def test_what_a_loop_over_epoll_has_is_said(doctor):
    (line,) = [
        one for one in doctor(refuse="").stdout.splitlines() if " a loop on epoll has " in one
    ]
    assert "multishot_receive" in line and "futex_wait" not in line


def test_it_is_in_colour_on_a_terminal_and_plain_in_a_pipe(doctor):
    coloured = on_a_terminal()
    plain = doctor().stdout
    assert coloured.startswith(ESCAPE) and ESCAPE not in plain
    stripped = re.sub(r"\x1b\[[0-9;]*m", "", coloured).replace("\r\n", "\n")
    assert stripped.splitlines()[0] == plain.splitlines()[0]


@pytest.mark.parametrize("variables", [{"NO_COLOR": "1"}, {"TERM": "dumb"}])
def test_a_terminal_that_wants_no_colour_gets_none(variables):
    shown = on_a_terminal(**variables)
    assert shown.startswith("zcloop ") and ESCAPE not in shown


def test_an_empty_no_color_is_none():
    assert on_a_terminal(NO_COLOR="").startswith(ESCAPE)


def test_json_is_never_in_colour():
    assert json.loads(on_a_terminal("--json"))["schema"] == 1


def test_an_issue_is_markdown_with_everything_in_it(doctor):
    shown = doctor("--issue")
    assert shown.stderr == "" and shown.stdout.startswith("### zcloop doctor\n\nzcloop ")
    assert f"| zcloop | {zcloop.__version__} |\n" in shown.stdout
    assert f"| kernel | {os.uname().release} |\n" in shown.stdout
    block = shown.stdout.partition("```json\n")[2].partition("```\n")[0]
    found = json.loads(block)
    assert list(json_schemas.errors(found, SCHEMA)) == []
    assert found["status"] == shown.returncode
    assert shown.stdout.count("<details>") == shown.stdout.count("</details>") == 1


@pytest.mark.skipif(
    os.geteuid() != 0 or not shutil.which("unshare") or not shutil.which("ip"),
    reason="names a host and an interface in namespaces: needs root, unshare and iproute2",
)
@pytest.mark.parametrize("refuse", [None, "--only enter"])
def test_an_issue_has_no_names_of_hosts_users_folders_or_interfaces(refuse, doctor):
    names = (
        'hostname bluebeard.castle && ip link add judith0 type veth peer name judith1 && exec "$@"'
    )
    before = ("unshare", "--uts", "--net", "sh", "-c", names, "sh")
    people = {"HOME": "/home/gabriele", "USER": "gabriele", "LOGNAME": "gabriele"}
    text = doctor("--issue", before=before, refuse=refuse, **people).stdout
    assert "interface 1" in text
    assert re.findall("bluebeard|castle|judith|gabriele|/home", text) == []
    # The names are there if nobody asks to leave them out.
    assert "judith0" in doctor("--json", before=before, **people).stdout


def test_names_in_what_is_not_our_text_are_left_out(monkeypatch):
    from zcloop.doctor import issue

    monkeypatch.setenv("HOME", "/srv/people/judith")
    node = socket.gethostname()
    found = {
        "io_uring": {"security_label": "/home/judith/bin/python (enforce)"},
        "interfaces": [{"name": "judith0"}],
        "versions": {"kernel": f"6.1.0-{node}", "other": f"x{node}x"},
        "error": "no /srv/people/judith/.venv/x.so, no '/home/gabriele/y.so'",
    }
    before = json.dumps(found)
    cleaned = issue.anonymous(found)
    assert json.dumps(found) == before
    assert cleaned["io_uring"]["security_label"] is None
    assert cleaned["interfaces"] == [{"name": "interface 1"}]
    assert cleaned["error"] == "no (name)/.venv/x.so, no '(name)/y.so'"
    assert cleaned["versions"]["other"] == f"x{node}x"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--josn"], "unrecognized arguments: --josn"),
        (["now"], "unrecognized arguments: now"),
        (["--json", "--issue"], "argument --issue: not allowed with argument --json"),
        (["--json=yes"], "argument --json: ignored explicit argument 'yes'"),
    ],
)
def test_a_wrong_command_line_has_an_exit_status_of_its_own(arguments, said, doctor):
    shown = doctor(*arguments)
    assert shown.returncode == os.EX_USAGE == 64 and shown.stdout == ""
    assert shown.stderr.startswith("usage: python -m zcloop doctor") and said in shown.stderr


def test_an_output_that_cannot_be_written_is_an_error(doctor):
    shown = doctor(before=("sh", "-c", 'exec "$@" > /dev/full', "sh"))
    assert shown.returncode == os.EX_IOERR
    assert shown.stderr == "python -m zcloop doctor: error: cannot write: No space left on device\n"


def test_who_reads_may_leave_early(doctor):
    early = 'exec 3>&1; { "$@"; echo $? >&3; } | true'
    shown = doctor(before=("bash", "-c", early, "bash"))
    assert shown.stderr == "" and shown.stdout in ("0\n", "1\n", "2\n")


def test_help_says_what_the_exit_status_means(doctor):
    shown = doctor("--help")
    assert shown.returncode == 0 and shown.stderr == ""
    assert "0 everything is there; 1 zcloop runs with less" in shown.stdout


class TestFrontDoor:
    """Run `python -m zcloop` without the doctor."""

    def run(self, *arguments):
        command = [sys.executable, "-P", "-m", "zcloop", *arguments]
        return subprocess.run(command, cwd="/", capture_output=True, text=True, check=False)

    def test_help_lists_the_commands(self):
        shown = self.run("--help")
        assert shown.returncode == 0 and "doctor    say whether zcloop can run here" in shown.stdout

    def test_version(self):
        assert self.run("--version").stdout == f"{zcloop.__version__}\n"

    @pytest.mark.parametrize("arguments", [[], ["doctr"], ["--doctor"]])
    def test_what_is_no_command_is_an_error(self, arguments):
        shown = self.run(*arguments)
        assert shown.returncode == 64 and "python -m zcloop: error: " in shown.stderr
