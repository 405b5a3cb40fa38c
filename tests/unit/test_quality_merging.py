"""Results of several batches as one: counts, totals, parts, and the verdict on all of them."""

from dataclasses import replace

from quality_scenario import query

from milestones_dagster.quality.merging import merged
from milestones_dagster.quality.results import RuleResult, errored, judged, judged_by_group, judged_by_part

LATE = replace(
    query("SELECT lateness, unexpected_count FROM {batch}", total="SELECT count(*) FROM {batch}", group_by="lateness", bound=0.02),
    severity="warning",
)


def only(*results: RuleResult) -> RuleResult:
    (result,) = merged([result] for result in results)
    return result


def part(name: str, count: int, total: int) -> dict[str, object]:
    return {"lateness": name, "unexpected_count": count, "total_count": total, "share": count / total}


def test_parts_of_one_whole_are_added_by_name_and_the_total_once_for_each_batch() -> None:
    first = judged_by_part(LATE, ["1 day", "3 days"], [3, 1], 100)
    second = judged_by_part(LATE, ["1 day", "2 days"], [1, 2], 50)
    result = only(first, second)
    assert (result.passed, result.unexpected_count, result.total_count, result.share) == (False, 7, 150, 7 / 150)
    assert result.groups == [part("1 day", 4, 150), part("2 days", 2, 150), part("3 days", 1, 150)]
    assert result.sample_keys == [{"lateness": "1 day"}, {"lateness": "2 days"}, {"lateness": "3 days"}]
    assert result == only(second, first)


def test_a_warning_about_a_share_is_judged_once_over_all_batches() -> None:
    failing, passing = judged_by_part(LATE, ["1 day"], [3], 100), judged_by_part(LATE, [], [], 100)
    assert (failing.passed, passing.passed) == (False, True)
    assert only(failing, passing).passed
    # 5 of 205 is more than 2 %
    assert not only(failing, judged_by_part(LATE, ["1 day"], [2], 105)).passed
    plain = replace(LATE, group_by=None)
    assert only(judged(plain, 3, 100), judged(plain, 0, 100)).passed


def test_what_blocks_holds_only_where_it_holds_in_every_batch() -> None:
    blocking = replace(LATE, severity="critical")
    result = only(judged_by_part(blocking, ["1 day"], [3], 100), judged_by_part(blocking, [], [], 100))
    assert (result.passed, result.share) == (False, 3 / 200)


def test_groups_judged_by_themselves_are_told_from_every_batch() -> None:
    by_day = replace(LATE, total=None, group_by="day")
    result = only(judged_by_group(by_day, ["1", "2"], [3, 0], [10, 90]), judged_by_group(by_day, ["3"], [0], [900]))
    assert (result.passed, result.unexpected_count, result.total_count) == (False, 3, 1000)
    assert result.groups == [{"day": "1", "unexpected_count": 3, "total_count": 10, "share": 0.3}]


def test_a_batch_that_could_not_be_judged_fails_the_rule() -> None:
    result = only(judged_by_part(LATE, [], [], 100), errored(LATE, "no such column"))
    assert (result.passed, result.errored, result.total_count) == (False, "no such column", 100)
