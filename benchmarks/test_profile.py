"""The reader of callgrind's files, on a small file of its own."""

from measure import profile

# Two requests: work() costs 10 and is called once each, copy() costs 3 and is called twice each.
FILE = """\
events: Ir
ob=(1) /usr/bin/proxy
fn=(1) serve
12 {start}
13 {serve}
cob=(2) /usr/lib/libevent_core.so
cfn=(2) work
calls={once} 20
14 {work_inclusive}
ob=(2)
fn=(2)
20 {work}
cob=(1)
cfn=(3) copyFields
calls={twice} 30
21 {copy}
ob=(1)
fn=(3)
30 {copy}
totals: 0
"""


def run(requests):
    return profile.Profile(FILE.format(
        start=1_000, serve=5 * requests, once=requests, twice=2 * requests, work=10 * requests,
        work_inclusive=16 * requests, copy=6 * requests))


def test_what_happens_once_falls_out_and_the_rest_is_told_by_request():
    costs = profile.per_request(run(100), run(200), 100)
    assert costs.own == {"serve": 5, "work": 10, "copyFields": 6}
    assert costs.total() == 21
    assert costs.with_called("serve") == 21
    assert costs.with_called("work") == 16
    assert costs.called("copyFields") == 2


def test_a_table_begins_with_the_dearest_function():
    total, title, first, second, *_ = profile.table(profile.per_request(run(100), run(200), 100), 2)
    assert total.split()[0] == "21"
    assert (first.split()[-1], second.split()[-1]) == ("work", "copyFields")


def test_callers_are_told_by_what_is_spent_for_them():
    lines = list(profile.callers(profile.per_request(run(100), run(200), 100), "copyFields"))
    assert lines[1].split() == ["2.00", "6", "work", "->", "copyFields"]


def test_areas_are_told_by_names_and_by_libraries():
    lines = list(profile.areas(profile.per_request(run(100), run(200), 100)))
    told = [line.split(maxsplit=2)[::2] for line in lines[:3]]
    assert told == [["10", "libevent"], ["6", "writing heads"], ["5", "the rest"]]
    assert lines[-1].split()[0] == "21"
