"""What a rule found, and the verdict from its counts.

Put here pure judgement: counts, bound and verdict, for the whole or by group, and the comparison of a declared shape
with a found one. Keep out asking the warehouse or great-expectations (`audit.py`).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from milestones_dagster.quality.queries import SAMPLE_SIZE
from milestones_dagster.quality.suites import Rule


@dataclass(frozen=True)
class RuleResult:
    """What a rule found.

    `share` is unexpected / total, None when there was nothing to look at; a rule passes when share ≤ bound. A rule
    about the whole table counts 0 or 1 of 1, and `observed` is the number it looked at. `sample_keys` holds key
    columns alone, as text; for `shape`, the columns that differ. `groups` are all failing groups of a rule with
    `group_by`; where it has a `total` too, its parts, whether it passes or not. An errored rule has not passed and has
    counted nothing.
    """

    rule: Rule
    passed: bool
    errored: str | None
    unexpected_count: int
    total_count: int
    share: float | None
    bound: float
    sample_keys: list[dict[str, str]] = field(default_factory=list)
    sample_truncated: bool = False
    groups: list[dict[str, Any]] = field(default_factory=list)
    observed: float | None = None


def errored(rule: Rule, line: str) -> RuleResult:
    """Return the result of a rule that could not be evaluated."""
    return RuleResult(rule, passed=False, errored=line, unexpected_count=0, total_count=0, share=None, bound=rule.bound)


def judged(rule: Rule, unexpected: int, total: int) -> RuleResult:
    """Return the result of a rule from its counts; a share equal to the bound passes.

    The division of two counts is rounded once, as the bound was when it was read, so 3 of 10 equals 0.3. The `mostly`
    of great-expectations would be 1 - bound, which is not.
    """
    share = unexpected / total if total else None
    passed = unexpected == 0 if share is None else share <= rule.bound
    return RuleResult(rule, passed, None, unexpected, total, share, rule.bound)


def judged_by_group(
    rule: Rule,
    keys: Sequence[object],
    unexpected_counts: Sequence[int | None],
    total_counts: Sequence[int | None],
) -> RuleResult:
    """Return the result of a rule with `group_by`: it passes when every group does.

    The counts are the sums over all groups; `groups` holds every failing one, `sample_keys` the first of them. The
    three sequences have one element per group, in the groups' order.
    """
    column = rule.group_by or ""
    failing: list[dict[str, Any]] = []
    unexpected_sum = total_sum = 0
    for key, unexpected, total in zip(keys, unexpected_counts, total_counts, strict=True):
        if unexpected is None or total is None:
            return errored(rule, f"the query gives NULL for unexpected_count or total_count where {column} is {key}")
        group = judged(rule, int(unexpected), int(total))
        unexpected_sum += group.unexpected_count
        total_sum += group.total_count
        if not group.passed:
            counts = {"unexpected_count": group.unexpected_count, "total_count": group.total_count}
            failing.append({column: as_text(key), **counts, "share": group.share})
    return replace(
        judged(rule, unexpected_sum, total_sum),
        passed=not failing,
        groups=failing,
        sample_keys=[{column: group[column]} for group in failing[:SAMPLE_SIZE]],
        sample_truncated=len(failing) > SAMPLE_SIZE,
    )


def judged_by_part(rule: Rule, keys: Sequence[object], unexpected_counts: Sequence[int | None], total: int) -> RuleResult:
    """Return the result of a rule with `group_by` and `total`: its groups are the parts of one whole, which is judged.

    The count is the sum over the parts, the total is counted once. `groups` holds every part with its own count and its
    share of the total, `sample_keys` the first of them. The two sequences have one element per part, in their order.
    """
    column = rule.group_by or ""
    counts: dict[str, int] = {}
    for key, unexpected in zip(keys, unexpected_counts, strict=True):
        if unexpected is None:
            return errored(rule, f"the query gives NULL for unexpected_count where {column} is {key}")
        if unexpected:
            counts[as_text(key)] = int(unexpected)
    return replace(
        judged(rule, sum(counts.values()), total),
        groups=[
            {column: key, "unexpected_count": count, "total_count": total, "share": count / total if total else None}
            for key, count in counts.items()
        ],
        sample_keys=[{column: key} for key in list(counts)[:SAMPLE_SIZE]],
        sample_truncated=len(counts) > SAMPLE_SIZE,
    )


def judged_shape(rule: Rule, declared: Sequence[tuple[str, str]], found: Sequence[tuple[str, str]]) -> RuleResult:
    """Return the result of `shape`: the columns that are missing, not declared, of another type or in another place.

    Args:
        rule: the rule.
        declared: name and DuckDB type of every declared column, in order.
        found: the same of the relation.
    """
    declared_types, found_types = dict(declared), dict(found)
    # the place among the columns that both have: one missing column is one difference, not a shift of all that follow
    declared_order = [name for name, _ in declared if name in found_types]
    found_order = [name for name, _ in found if name in declared_types]
    moved = {name for name, other in zip(declared_order, found_order, strict=True) if name != other}
    names = list(dict.fromkeys([*declared_types, *found_types]))
    differences = [
        {
            "column": name,
            "declared": _in_words(name, declared_types, declared_order, moved),
            "found": _in_words(name, found_types, found_order, moved),
        }
        for name in names
        if declared_types.get(name) != found_types.get(name) or name in moved
    ]
    return replace(
        judged(rule, len(differences), len(names)),
        sample_keys=differences[:SAMPLE_SIZE],
        sample_truncated=len(differences) > SAMPLE_SIZE,
    )


def as_text(value: object) -> str:
    """Return a key's value as a sample shows it."""
    return "NULL" if value is None else str(value)


def _in_words(name: str, types: Mapping[str, str], order: Sequence[str], moved: set[str]) -> str:
    if name not in types:
        return "absent"
    return f"{types[name]}, place {order.index(name) + 1}" if name in moved else types[name]
