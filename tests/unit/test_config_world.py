"""The small good config that the tests of bad ones change, and its own test.

Put here what several tests of the config share. Keep out bad configs.
"""

from pathlib import Path

from milestones_dagster.config.loader import check_config

FRAMEWORK = """\
product: Notes
plans: [{name: free}, {name: premium}]
core_events: [note_saved]
setup:
  steps:
    - name: first_note
      title: Write a note
      events: [note_saved]
    - name: second_author
      title: A second author
      events: [note_saved]
      distinct: users
      minimum_distinct: 2
activation: {title: Notes, events: [note_saved], threshold: 5}
usage: {title: Notes, events: [note_saved], threshold: 2}
maturity:
  mature_categories: 1
  categories:
    - name: writing
      title: Writing
      basic: {at_least: 1, of: [notes]}
      mature: {at_least: 2, of: [notes, sharing], minimum_days: 5}
features:
  catalogue:
    - {name: notes, title: Notes, category: writing, measure: count, events: [note_saved]}
    - {name: sharing, title: Sharing, category: writing, measure: days, events: [note_shared], plans: [premium]}
"""
SOURCES = """\
events:
  - name: app
    path: events/*.csv
    columns: {account_id: account, user_id: person, event: name, occurred_at: at}
accounts:
  path: accounts.csv
  columns: {account_id: account, created_at: made_at}
  attributes:
    industry: {column: industry, known_at: created}
    size: {column: size}
"""
TRACKING_PLAN = """\
events:
  - {name: note_saved, description: A note was saved., properties: {note_id: The note.}}
  - {name: note_shared, description: A note was shared.}
"""
FILES = {"framework.yaml": FRAMEWORK, "sources.yaml": SOURCES, "tracking_plan.yaml": TRACKING_PLAN}


def write(folder: Path, **changes: str) -> Path:
    """Write the good config with files replaced (`framework=`) or added; `quality__t` stands for quality/t."""
    files = FILES | {f"{name.replace('__', '/')}.yaml": text for name, text in changes.items()}
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return folder


def messages(folder: Path, **environ: str) -> list[str]:
    return [str(problem) for problem in check_config(folder, environ)]


def changed(text: str, old: str, new: str) -> str:
    assert old in text, f"the good config no longer holds {old!r}"
    return text.replace(old, new, 1)


def test_the_good_config_has_no_problem(tmp_path: Path) -> None:
    assert messages(write(tmp_path)) == []
