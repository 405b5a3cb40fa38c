"""How a YAML file becomes values that know their lines: the environment, scalar types, lines, and what is refused."""

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from test_config_world import FRAMEWORK, SOURCES, changed, messages, write

from milestones_dagster.config.document import Document, read_document
from milestones_dagster.config.loader import check_config, load_config
from milestones_dagster.config.problems import closest


def read(folder: Path, text: str, **environ: str) -> Document:
    (folder / "a.yaml").write_text(text, encoding="utf-8")
    return read_document(folder, "a.yaml", environ)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("${NAME}", "rows"),
        ("${NAME}/x", "rows/x"),
        ("${NONE:-other}/x", "other/x"),
        ("${NONE:-}", None),
        ("${EMPTY:-other}", "other"),
        ("${NUMBER}", 4),
        ("'${NUMBER}'", "4"),
        ("${NUMBER}4", 44),
        ("${YES}", True),
        ("$${NAME}", "${NAME}"),
        ("'$NAME {NAME}'", "$NAME {NAME}"),
    ],
)
def test_environment(tmp_path: Path, text: str, value: object) -> None:
    document = read(tmp_path, f"a: {text}", NAME="rows", EMPTY="", NUMBER="4", YES="true")
    assert (document.data, document.problems) == ({"a": value}, [])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "a:\n  - ${NONE}",
            (
                "a.yaml:2 a[0]: found ${NONE}, an environment variable that is not set, expected NONE in the "
                "environment, or a default: ${NONE:-…}"
            ),
        ),
        (
            "a: ${EMPTY}",
            (
                "a.yaml:1 a: found ${EMPTY}, an environment variable that is empty, expected EMPTY in the "
                "environment, or a default: ${EMPTY:-…}"
            ),
        ),
        (
            "a: ${1}",
            "a.yaml:1 a: found ${ without a name, expected ${NAME}, ${NAME:-default}, or $${ for the text ${",
        ),
        (
            "a: {b: ${NAME}/x}",
            ('a.yaml:1: found ${…} without quotes between brackets, expected quotes around it: {path: "${NAME}/file.csv"}'),
        ),
        ("a: !!binary aGk=", "a.yaml:1 a: found the tag tag:yaml.org,2002:binary, expected a value without a tag"),
        ("? [a, b]\n: 1", "a.yaml:1: found a list or mapping as a key, expected text as a key"),
        ("a: *b", "a.yaml:1: found an undefined alias 'b', expected an alias whose anchor stands above it"),
        (
            "a: &b [*b]",
            "a.yaml: found aliases that repeat themselves, expected a file without circular or swelling aliases",
        ),
        ("a: 1\nb: \x07", "a.yaml:2: found a character that cannot be printed, expected YAML text"),
        ("just text", "a.yaml:1: found 'just text', expected keys and their values"),
    ],
)
def test_refused_while_reading(tmp_path: Path, text: str, message: str) -> None:
    assert [str(problem) for problem in read(tmp_path, text, EMPTY="").problems] == [message]


