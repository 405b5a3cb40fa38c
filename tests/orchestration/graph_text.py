"""The graph of a company as text, one block per asset: what `graph.txt` keeps.

Put here how definitions are written down. Keep out what they should be.

`graph.txt` is a snapshot of the small world's graph: whoever changes a table, a rule or a source sees there what it does to the
graph, reads the difference, and renews the file with `.venv/bin/python tests/orchestration/graph_text.py`.
"""

import sys
import tempfile
from pathlib import Path

import dagster as dg

SNAPSHOT = Path(__file__).with_name("graph.txt")


def graph_text(definitions: dg.Definitions) -> str:
    """All assets by name: group, kinds, what they read, their blocking and their warning checks."""
    graph = definitions.resolve_asset_graph()
    blocks = []
    for key in sorted(graph.get_all_asset_keys()):
        node = graph.get(key)
        checks = [graph.get_check_spec(check) for check in sorted(node.check_keys)]
        lines = [
            key.to_user_string(),
            f"  group: {node.group_name}",
            f"  kinds: {' '.join(sorted(node.kinds))}",
            f"  partitions: {'by day' if node.partitions_def is not None else 'none'}",
            f"  reads: {' '.join(sorted(parent.to_user_string() for parent in node.parent_keys)) or 'nothing'}",
            f"  blocking: {' '.join(check.name for check in checks if check.blocking) or 'none'}",
            f"  warning: {' '.join(check.name for check in checks if not check.blocking) or 'none'}",
        ]
        blocks.append("\n".join(lines))
    return "\n\n".join(blocks) + "\n"


def main() -> None:
    """Renews the snapshot."""
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
    from scenario import World

    from milestones_dagster.wiring import build_defs

    with tempfile.TemporaryDirectory() as folder:
        config = World(events=[], last_day="2025-01-05").write(Path(folder))
        SNAPSHOT.write_text(graph_text(build_defs(config)), encoding="utf-8")


if __name__ == "__main__":
    main()
