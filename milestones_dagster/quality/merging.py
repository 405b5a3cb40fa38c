"""Results of the same rules over several batches of rows, as one result per rule.

Put here the adding up of counts. Keep out judging one batch (`results.py`).
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace

from milestones_dagster.quality.queries import SAMPLE_SIZE
from milestones_dagster.quality.results import RuleResult, judged, judged_by_part


def merged(batches: Iterable[Sequence[RuleResult]]) -> list[RuleResult]:
    """One result per rule, in the order of the first batch.

    Counts are added; a rule about a whole table counts the batches in which it failed. A rule that blocks holds when it
    holds in every batch, for a batch that it refused is not published. A warning is about all rows: its share is judged
    once, over all batches, or else the size of a batch would decide; one that judges every group by itself holds when it
    holds in every batch.
    """
    together: dict[str, RuleResult] = {}
    for batch in batches:
        for result in batch:
            before = together.get(result.rule.name)
            together[result.rule.name] = result if before is None else _added(before, result)
    return list(together.values())


def _added(one: RuleResult, other: RuleResult) -> RuleResult:
    rule = one.rule
    unexpected = one.unexpected_count + other.unexpected_count
    total = one.total_count + other.total_count
    holds = one.passed and other.passed
    error = one.errored or other.errored
    if rule.group_by is not None and rule.total is not None:
        whole = _parts_added(one, other)
    else:
        keys = [*one.sample_keys, *(key for key in other.sample_keys if key not in one.sample_keys)]
        whole = replace(
            one,
            unexpected_count=unexpected,
            total_count=total,
            share=unexpected / total if total else None,
            sample_keys=keys[:SAMPLE_SIZE],
            sample_truncated=one.sample_truncated or other.sample_truncated or len(keys) > SAMPLE_SIZE,
            groups=[*one.groups, *other.groups],
        )
    is_one_share = rule.severity == "warning" and error is None and (rule.group_by is None or rule.total is not None)
    return replace(whole, passed=judged(rule, unexpected, total).passed if is_one_share else holds, errored=error)


def _parts_added(one: RuleResult, other: RuleResult) -> RuleResult:
    """The parts of both batches together, each once: their order is that of their names, as in one batch."""
    counts: Counter[str] = Counter()
    for group in (*one.groups, *other.groups):
        counts[group[one.rule.group_by or ""]] += group["unexpected_count"]
    names = sorted(counts)
    return judged_by_part(one.rule, names, [counts[name] for name in names], one.total_count + other.total_count)
