"""The service under a real systemd, as a new user installs it: start, hang, kills, reload, stop, upgrade, removal.

    sudo .venv-test/bin/python benchmarks/boot_units.py

Boots a systemd over an overlay of this machine (`booted.py`), installs the wheel of this tree into /opt/prednet-edge
there, with the dependencies of the environment that runs this script, and says of each thing what was seen. Ends with 1
where one is not as it must be. Needs root, mosquitto, and about four minutes, most of them spent in delays.
"""

from __future__ import annotations

import argparse
import json
import platform
import subprocess
import sys
import sysconfig
import tempfile
import time
from pathlib import Path

from booted import Booted, booted, until
from machine import measured_on

UNIT, ENGINE = "prednet-edge.service", "prednet-edge-engine.service"
PROGRAM, CONFIG = "/opt/prednet-edge/bin/prednet-edge", "/etc/prednet-edge/config.yaml"
WHEEL = "/var/tmp/prednet_edge-0.1.0-py3-none-any.whl"  # noqa: S108 - in a machine of its own
PIP = f"{sys.executable} -m pip --python /opt/prednet-edge/bin/python install -q --no-index --no-deps --force-reinstall"
TOPICS = "prednet/v1/plant7/+"
# Stops one thread of a process and leaves all others running, as a call that never returns does.
HANG = """
import ctypes, os, sys
libc, thread = ctypes.CDLL(None, use_errno=True), int(sys.argv[1])
assert libc.ptrace(0x4206, thread, None, None) == 0, ctypes.get_errno()  # PTRACE_SEIZE
assert libc.ptrace(0x4207, thread, None, None) == 0, ctypes.get_errno()  # PTRACE_INTERRUPT
print("hangs", flush=True)
while os.WIFSTOPPED(os.waitpid(thread, 0x40000000)[1]):  # __WALL; until it has been killed
    pass
"""
_failed: list[str] = []


def check(what: str, is_good: bool, seen: object) -> None:
    """Print a line, and remember a failure."""
    print(f"{'ok    ' if is_good else 'FAILED'} {what}: {seen}", flush=True)
    if not is_good:
        _failed.append(what)


def main() -> int:
    """Run every check."""
    argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter).parse_args()
    print(f"{measured_on()}; {platform.platform()}")
    with tempfile.TemporaryDirectory() as folder, booted() as machine:
        print(machine.shell("systemctl --version | head -1"))
        install(machine, wheel(Path(folder)))
        first_start(machine)
        hang(machine)
        kills(machine)
        reload(machine)
        bad_starts(machine)
        credentials(machine)
        engine(machine)
        stop(machine)
        upgrade_and_remove(machine)
    return verdict()


def verdict() -> int:
    """Print how many checks failed, and return the exit code."""
    print(f"{len(_failed)} failed")
    return 1 if _failed else 0


def wheel(folder: Path) -> bytes:
    """Return this tree's wheel."""
    root = Path(__file__).parents[1]
    options = ["--no-deps", "--quiet", "--disable-pip-version-check", "--wheel-dir", str(folder)]
    subprocess.run([sys.executable, "-m", "pip", "wheel", str(root), *options], check=True)
    return next(folder.glob("*.whl")).read_bytes()


def put(machine: Booted, path: str, data: bytes) -> None:
    """Write a file in the machine."""
    process = subprocess.Popen([*machine.enter, "sh", "-c", f"cat > '{path}'"], stdin=subprocess.PIPE)
    process.communicate(data)


def write(machine: Booted, path: str, text: str) -> None:
    """Write a text in the machine."""
    put(machine, path, text.encode())


def install(machine: Booted, package: bytes) -> None:
    """Install as docs/install.md says; the dependencies are lent."""
    put(machine, WHEEL, package)
    machine.shell(f"/usr/bin/python3.{sys.version_info.minor} -m venv --without-pip /opt/prednet-edge")
    lent = sysconfig.get_path("purelib")
    machine.shell(f"echo {lent} > $(ls -d /opt/prednet-edge/lib/python3*/site-packages)/lent.pth")
    machine.shell(f"{PIP} {WHEEL}")
    write(machine, "/etc/broker.conf", "listener 1883 127.0.0.1\nallow_anonymous true\n")
    machine.shell("systemd-run --quiet --unit=broker mosquitto -c /etc/broker.conf")


