"""The guard must be able to fail: by its rule, and live, with one allocation or one system call more per read.

Run with `python3 -m pytest benchmarks`. The live tests count on the release gateway where it was built, otherwise on
nginx, which does the same work in equally exact numbers; without either they are skipped.
"""

import json
import runpy
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))

from measure import thresholds, workspace  # noqa: E402

RECORDED = {"plain": {"syscalls_1": 6.0, "syscalls_32": 4.11, "allocations": 0.0, "instructions": 4200}}


def verdicts(**changed):
    measured = {"plain": {**RECORDED["plain"], **changed}}
    return {f.metric: f.verdict for f in thresholds.compare(RECORDED, measured) if f.verdict != "held"}


def test_the_recorded_numbers_themselves_hold():
    assert verdicts() == {}


@pytest.mark.parametrize(
    "metric, value",
    [("syscalls_1", 7.0), ("syscalls_32", 5.11), ("allocations", 1.0), ("instructions", 4400)],
)
def test_one_more_of_anything_fails(metric, value):
    assert verdicts(**{metric: value}) == {metric: "rose"}


@pytest.mark.parametrize(
    "metric, value",
    [("syscalls_1", 6.04), ("syscalls_32", 4.27), ("allocations", 0.01), ("instructions", 4325)],
)
def test_chance_within_the_slack_does_not_fail(metric, value):
    assert verdicts(**{metric: value}) == {}


def test_an_allocation_in_every_twentieth_request_fails():
    assert verdicts(allocations=0.05) == {"allocations": "rose"}


def test_a_fall_does_not_fail_but_asks_to_be_recorded():
    measured = {"plain": {**RECORDED["plain"], "syscalls_1": 5.0}}
    (finding,) = [f for f in thresholds.compare(RECORDED, measured) if f.metric == "syscalls_1"]
    assert (finding.verdict, finding.fails) == ("fell", False)


def test_a_number_that_was_not_counted_or_never_recorded_fails():
    without = {"plain": {k: v for k, v in RECORDED["plain"].items() if k != "allocations"}}
    assert [f.metric for f in thresholds.compare(RECORDED, without) if f.fails] == ["allocations"]
    assert [f.metric for f in thresholds.compare(without, RECORDED) if f.fails] == ["allocations"]


def test_the_table_names_what_rose_and_both_numbers():
    measured = {"plain": {**RECORDED["plain"], "allocations": 2.0}}
    table = thresholds.describe(thresholds.compare(RECORDED, measured)).splitlines()
    (line,) = [line for line in table if "FAIL" in line]
    assert line.split() == ["plain", "allocations", "0.00", "0.02", "2.00", "FAIL:", "rose"]


def test_writing_what_was_counted_gives_it_back_rounded(tmp_path):
    file = tmp_path / "thresholds.json"
    thresholds.write(file, {"plain": {"syscalls_1": 6.0003, "allocations": -0.0001, "instructions": 4203.7}})
    assert thresholds.read(file) == {"plain": {"syscalls_1": 6.0, "allocations": 0.0, "instructions": 4200}}
    assert "-0" not in file.read_text()


def test_every_guarded_number_has_a_recorded_value():
    recorded = thresholds.read(HERE / "thresholds.json")
    # No import finds the guard, for want of .py.
    guarded = runpy.run_path(str(HERE / "guard"), run_name="guard")["GUARDED"]
    assert {case: sorted(values) for case, values in recorded.items()} == {
        case: sorted(metrics) for case, metrics in guarded.items()
    }


def stand_in():
    if workspace.GATEWAY.exists():
        return "gateway"
    if shutil.which("nginx") or Path("/usr/sbin/nginx").exists():
        return "nginx"
    return None


live = pytest.mark.skipif(stand_in() is None, reason="neither a release build of the gateway nor nginx is here")


def guard(metric, file, *options):
    command = [sys.executable, str(HERE / "guard"), "--no-build", "--peer", stand_in(), "--case", "plain"]
    ran = subprocess.run(
        [*command, "--metric", metric, "--thresholds", str(file), *options], capture_output=True, text=True
    )
    return ran.returncode, ran.stdout + ran.stderr


@live
@pytest.mark.parametrize(
    "metric, perturbation, per_request", [("allocations", "allocation", 2), ("syscalls_1", "syscall", 2)]
)
def test_the_guard_passes_twice_and_fails_when_each_read_costs_one_more(tmp_path, metric, perturbation, per_request):
    file = tmp_path / "thresholds.json"
    code, text = guard(metric, file, "--record")
    assert code == 0, text
    before = json.loads(file.read_text())["plain"][metric]

    code, text = guard(metric, file)
    assert code == 0, text

    code, text = guard(metric, file, "--perturb", perturbation)
    assert code == 1, text
    assert "FAIL: rose" in text

    # A request is read once and its answer once, so the shim costs exactly two: the counter is right, not just alarmed.
    code, text = guard(metric, file, "--perturb", perturbation, "--record")
    assert code == 0, text
    assert json.loads(file.read_text())["plain"][metric] == pytest.approx(before + per_request, abs=0.02)
