"""The rules of the measurement that need no process: reading foreign tables, ratios, the generated part of a page."""

import runpy
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent))

from measure import counting, gateway, keys, plot, report, results, rounds, tokens  # noqa: E402
from measure.measures import MEASURES  # noqa: E402

STRACE = """\
% time     seconds  usecs/call     calls    errors syscall
------ ----------- ----------- --------- --------- ----------------
 44.63    0.041271           5      8001           sendto
 37.04    0.034251           4      8010         4 recvfrom
 18.33    0.016950           4      4100           epoll_wait
------ ----------- ----------- --------- --------- ----------------
100.00    0.092472           4     20111         4 total
"""


def sample(cpu_us):
    return {"cpu_us": cpu_us, "per_second": 1000, "p50_us": 10, "p99_us": 20}


def test_the_table_of_strace_is_read_with_and_without_errors():
    assert counting.read_strace(STRACE) == {"sendto": 8001, "recvfrom": 8010, "epoll_wait": 4100}


def test_what_happens_once_falls_out_of_the_difference():
    first = counting.read_strace(STRACE)
    second = first + counting.Counter(sendto=8000, recvfrom=8000, epoll_wait=4000, brk=3)
    assert counting.per_request(first, second, 4000) == {"sendto": 2.0, "recvfrom": 2.0, "epoll_wait": 1.0}


def test_a_summary_without_a_table_ends_the_run():
    with pytest.raises(SystemExit):
        counting.read_strace("strace: attach: Operation not permitted\n")


def test_the_total_of_callgrind_is_read():
    assert counting.read_callgrind("version: 1\nevents: Ir\nfn=(1) main\n3 20\ntotals: 123456\n") == 123456


def test_a_ratio_is_the_median_of_the_rounds_own_ratios():
    # The machine became twice as slow in the third round; the ratios do not notice.
    table = [{"a": sample(8), "b": sample(10)}, {"a": sample(9), "b": sample(10)}, {"a": sample(17), "b": sample(20)}]
    assert str(rounds.ratio(table, "a", "b")) == "0.85 (0.80–0.90)"


def test_each_row_tells_the_ratio_to_the_subject_and_the_subject_has_none():
    table = [{"gateway": sample(8), "haproxy": sample(10)}, {"gateway": sample(9), "haproxy": sample(10)}]
    rows = list(report.rows(MEASURES["plain"], table, "gateway"))
    assert rows[0] == ["plain 100 B", "gateway", "8.50 (8.00–9.00)", "–", "1,000", "10", "20", ""]
    assert rows[1][-1] == "0.85 (0.80–0.90)"


def test_a_number_that_a_proxy_lacks_leaves_its_cell_and_the_ratio_empty():
    table = [{"gateway": {"syscalls_1": 6.0, "instructions": 100}, "envoy": {"syscalls_1": 9.0}}]
    rows = list(report.rows(MEASURES["count-plain"], table, "gateway"))
    assert rows[1] == ["plain 100 B", "envoy", "9.00", "–", "–", ""]


def test_results_of_two_machines_are_not_mixed(tmp_path, monkeypatch):
    monkeypatch.setattr(results, "DIRECTORY", tmp_path)
    table = [{"gateway": sample(8)}]
    results.keep("plain", table, ["CPU: A", "gateway: 1"])
    results.keep("blocked", table, ["CPU: A", "haproxy: 2"])
    tables, _, machine = results.kept(["plain", "blocked", "hs256"])
    assert (tables, machine) == ({"plain": table, "blocked": table}, ["CPU: A", "gateway: 1", "haproxy: 2"])
    results.keep("blocked", table, ["CPU: B", "haproxy: 2"])
    with pytest.raises(SystemExit):
        results.kept(["plain", "blocked"])


def test_tokens_that_take_turns_differ_and_are_made_once(tmp_path, monkeypatch):
    monkeypatch.setattr(keys, "DIRECTORY", tmp_path)
    file = tokens.headers("HS256", 3)
    lines = file.read_text().splitlines()
    assert len(set(lines)) == 3
    assert all(line.startswith("Authorization: Bearer ey") for line in lines)
    made = file.stat().st_mtime_ns
    assert tokens.headers("HS256", 3).stat().st_mtime_ns == made


def test_only_what_stands_between_the_markers_is_replaced():
    page = f"# Speed\n\n{report.BEGIN}\nold\n{report.END}\n\nafter\n"
    assert report.replace_block(page, "new") == f"# Speed\n\n{report.BEGIN}\n\nnew\n\n{report.END}\n\nafter\n"


@pytest.mark.parametrize("page", ["", report.BEGIN, f"{report.END}\n{report.BEGIN}", report.BEGIN * 2 + report.END])
def test_a_page_without_its_two_markers_is_left_alone(page):
    with pytest.raises(SystemExit):
        report.replace_block(page, "new")


def test_the_port_is_found_in_the_ready_line_and_not_in_half_of_it():
    line = '{"time":"2026-01-01T00:00:00Z","event":"gateway.ready","listeners":["127.0.0.1:40123"]}'
    assert gateway.ready_port('{"event":"gateway.starting"}\n' + line) == 40123
    assert gateway.ready_port(line[:-4]) is None


def test_the_plot_has_a_point_for_each_peer_right_of_the_line_when_it_needs_more():
    table = [{"gateway": sample(8), "haproxy": sample(16), "nginx": sample(4)}]
    svg = plot.draw({"plain": table, "idle": [{"gateway": {"per_connection": 1}}]}, MEASURES, "gateway")
    root = ElementTree.fromstring(svg)
    space = "{http://www.w3.org/2000/svg}"
    circles, squares = root.findall(f"{space}circle"), root.findall(f"{space}rect")
    (line,) = root.findall(f"{space}line[@class='one']")
    # The first of each is the legend's.
    assert [float(circle.get("cx")) > float(line.get("x1")) for circle in circles[1:]] == [True]
    assert [float(square.get("x")) < float(line.get("x1")) for square in squares[1:]] == [True]


def plain_verdict(table):
    """The rule is in `benchmarks/run`, which no import finds for want of .py."""
    run = runpy.run_path(str(Path(__file__).resolve().parent / "run"), run_name="run")
    return run["plain_verdict"]({"plain": table})


@pytest.mark.parametrize("gateway_cpu, code", [(10.0, 0), (10.1, 1)])
def test_assert_plain_fails_only_above_haproxys_cpu(gateway_cpu, code, capsys):
    table = [{"gateway": sample(gateway_cpu), "haproxy": sample(10)}]
    assert plain_verdict(table) == code
    assert ("ABOVE 1.0" in capsys.readouterr().out) == (code == 1)


def test_assert_plain_without_haproxy_cannot_say_anything():
    with pytest.raises(SystemExit) as ended:
        plain_verdict([{"gateway": sample(8)}])
    assert ended.value.code == 2