def first_start(machine: Booted) -> None:
    """Three answers, one command, and the first event."""
    began = time.monotonic()
    code, told = machine.run(PROGRAM, "init", typed="plant7\n\n\n")
    check("init asks three questions and writes what is valid", code == 0 and told.count(" of 3. ") == 3, told[-80:])
    code, told = machine.run(PROGRAM, "install-service")
    check("install-service starts it", code == 0 and "runs" in told, told.splitlines()[-1])
    check("READY was said", machine.property(UNIT, "ActiveState") == "active", f"{time.monotonic() - began:.1f} s")
    process = machine.property(UNIT, "MainPID")
    who = machine.shell(f"ps -o user:20= -p {process}; id -nG prednet-edge; stat -c '%U %a' /var/lib/prednet-edge")
    check(
        "user, groups, state", who.split("\n")[0] == "prednet-edge" and "video render" in who, who.replace("\n", "; ")
    )
    # A busy machine also tells of missing frames, which are conditions.
    first = machine.shell(f"mosquitto_sub -t '{TOPICS}/events' -W 120 | grep -m1 surprise", 130.0)
    told = f"{json.loads(first)['kind']}, {time.monotonic() - began:.0f} s after init"
    check("the first event", json.loads(first)["type"] == "new", told)
    until(lambda: "watching 1 of 1" in machine.property(UNIT, "StatusText"), 30.0, "the status")
    check("status tells", True, machine.property(UNIT, "StatusText"))
    score = machine.shell(f"systemd-analyze security {UNIT} --no-pager | tail -1")
    check("security", " OK " in score, score)


def hang(machine: Booted) -> None:
    """Stop the river's thread alone, then the whole daemon: each is killed and watches again."""
    for how in ("the river's thread hangs, all others go on", "the whole process is stopped"):
        process, before = machine.property(UNIT, "MainPID"), int(machine.property(UNIT, "NRestarts"))
        tracer = None
        if how.startswith("the whole"):
            machine.shell(f"kill -STOP {process}")
        else:
            tracer = machine.start(sys.executable, "-c", HANG, process)
        until(lambda: int(machine.property(UNIT, "NRestarts")) > before, 60.0, how)  # noqa: B023 - called at once
        if tracer is not None:
            tracer.kill()
            tracer.wait()
        seconds = until(lambda: machine.property(UNIT, "ActiveState") == "active", 60.0, "the restart")
        log = machine.shell(
            f"journalctl -u {UNIT} -o cat --no-pager _PID={process} + _SYSTEMD_UNIT=init.scope UNIT={UNIT}"
        )
        check(
            how, "Watchdog timeout (limit 30s)" in log, f"killed, active again {seconds:.1f} s after the restart began"
        )
        if tracer is not None:
            stack = [line for line in log.splitlines() if "pipeline.py" in line or "daemon.py" in line]
            check("the log says where it hung", bool(stack), stack[-1].strip() if stack else "no stack")


def kills(machine: Booted) -> None:
    """SIGKILL again and again: the delay grows; a clean restart lets it begin anew."""
    machine.shell(f"systemctl restart {UNIT}")
    waits = []
    for _ in range(4):
        before = int(machine.property(UNIT, "NRestarts"))
        machine.shell(f"kill -KILL {machine.property(UNIT, 'MainPID')}")
        until(lambda: int(machine.property(UNIT, "NRestarts")) > before, 30.0, "a restart")  # noqa: B023
        waits.append(until(lambda: machine.property(UNIT, "ActiveState") == "active", 60.0, "watching"))
    check("the delay grows", waits[3] > waits[2] > waits[1] > 3.0, ", ".join(f"{one:.1f} s" for one in waits))
    began = time.monotonic()
    machine.shell(f"systemctl restart {UNIT}")
    check("a restart by hand is not put off", time.monotonic() - began < 10.0, f"{time.monotonic() - began:.1f} s")


def reload(machine: Booted) -> None:
    """A good configuration is taken over by the same process; a bad one fails the reload with its sentence."""
    process, good = machine.property(UNIT, "MainPID"), machine.shell(f"cat {CONFIG}")
    info = f"mosquitto_sub -t '{TOPICS}/info' -C 1 -W 20"
    before = json.loads(machine.shell(info))
    machine.shell(f"sed -i 's/hold_seconds: 0.5/hold_seconds: 0.6/' {CONFIG}")
    machine.shell(f"systemctl reload {UNIT}")
    seconds = until(lambda: json.loads(machine.shell(info))["config_hash"] != before["config_hash"], 30.0, "the swap")
    until(lambda: machine.property(UNIT, "ActiveState") == "active", 30.0, "active")
    check(
        "reload", machine.property(UNIT, "MainPID") == process, f"the same process, {seconds:.1f} s after the command"
    )
    machine.shell(f"sed -i 's/hold_seconds/hold_secs/' {CONFIG}")
    code, _ = machine.run("systemctl", "reload", UNIT)
    told = machine.shell(f"journalctl -u {UNIT} -o cat --no-pager | grep hold_secs | tail -1")
    is_on = (machine.property(UNIT, "ActiveState"), machine.property(UNIT, "MainPID")) == ("active", process)
    check("a bad configuration is refused", code != 0 and "did you mean" in told and is_on, told)
    write(machine, CONFIG, good + "\n")


