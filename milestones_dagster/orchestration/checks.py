"""Asset checks: which checks a table declares, and how the results of its rules become evaluations.

Put here names, severities and metadata of checks. Keep out the rules themselves (`quality`) and the words of alerts (`alerts.py`).
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import dagster as dg

from milestones_dagster.orchestration.session import Declared
from milestones_dagster.quality.results import RuleResult
from milestones_dagster.quality.suites import Rule
from milestones_dagster.warehouse.table import Table

_GROUP_TITLES = {
    "shape": "Columns and types are as declared, and every file of the source is accepted",
    "keys": "Keys are present and unique",
    "rows": "Every day keeps within the bounds of the row rules",
    "columns_present": "Columns that may not be NULL are not",
}
_MOST_GROUPS = 20
_SHOWN_GROUPS = 3


def check_specs(declared: Declared, table: Table, key: dg.AssetKey) -> list[dg.AssetCheckSpec]:
    """The checks of a table, one per rule or named group of rules, in the order of the rules."""
    return [
        dg.AssetCheckSpec(
            name=check,
            asset=key,
            description=rules[0].title if len(rules) == 1 else _GROUP_TITLES.get(check, rules[0].title),
            blocking=any(rule.severity == "critical" for rule in rules),
        )
        for check, rules in _by_check(declared.rules(table.name)).items()
    ]


def check_results(
    declared: Declared,
    table: Table,
    key: dg.AssetKey,
    results: Sequence[RuleResult],
    recovery_prefix: str,
) -> Iterator[dg.AssetCheckResult]:
    """The evaluations of a table's rules; checks whose rules were not reached are left out.

    Args:
        declared: The company's tables and rules.
        table: The table.
        key: Its asset key.
        results: Results of its rules.
        recovery_prefix: Begins the recovery sentence of a failed blocking rule: what stands in the place of the refused rows.
    """
    blocks = downstream(declared, table.name)
    found = {result.rule.name: result for result in results}
    for check, rules in _by_check(declared.rules(table.name)).items():
        of_check = [found[rule.name] for rule in rules if rule.name in found]
        if not of_check:
            continue
        facts = [_facts(result, blocks, recovery_prefix) for result in of_check]
        failed = [result for result in of_check if not result.passed]
        is_error = any(result.rule.severity == "critical" for result in failed)
        metadata = facts[0] if len(rules) == 1 else _of_group(of_check, facts)
        yield dg.AssetCheckResult(
            passed=not failed,
            check_name=check,
            asset_key=key,
            severity=dg.AssetCheckSeverity.ERROR if is_error else dg.AssetCheckSeverity.WARN,
            description="; ".join(sentence(result) for result in failed) or None,
            metadata=_as_metadata(metadata),
        )


def downstream(declared: Declared, name: str) -> list[str]:
    """All tables that read the table `name`, directly or through others, in the order in which they are made."""
    reached = {name}
    for table in declared.tables.values():
        if reached & set(table.dependencies):
            reached.add(table.name)
    return [table for table in declared.tables if table in reached - {name}]


def _by_check(rules: Sequence[Rule]) -> dict[str, list[Rule]]:
    grouped: dict[str, list[Rule]] = {}
    for rule in rules:
        grouped.setdefault(rule.check, []).append(rule)
    return grouped


def _facts(result: RuleResult, blocks: Sequence[str], recovery_prefix: str) -> dict[str, Any]:
    is_blocking = not result.passed and result.rule.severity == "critical"
    facts: dict[str, Any] = {
        "rule": f"{result.rule.name}: {result.rule.title}",
        "passed": result.passed,
        "severity": result.rule.severity,
        "count": result.unexpected_count,
        "total": result.total_count,
        "bound": result.bound,
        "sample_keys": [dict(key) for key in result.sample_keys],
        "sample_truncated": result.sample_truncated,
        "recovery": f"{recovery_prefix}; {result.rule.recovery}" if is_blocking else result.rule.recovery,
        "blocks": list(blocks) if is_blocking else [],
    }
    if result.share is not None:
        facts["share"] = result.share
    if result.errored is not None:
        facts["errored"] = result.errored
    if result.groups:
        facts["groups"] = [{name: str(value) for name, value in group.items()} for group in result.groups[:_MOST_GROUPS]]
    return facts


def _of_group(results: Sequence[RuleResult], facts: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Metadata of a check that reports several rules: the failing ones first, and the numbers of the first failing one on top."""
    order = sorted(range(len(results)), key=lambda place: (results[place].passed, results[place].rule.severity != "critical"))
    first = dict(facts[order[0]])
    if all(result.passed for result in results):
        first["rule"] = f"{len(results)} rules hold"
    return {**first, "rules": [dict(facts[place]) for place in order]}


def _as_metadata(facts: Mapping[str, Any]) -> dict[str, Any]:
    return {
        name: dg.MetadataValue.json(value) if isinstance(value, list) else value
        for name, value in facts.items()
        if name not in {"passed", "severity"}
    }


def _groups(result: RuleResult) -> str:
    """The groups with their own counts: a rule that judges by group fails by group, one with a total by the whole."""
    by = result.rule.group_by or ""
    shown = [_group(by, group) for group in result.groups[:_SHOWN_GROUPS]]
    more = len(result.groups) - len(shown)
    if result.rule.total is not None:
        beyond = f"{_counts(result)}: "
    else:
        beyond = f"beyond the bound of {result.bound:.2%}: " if result.bound else ""
    return beyond + "; ".join(shown) + (f"; and {more:,} more" if more else "")


def _group(by: str, group: Mapping[str, Any]) -> str:
    unexpected, total = int(group["unexpected_count"]), int(group["total_count"])
    name = str(group[by])[:10] if by == "day" else str(group[by])
    return name if total <= 1 else f"{name} ({unexpected:,} of {total:,}, {unexpected / total:.2%})"


def sentence(result: RuleResult) -> str:
    """What failed and by how much, in one sentence."""
    title = result.rule.title
    if result.errored is not None:
        return f"{title}: could not be evaluated: {result.errored}"
    if result.groups:
        return f"{title}: {_groups(result)}"
    sample = "; ".join(", ".join(f"{name} {value}" for name, value in key.items()) for key in result.sample_keys[:2])
    return f"{title}: {_counts(result)}" + (f", such as {sample}" if sample else "")


def _counts(result: RuleResult) -> str:
    share = f" ({result.share:.2%}, bound {result.bound:.2%})" if result.share is not None else ""
    return f"{result.unexpected_count:,} of {result.total_count:,}{share}"
