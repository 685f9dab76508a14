"""The gate, ``.ci/gate.py``, with commands that take no time."""

from __future__ import annotations

import importlib.util
import re
import shlex
import signal
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import ModuleType

ROOT = Path(__file__).parents[2]
PASSED = "===== 7 passed, 1 skipped in 1.50s ====="


@pytest.fixture
def gate(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> ModuleType:
    """The module, with its logs in a temporary folder."""
    specification = importlib.util.spec_from_file_location("gate", ROOT / ".ci" / "gate.py")
    assert specification is not None
    assert specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    monkeypatch.setitem(sys.modules, "gate", module)  # dataclasses look the module up
    specification.loader.exec_module(module)
    monkeypatch.setattr(module, "LOGS", tmp_path / "logs")
    monkeypatch.setattr(module.signal, "signal", lambda *_: None)
    return module


@pytest.fixture
def run(gate: ModuleType, capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str]]:
    """Run a gate with lanes of shell commands by name; return the exit code and the output."""

    def run_gate(*lanes: dict[str, str], first: str = "true") -> tuple[int, str]:
        def check(name: str, command: str) -> Any:
            return gate.Check(name, ["sh", "-c", command])

        started = gate.Gate([check("install", first)], [[check(*each) for each in lane.items()] for lane in lanes])
        code = started.run()
        return code, capsys.readouterr().out

    return run_gate


def test_the_last_line_adds_up_the_tests_of_all_checks(run: Callable[..., tuple[int, str]]) -> None:
    code, output = run({"unit": f"echo '{PASSED}'"}, {"lint": "echo clean", "browser": f"echo '{PASSED}'"})
    assert code == 0
    assert re.fullmatch(r"=+ 14 passed, 2 skipped in \d+\.\d\ds \(0:00:\d\d\) =+", output.splitlines()[-1])


def test_a_failed_check_fails_the_gate_is_named_and_stops_no_other_check(run: Callable[..., tuple[int, str]]) -> None:
    code, output = run({"unit": "echo '=== 1 failed, 2 passed in 1.00s ==='; exit 2", "lint": f"echo '{PASSED}'"})
    assert code == 1
    assert "FAILED: unit\n" in output
    assert re.search(r"^unit +\d+ +\d+  FAILED with exit code 2 \(1 failed, 2 passed\)$", output, re.MULTILINE)
    assert re.match(r"=+ 1 failed, 9 passed, 1 skipped in ", output.splitlines()[-1])


def test_nothing_else_runs_after_a_failed_installation(run: Callable[..., tuple[int, str]]) -> None:
    code, output = run({"unit": "echo it ran"}, first="exit 1")
    assert code == 1
    assert "it ran" not in output
    assert "FAILED: install" in output


def test_the_output_of_checks_that_run_side_by_side_is_not_mixed(run: Callable[..., tuple[int, str]]) -> None:
    lines = "for i in 1 2 3; do echo {}; sleep 0.05; done"
    _, output = run({"one": lines.format("from-one")}, {"two": lines.format("from-two")})
    assert "from-one\n" * 3 in output
    assert "from-two\n" * 3 in output


def test_a_missing_interpreter_is_reported_but_does_not_fail_the_gate(run: Callable[..., tuple[int, str]]) -> None:
    said = "nox > Session tests-3.12 skipped: Python interpreter 3.12 not found."
    code, output = run({"make test on Python 3.12": f"echo '{said}'"})
    assert code == 0
    assert "NOT RUN: make test on Python 3.12. Install these versions of Python to run them." in output


def test_the_plan_runs_every_suite_and_every_distributed_test_once(gate: ModuleType) -> None:
    commands = [check.command for check in gate.plan().checks]
    targets = {command[1] for command in commands if command[0] == "make"}
    assert targets == {
        *("install", "test", "test-python", "test-oldest", "test-servers", "test-browser", "test-distributed"),
        *("simulate", "lint", "docs"),
    }
    assert [".ci/demo"] in commands
    parts = [
        shlex.split(command[2].removeprefix("TESTS=")) for command in commands if command[1:2] == ["test-distributed"]
    ]
    assert sorted(parts) == sorted(
        [gate.FIRST_PART, ["tests/distributed", *(f"--ignore={path}" for path in gate.FIRST_PART)]]
    )
    assert all((ROOT / path).exists() for path in gate.FIRST_PART)


@pytest.mark.parametrize(
    ("own", "others"),
    [
        ("3.11", ["unit tests on Python 3.12", "most tests on Python 3.13"]),
        ("3.12", ["make test on Python 3.11", "most tests on Python 3.13"]),
        ("3.13", ["make test on Python 3.11", "unit tests on Python 3.12"]),
    ],
)
def test_most_tests_run_on_the_oldest_and_the_newest_python(
    gate: ModuleType, monkeypatch: pytest.MonkeyPatch, own: str, others: list[str]
) -> None:
    monkeypatch.setattr(gate, "own_python", lambda: own)
    checks = [check for check in gate.plan().checks if "test-python" in check.command]
    assert [check.name for check in checks] == others
    tests = {"unit": ["TESTS=tests/unit"], "most": [f"TESTS={gate.MOST_TESTS}"], "make": []}
    assert [check.command[3:] for check in checks] == [tests[check.name.split()[0]] for check in checks]
    assert all((ROOT / path).is_dir() for path in gate.FAULTS)


def test_an_interrupted_gate_stops_its_checks_and_what_they_started(tmp_path: Path) -> None:
    program = f"""
        import importlib.util, sys
        from pathlib import Path

        specification = importlib.util.spec_from_file_location("gate", {str(ROOT / ".ci" / "gate.py")!r})
        gate = sys.modules["gate"] = importlib.util.module_from_spec(specification)
        specification.loader.exec_module(gate)
        gate.LOGS, gate.GRACE = Path({str(tmp_path)!r}), 0.5
        # The second process ignores SIGINT and has left the session of the check.
        stubborn = "trap '' INT; setsid sleep 300 & echo $! > {tmp_path}/pid; echo started; wait; sleep 300"
        sys.exit(gate.Gate([], [[gate.Check("stubborn", ["sh", "-c", stubborn])]]).run())
    """
    process = subprocess.Popen([sys.executable, "-c", textwrap.dedent(program)], stdout=subprocess.PIPE, text=True)
    try:
        while not (tmp_path / "stubborn.log").exists() or "started" not in (tmp_path / "stubborn.log").read_text():
            assert process.poll() is None
        process.send_signal(signal.SIGTERM)
        output, _ = process.communicate(timeout=100)
    finally:
        process.kill()
        process.communicate()
    assert process.returncode == 1
    assert "The gate was interrupted by SIGTERM." in output
    assert "FAILED: stubborn" in output
    child = Path(f"/proc/{(tmp_path / 'pid').read_text().strip()}/stat")
    assert not child.exists() or child.read_text().rpartition(")")[2].split()[0] == "Z"
