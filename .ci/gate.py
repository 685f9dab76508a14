"""Runs all checks of the gate, several at a time, and shows how long each took.

Some checks compute (unit tests, types, documentation), others mostly wait for a running Airflow. So there are several
lanes: the checks of a lane run one after another, and the lanes run side by side. Checks that compute have a low
priority, so that they do not slow down tests with time limits.

The output of a check is printed when it ends. The gate runs all checks, also after a failure.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

ROOT = Path(__file__).parents[1]
LOGS = ROOT / ".artifacts" / "gate"
#: Seconds after which an interrupted check is killed. Stopping a running Airflow takes some.
GRACE = 45
#: The last line of pytest, for example `==== 7 passed, 1 skipped in 1.23s ====`.
SUMMARY = re.compile(r"^=+ (\d+ \w+(?:, \d+ \w+)*) in [\d.]+s.*=$", re.MULTILINE)
#: What nox prints for an interpreter that is not installed.
NO_INTERPRETER = re.compile(r"interpreter \S+ not found", re.IGNORECASE)
NOT_INSTALLED = "NOT RUN, because this version of Python is not installed"

DISTRIBUTED = "tests/distributed"
#: The tests of the first part of `make test-distributed`; the second part runs all others.
FIRST_PART = [f"{DISTRIBUTED}/{name}" for name in ("celery", "test_cli.py", "test_leaks.py", "test_vendors.py")]

#: The tests that run on the newest version of Python.
FAULTS = [f"tests/integration/{name}" for name in ("concurrency", "extract_faults", "storage_s3")]
MOST_TESTS = " ".join(["tests/unit", "tests/integration", *(f"--ignore={path}" for path in FAULTS)])


@dataclass
class Check:
    """One command of the gate.

    :param name: its name in the output
    :param command: its argument list
    :param low_priority: whether other checks get the processors first
    """

    name: str
    command: list[str]
    low_priority: bool = False
    process: subprocess.Popen[bytes] | None = field(default=None, init=False)
    began: float = field(default=0.0, init=False)
    seconds: float = field(default=0.0, init=False)
    outcome: str = field(default="not run", init=False)
    counts: Counter[str] = field(default_factory=Counter, init=False)

    @property
    def log(self) -> Path:
        """The file with its output."""
        return LOGS / f"{re.sub('[^a-z0-9.]+', '-', self.name.lower()).strip('-')}.log"

    def run(self) -> None:
        """Run it to its end, and read the outcome."""
        command = ["nice", "-n", "10", *self.command] if self.low_priority else self.command
        self.began = time.monotonic()
        with self.log.open("wb") as output:
            # In a session of its own, so that Ctrl-C does not reach it before the gate.
            self.process = subprocess.Popen(  # noqa: S603
                command, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT,
                start_new_session=True,
            )  # fmt: skip
        code = self.process.wait()
        self.seconds = time.monotonic() - self.began
        output_text = self.log.read_text(errors="replace")
        for summary in SUMMARY.findall(output_text):
            for number, word in re.findall(r"(\d+) (\w+)", summary):
                self.counts["error" if word == "errors" else word] += int(number)
        if code:
            self.outcome = f"FAILED with exit code {code}"
        else:
            self.outcome = NOT_INSTALLED if NO_INTERPRETER.search(output_text) else "ok"

    @property
    def failed(self) -> bool:
        """Whether the gate fails because of it. An interpreter that is not installed is no failure."""
        return self.outcome not in ("ok", NOT_INSTALLED)


class Gate:
    """Runs lanes of checks side by side.

    :param first: the checks that run before all others
    :param lanes: the other checks
    """

    def __init__(self, first: list[Check], lanes: list[list[Check]]) -> None:
        self.first = first
        self.lanes = lanes
        self._lock = threading.Lock()
        self._interrupted = threading.Event()
        self._ended = threading.Event()
        self._began = time.monotonic()

    @property
    def checks(self) -> list[Check]:
        """All checks."""
        return [*self.first, *(check for lane in self.lanes for check in lane)]

    def run(self) -> int:
        """Run all checks, and return the exit code."""
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, self._interrupt)
        LOGS.mkdir(parents=True, exist_ok=True)
        self._run_lane(self.first)
        if not any(check.failed for check in self.first):
            threads = [threading.Thread(target=self._run_lane, args=(lane,)) for lane in self.lanes]
            for thread in threads:
                thread.start()
            for thread in threads:
                while thread.is_alive():
                    thread.join(0.5)  # not without a limit, so that signals are handled
        self._ended.set()
        self._print_table()
        return 1 if self._interrupted.is_set() or any(check.failed for check in self.checks) else 0

    def _run_lane(self, lane: list[Check]) -> None:
        for check in lane:
            if self._interrupted.is_set():
                return
            with self._lock:
                print(f"=== {check.name}: started ({self._elapsed()})", flush=True)
            check.run()
            self._print_output(check)

    def _print_output(self, check: Check) -> None:
        with self._lock:
            print(f"\n=== {check.name}: {check.outcome}, {check.seconds:.0f} s ({self._elapsed()})", flush=True)
            sys.stdout.buffer.write(check.log.read_bytes())
            print(f"=== {check.name}: end of the output\n", flush=True)

    def _print_table(self) -> None:
        """Print the seconds of each check, then the tests of all suites in the format of pytest's last line."""
        width = max(len(check.name) for check in self.checks)
        print(f"{'check':{width}}  {'from':>5}  {'for':>5}  outcome")
        total: Counter[str] = Counter()
        for check in self.checks:
            total += check.counts
            tests = ", ".join(f"{number} {word}" for word, number in check.counts.items())
            begun = max(0.0, check.began - self._began)
            print(f"{check.name:{width}}  {begun:5.0f}  {check.seconds:5.0f}  {check.outcome}{tests and f' ({tests})'}")
        missing = [check.name for check in self.checks if check.outcome == NOT_INSTALLED]
        failed = [check.name for check in self.checks if check.failed]
        if missing:
            print(f"NOT RUN: {', '.join(missing)}. Install these versions of Python to run them.")
        if failed:
            print(f"FAILED: {', '.join(failed)}")
        seconds = time.monotonic() - self._began
        words = sorted(total, key=lambda word: ("failed", "error", "passed", "skipped", word).index(word))
        tests = ", ".join(f"{total[word]} {word}" for word in words) or "no tests ran"
        line = f" {tests} in {seconds:.2f}s ({timedelta(seconds=int(seconds))}) "
        print(f"{line:=^80}", flush=True)

    def _elapsed(self) -> str:
        return f"{time.monotonic() - self._began:.0f} s after the start"

    def _interrupt(self, number: int, frame: object) -> None:
        """Interrupt all running checks like Ctrl-C, so that they stop what they started; kill what is left."""
        if self._interrupted.is_set():
            return
        self._interrupted.set()
        print(f"\nThe gate was interrupted by {signal.Signals(number).name}.", flush=True)
        threading.Thread(target=self._stop).start()

    def _stop(self) -> None:
        stopping: dict[int, set[tuple[int, str | None]]] = {}
        deadline = time.monotonic() + GRACE
        # In a loop, because a lane may be starting a check right now.
        while time.monotonic() < deadline and not self._ended.wait(0.1):
            for process in [check.process for check in self.checks if check.process]:
                if process.pid not in stopping and process.poll() is None:
                    stopping[process.pid] = descendants(process.pid)
                    with suppress(ProcessLookupError):
                        os.killpg(process.pid, signal.SIGINT)
        for pid, below in stopping.items():
            kill({(pid, dict(below)[pid])})  # first, so that it starts no other process
            kill(below | descendants(pid))