def test_text_that_is_not_utf_8(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_bytes("a: é".encode("latin-1"))
    assert [str(problem) for problem in read_document(tmp_path, "a.yaml", {}).problems] == [
        "a.yaml: found bytes that are not UTF-8, expected a file saved as UTF-8"
    ]


def test_a_secret_from_the_environment_is_never_shown(tmp_path: Path) -> None:
    folder = write(tmp_path, alerts='dagster_url: ${TOKEN}\naddresses: ["${TOKEN}"]', warehouse="threads: ${TOKEN}")
    environ = {"TOKEN": "hunter2"}
    told = messages(folder, **environ)
    assert told == [
        "alerts.yaml:1 dagster_url: found '${TOKEN}', expected a web address, such as http://localhost:3000",
        (
            "alerts.yaml:2 addresses[0]: found something else, expected `log`, or an apprise address, such as "
            "mailto://… or slack://…"
        ),
        "warehouse.yaml:1 threads: found '${TOKEN}', expected a whole number from 1 to 1024",
    ]


def test_an_unset_variable_is_told_once(tmp_path: Path) -> None:
    assert messages(write(tmp_path, warehouse="threads: ${CORES}")) == [
        (
            "warehouse.yaml:1 threads: found ${CORES}, an environment variable that is not set, expected CORES in the "
            "environment, or a default: ${CORES:-…}"
        )
    ]


def test_scalars_are_those_of_yaml_1_2(tmp_path: Path) -> None:
    text = "a: [on, no, 12:30, 2024-01-01, 010, 1e3, 1.5, .5, -3, true, null, '', 0x1F, 1_000]"
    assert read(tmp_path, text).data == {
        "a": ["on", "no", "12:30", "2024-01-01", 10, 1000.0, 1.5, 0.5, -3, True, None, "", "0x1F", "1_000"]
    }


def test_lines_of_keys_and_items(tmp_path: Path) -> None:
    document = read(tmp_path, "# comment\na:\n  - b: 1\n    c: [x,\n      y]\n  -\n    b: 2\nd: |\n  e\n  f\ng: 1\n")
    assert document.lines == {
        ("a",): 2,
        ("a", 0): 3,
        ("a", 0, "b"): 3,
        ("a", 0, "c"): 4,
        ("a", 0, "c", 0): 4,
        ("a", 0, "c", 1): 5,
        ("a", 1): 7,
        ("a", 1, "b"): 7,
        ("d",): 8,
        ("g",): 11,
    }
    assert document.line(("a", 0, "absent")) == 3


def test_an_alias_repeats_its_value(tmp_path: Path) -> None:
    assert read(tmp_path, "a: &b [x]\nc: *b").data == {"a": ["x"], "c": ["x"]}


def test_an_empty_file_means_the_defaults(tmp_path: Path) -> None:
    config = load_config(write(tmp_path, warehouse="# nothing yet\n", alerts=""), {})
    assert (config.warehouse.lock_timeout.seconds, config.alerts.addresses) == (900, ("log",))


def test_closest_names() -> None:
    known = ["note_saved", "note_shared", "Login"]
    assert closest("note_save", known) == ("note_saved", "note_shared")
    assert closest("LOGIN", known) == ("Login",)
    assert closest("xyz", known) == ()


ODD = st.sampled_from(
    [
        "",
        "null",
        "3",
        "-1",
        "1e400",
        "[]",
        "{}",
        "[[]]",
        "[{}]",
        "{a: 1}",
        "true",
        "'*'",
        "${X}",
        "? [a]",
        "&a [*a]",
        "!x y",
    ]
)


@settings(max_examples=150, deadline=None)
@given(file=st.sampled_from(["framework", "sources"]), place=st.integers(0, 10_000), odd=ODD, data=st.data())
def test_no_odd_value_anywhere_raises_anything_but_problems(
    tmp_path_factory: pytest.TempPathFactory, file: str, place: int, odd: str, data: st.DataObject
) -> None:
    text = {"framework": FRAMEWORK, "sources": SOURCES}[file]
    starts = [index + 2 for index in range(len(text)) if text.startswith((": ", ", "), index)]
    start = starts[place % len(starts)]
    end = data.draw(st.integers(start, min(len(text), start + 12)))
    folder = write(tmp_path_factory.mktemp("odd"), **{file: text[:start] + odd + text[end:]})
    for problem in check_config(folder, {}):
        assert str(problem)


def test_extra_feeds_and_paths(tmp_path: Path) -> None:
    folder = write(tmp_path, sources=changed(SOURCES, "events/*.csv", "${DATA}/events/*.csv.gz"))
    config = load_config(folder, {"DATA": "../rows"})
    feed = config.sources.events[0]
    assert (feed.path, feed.file_format) == ("../rows/events/*.csv.gz", "csv")
    assert config.locate(feed.path) == f"{folder.resolve()}/../rows/events/*.csv.gz"
