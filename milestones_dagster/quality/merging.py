"""Results of the same rules over several batches of rows, as one result per rule.

Put here the adding up of counts. Keep out judging one batch (`results.py`).
"""

from collections.abc import Iterable, Sequence
from dataclasses import replace

from milestones_dagster.quality.queries import SAMPLE_SIZE
from milestones_dagster.quality.results import RuleResult


def merged(batches: Iterable[Sequence[RuleResult]]) -> list[RuleResult]:
    """One result per rule, in the order of the first batch; a rule holds when it holds in every batch.

    Counts are added; a rule about a whole table counts the batches in which it failed.
    """
    together: dict[str, RuleResult] = {}
    for batch in batches:
        for result in batch:
            before = together.get(result.rule.name)
            together[result.rule.name] = result if before is None else _added(before, result)
    return list(together.values())


def _added(one: RuleResult, other: RuleResult) -> RuleResult:
    unexpected = one.unexpected_count + other.unexpected_count
    total = one.total_count + other.total_count
    keys = [*one.sample_keys, *(key for key in other.sample_keys if key not in one.sample_keys)]
    return replace(
        one,
        passed=one.passed and other.passed,
        errored=one.errored or other.errored,
        unexpected_count=unexpected,
        total_count=total,
        share=unexpected / total if total else None,
        sample_keys=keys[:SAMPLE_SIZE],
        sample_truncated=one.sample_truncated or other.sample_truncated or len(keys) > SAMPLE_SIZE,
        groups=[*one.groups, *other.groups],
    )