def kill(processes: set[tuple[int, str | None]]) -> None:
    """Kill processes, given by ID and start time, that have not ended."""
    for pid, started in processes:
        if started and start_time(pid) == started:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


def start_time(pid: int) -> str | None:
    """Return when a process started, in the kernel's unit; None if it has ended."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]
    except OSError:
        return None


def descendants(pid: int) -> set[tuple[int, str | None]]:
    """Return the IDs and the start times of a process and of all processes below it."""
    found = {(pid, start_time(pid))}
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        with suppress(OSError):
            for child in task.read_text().split():
                found |= descendants(int(child))
    return found


def supported_pythons() -> list[str]:
    """Return the supported versions of Python, the oldest first."""
    return re.findall(r'"Programming Language :: Python :: (3\.\d+)"', (ROOT / "pyproject.toml").read_text())


def own_python() -> str:
    """Return the version of Python in .venv, on which `make test` runs."""
    python = [os.environ.get("PYTHON", "python3"), "-c", "import sys; print('%d.%d' % sys.version_info[:2])"]
    return subprocess.run(python, capture_output=True, text=True, check=True).stdout.strip()  # noqa: S603


def plan() -> Gate:
    """Return the checks of the gate."""

    def make(target: str, *variables: str, name: str = "") -> Check:
        return Check(name or f"make {target}", ["make", target, *variables])

    supported, own = supported_pythons(), own_python()

    def on_python(version: str) -> Check:
        # All tests run on the oldest version of Python, and the unit tests on those in between. On the newest one, all
        # tests run except those of networks and storages that fail, which take long.
        if version == supported[0]:
            return make("test-python", f"VERSION={version}", name=f"make test on Python {version}")
        if version == supported[-1]:
            return make(
                "test-python", f"VERSION={version}", f"TESTS={MOST_TESTS}", name=f"most tests on Python {version}"
            )
        return make("test-python", f"VERSION={version}", "TESTS=tests/unit", name=f"unit tests on Python {version}")

    others = [DISTRIBUTED, *(f"--ignore={path}" for path in FIRST_PART)]
    part_1 = make("test-distributed", f"TESTS={' '.join(FIRST_PART)}", name="make test-distributed, part 1")
    part_2 = make("test-distributed", f"TESTS={' '.join(others)}", name="make test-distributed, part 2")
    demo = Check("make demo, twice", [".ci/demo"])
    computing = [
        [make("test"), make("lint"), make("docs"), make("test-oldest")],
        [on_python(each) for each in supported if each != own],
    ]
    computing[1].append(make("simulate"))
    for check in (*computing[0], *computing[1]):
        check.low_priority = True
    waiting = [[part_1], [part_2], [make("test-servers"), demo, make("test-browser")]]
    return Gate([make("install")], [*computing, *waiting])


if __name__ == "__main__":
    sys.exit(plan().run())