def bad_starts(machine: Booted) -> None:
    """A bad configuration at a start: the last good one watches; without one 78, and no restart."""
    machine.shell(f"systemctl stop {UNIT}; cp {CONFIG} /etc/good.yaml; sed -i s/site:/sight:/ {CONFIG}")
    machine.shell(f"systemctl start {UNIT}")
    told = machine.property(UNIT, "StatusText")
    check("a start with a bad configuration", "last good configuration" in told, told)
    machine.shell(f"systemctl stop {UNIT}; rm /var/lib/prednet-edge/last_good.yaml")
    code, _ = machine.run("systemctl", "start", UNIT)
    time.sleep(5.0)
    seen = {name: machine.property(UNIT, name) for name in ("ActiveState", "ExecMainStatus", "NRestarts")}
    check("the very first start", code != 0 and list(seen.values()) == ["failed", "78", "0"], seen)
    machine.shell(f"cp /etc/good.yaml {CONFIG}; systemctl reset-failed {UNIT}; systemctl start {UNIT}")


def credentials(machine: Booted) -> None:
    """A broker with a login: the password is a credential that root alone can read on disk."""
    machine.shell("touch /etc/users; mosquitto_passwd -b /etc/users edge s3cret; systemctl stop broker")
    write(machine, "/etc/broker.conf", "listener 1883 127.0.0.1\nallow_anonymous false\npassword_file /etc/users\n")
    machine.shell("chmod 644 /etc/users; systemd-run --quiet --unit=broker2 mosquitto -c /etc/broker.conf")
    machine.shell(f"sed -i 's/^mqtt:/mqtt:\\n  username: edge/' {CONFIG}")
    write(machine, "/etc/prednet-edge/credentials/mqtt_password", "s3cret\n")
    told = machine.shell(f"{PROGRAM} install-service")
    sub = f"mosquitto_sub -u edge -P s3cret -t '{TOPICS}/status' -C 1 -W 20"
    until(lambda: "online" in machine.run("sh", "-c", sub)[1], 40.0, "the login by credential")
    mode = machine.shell("stat -c '%U %a' /etc/prednet-edge/credentials")
    check("a credential", "mqtt_password" in told, f"the broker took it; its folder is {mode}")


def engine(machine: Booted) -> None:
    """Skipped where there is no GPU; where it is made to run, it says so, at the lowest priority."""
    machine.shell(f"systemctl start {ENGINE}")
    seen = machine.property(ENGINE, "ConditionResult")
    check("engine build without a GPU", seen == "no", "skipped by its condition")
    folder = f"/etc/systemd/system/{ENGINE}.d"
    machine.shell(f"mkdir -p {folder}")
    write(machine, f"{folder}/any.conf", "[Unit]\nConditionPathExists=\n")
    machine.shell("systemctl daemon-reload")
    machine.run("systemctl", "start", ENGINE, seconds=600.0)
    names = ("ExecMainStatus", "Nice", "CPUWeight", "IOSchedulingClass")
    seen_all = [machine.property(ENGINE, name) for name in names]
    told = machine.shell(f"journalctl -u {ENGINE} -o cat --no-pager | grep 'prednet-edge engine' | tail -1")
    check(
        "engine build made to run",
        seen_all == ["3", "19", "10", "3"],
        f"{dict(zip(names, seen_all, strict=True))}; {told}",
    )
    machine.shell(f"rm -r {folder}; systemctl daemon-reload")


def stop(machine: Booted) -> None:
    """Stop within an event, with the broker and without it."""
    sub = f"mosquitto_sub -u edge -P s3cret -t '{TOPICS}/cam/camera1/anomaly' -W 200 | grep -m1 ON"
    machine.shell(sub, 210.0)
    for how, before in (("within an event", "true"), ("with the broker gone", "systemctl stop broker2; sleep 2")):
        machine.shell(before)
        began = time.monotonic()
        machine.shell(f"systemctl stop {UNIT}")
        seconds, result = time.monotonic() - began, machine.property(UNIT, "Result")
        check(f"stop {how}", seconds < 10.0 and result == "success", f"{seconds:.1f} s, {result}")
        machine.shell(f"systemctl start {UNIT}")


def upgrade_and_remove(machine: Booted) -> None:
    """Both leave configuration and events as they were."""
    events = "find /var/lib/prednet-edge/evidence -name event.json | sort"
    kept = f"sha256sum {CONFIG} /etc/prednet-edge/credentials/*; {events}"
    before = machine.shell(kept)
    machine.shell(f"{PIP} {WHEEL}")
    machine.shell(f"{PROGRAM} install-service")
    is_on = machine.property(UNIT, "ActiveState") == "active"
    check(
        "an upgrade", machine.shell(kept) == before and is_on, f"{before.count('event.json')} events of the disk kept"
    )
    told = machine.shell(f"{PROGRAM} uninstall-service")
    left = machine.shell("find /etc/systemd /etc/sysusers.d /etc/tmpfiles.d -name '*prednet*'; id -un prednet-edge")
    check("a removal", machine.shell(kept) == before and left == "prednet-edge", f"{told.splitlines()[-1]} ({left})")
    machine.shell(f"{PROGRAM} install-service")
    outbox = machine.shell("ls /var/lib/prednet-edge")
    check(
        "installed again",
        machine.property(UNIT, "ActiveState") == "active" and machine.shell(kept) == before,
        outbox.replace("\n", " "),
    )


if __name__ == "__main__":
    sys.exit(main())
