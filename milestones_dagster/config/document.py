"""A YAML file as values that know their lines: reading, `${ENV}` interpolation, and what is refused while reading.

Put here what holds for any YAML file. Keep out what the keys mean. YAML 1.2's core types are read (`on`, `no` and
`12:30` are text, dates are text): a country NO or an event `off` must not become false without a word.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path as FilePath

import yaml

from milestones_dagster.config.problems import Path, Problem, Severity, closest, key_text, shown

_MAXIMUM_DEPTH = 40
_MAXIMUM_VALUES = 200_000
_VARIABLE = re.compile(r"\$\$\{|\$\{([A-Za-z_][A-Za-z0-9_]*)(?::-([^}]*))?\}|\$\{")
_PREFIX = "tag:yaml.org,2002:"


class _CoreLoader(yaml.SafeLoader):
    """PyYAML's safe loader with the scalar types of YAML 1.2."""

    yaml_implicit_resolvers: dict[str | None, list[tuple[str, re.Pattern[str]]]] = {}  # noqa: RUF012 (PyYAML's own form)


_CoreLoader.add_implicit_resolver(f"{_PREFIX}null", re.compile(r"^(?:~|null|Null|NULL|)$"), ["~", "n", "N", ""])
_CoreLoader.add_implicit_resolver(f"{_PREFIX}bool", re.compile(r"^(?:true|True|TRUE|false|False|FALSE)$"), list("tTfF"))
_CoreLoader.add_implicit_resolver(f"{_PREFIX}int", re.compile(r"^[-+]?[0-9]{1,18}$"), list("-+0123456789"))
_CoreLoader.add_implicit_resolver(
    f"{_PREFIX}float",
    re.compile(r"^[-+]?(?:\.[0-9]+|[0-9]+\.[0-9]*|[0-9]+(?=[eE]))(?:[eE][-+]?[0-9]+)?$"),
    list("-+.0123456789"),
)


@dataclass
class Document:
    """One YAML file.

    Attributes:
        file: its name relative to the config folder.
        data: its values, a mapping; empty when the file is empty.
        lines: line of every key and list item, by path.
        written: what the file says where a value came from the environment, by path; messages show it in place of the
            value, which may be a secret.
        environment: text that came from the environment, each with what the file says in its place, such as `${NAME}`.
        problems: what was wrong while reading.
        is_readable: whether `data` is what the file says; false after an error of syntax.
    """

    file: str
    data: dict[str, object] = field(default_factory=dict)
    lines: dict[Path, int] = field(default_factory=dict)
    written: dict[Path, str] = field(default_factory=dict)
    environment: dict[str, str] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    is_readable: bool = True

    def line(self, path: Path) -> int:
        """Return the line of the path, or of what is nearest above it."""
        while path and path not in self.lines:
            path = path[:-1]
        return self.lines.get(path, 1)

    def value(self, path: Path) -> object:
        """Return the value at the path; None where there is none."""
        node: object = self.data
        for part in path:
            if isinstance(node, dict):
                node = node.get(part)
            elif isinstance(node, list) and isinstance(part, int) and part < len(node):
                node = node[part]
            else:
                return None
        return node

    def each(self, pattern: str) -> Iterator[tuple[Path, object]]:
        """Yield every path and value that a pattern such as `setup.steps.*.name` matches.

        `*` is any item or key; a number is the item at that place, from 0.
        """
        yield from _matches((), self.data, tuple(pattern.split(".")))

    def texts(self, pattern: str) -> Iterator[tuple[Path, str]]:
        """Yield what `each` yields, text alone: what has another type is told of by the model."""
        for path, value in self.each(pattern):
            if isinstance(value, str):
                yield path, value

    def problem(
        self,
        path: Path,
        expected: str,
        *,
        found: str | None = None,
        known: tuple[str, ...] = (),
        severity: Severity = "error",
    ) -> Problem:
        """Return the problem at a path; found is by default its value, the closest of the known names are added."""
        value = self.value(path)
        return Problem(
            severity=severity,
            file=self.file,
            line=self.line(path),
            key=key_text(path),
            found=found if found is not None else shown(self.written.get(path, value)),
            expected=expected,
            closest=closest(value, known) if isinstance(value, str) else (),
        )


def _matches(path: Path, value: object, pattern: tuple[str, ...]) -> Iterator[tuple[Path, object]]:
    if not pattern:
        yield path, value
    elif pattern[0] == "*" and isinstance(value, list):
        for index, item in enumerate(value):
            yield from _matches((*path, index), item, pattern[1:])
    elif isinstance(value, list):
        if pattern[0].isdecimal() and int(pattern[0]) < len(value):
            yield from _matches((*path, int(pattern[0])), value[int(pattern[0])], pattern[1:])
    elif isinstance(value, dict):
        for key in list(value) if pattern[0] == "*" else [key for key in (pattern[0],) if key in value]:
            yield from _matches((*path, key), value[key], pattern[1:])


def read_document(folder: FilePath, file: str, environ: Mapping[str, str]) -> Document:
    """Return the YAML file as a document; what cannot be read is among its problems, never raised."""
    document = Document(file)
    try:
        text = (folder / file).read_text(encoding="utf-8-sig")
        loader = _CoreLoader(text)
        try:
            node = loader.get_single_node()
        finally:
            loader.dispose()
    except OSError as error:
        return _unreadable(document, 0, f"a file that cannot be opened ({error.strerror})", "a YAML file")
    except UnicodeDecodeError:
        return _unreadable(document, 0, "bytes that are not UTF-8", "a file saved as UTF-8")
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        return _unreadable(document, line, "a character that cannot be printed", "YAML text")
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        lines = text.splitlines()
        written = lines[mark.line] if mark and mark.line < len(lines) else ""
        return _unreadable(document, mark.line + 1 if mark else 0, *_syntax(error, written))
    if node is None or (isinstance(node, yaml.ScalarNode) and not node.value):
        return document
    if not isinstance(node, yaml.MappingNode):
        kind = "a list" if isinstance(node, yaml.SequenceNode) else shown(str(node.value))
        return _unreadable(document, node.start_mark.line + 1, kind, "keys and their values")
    try:
        data = _Builder(document, loader, environ).build(node, ())
    except _TooLargeError:
        return _unreadable(document, 0, "aliases that repeat themselves", "a file without circular or swelling aliases")
    document.data = data if isinstance(data, dict) else {}
    return document


def read_value(text: str) -> object:
    """Return what the text would be as a value in a file: 25 is a number, "25" and 2026-01-01 are text.

    Raises:
        ValueError: it is no YAML value.
    """
    document = Document("a value")
    try:
        loader = _CoreLoader(text)
        node = loader.get_single_node()
        value = _Builder(document, loader, {}).build(node, ()) if node is not None else None
    except (yaml.YAMLError, _TooLargeError) as error:
        raise ValueError(text) from error
    if document.problems:
        raise ValueError(text)
    return value


def _unreadable(document: Document, line: int, found: str, expected: str) -> Document:
    document.problems.append(Problem("error", document.file, line, "", found, expected))
    document.is_readable = False
    return document


def _syntax(error: yaml.MarkedYAMLError, written: str) -> tuple[str, str]:
    problem = error.problem or "text that is not YAML"
    if re.search(r"[{\[].*[^\"']\$\{", written):
        return "${…} without quotes between brackets", 'quotes around it: {path: "${NAME}/file.csv"}'
    if "\\t" in problem:
        return "a tab", "spaces before a key (YAML allows no tabs there)"
    if "mapping values are not allowed" in problem:
        return "a second `: ` on the line", "one key and its value; text with `: ` in it stands in quotes"
    if "single document" in (error.context or ""):
        return "a second document (`---`)", "one document"
    if "undefined alias" in problem:
        return problem.replace("found ", "an "), "an alias whose anchor stands above it"
    return f"text that is not YAML ({problem})", "YAML: check indentation, brackets and quotes at this line or above"


class _TooLargeError(Exception):
    """Aliases make the document endless or huge."""


class _Builder:
    """Turns nodes into values and notes lines, duplicates and the environment's part on the way."""

    def __init__(self, document: Document, loader: _CoreLoader, environ: Mapping[str, str]) -> None:
        self._document = document
        self._loader = loader
        self._environ = environ
        self._count = 0

    def build(self, node: yaml.Node, path: Path) -> object:
        """Return the value of the node at the path."""
        self._count += 1
        if self._count > _MAXIMUM_VALUES or len(path) > _MAXIMUM_DEPTH:
            raise _TooLargeError
        if isinstance(node, yaml.MappingNode):
            return self._mapping(node, path)
        if isinstance(node, yaml.SequenceNode):
            items: list[object] = []
            for index, item in enumerate(node.value):
                self._document.lines[(*path, index)] = item.start_mark.line + 1
                items.append(self.build(item, (*path, index)))
            return items
        return self._scalar(node, path) if isinstance(node, yaml.ScalarNode) else None

    def _mapping(self, node: yaml.MappingNode, path: Path) -> dict[str, object]:
        values: dict[str, object] = {}
        for key_node, value_node in node.value:
            line = key_node.start_mark.line + 1
            if not isinstance(key_node, yaml.ScalarNode):
                self._refuse(line, path, "a list or mapping as a key", "text as a key")
                continue
            key = str(key_node.value)
            here = (*path, key)
            if key in values:
                first = self._document.lines[here]
                self._refuse(line, here, f"the key again (first on line {first})", "each key once")
                continue
            self._document.lines[here] = line
            values[key] = self.build(value_node, here)
        return values

    def _scalar(self, node: yaml.ScalarNode, path: Path) -> object:
        text, tag = str(node.value), node.tag
        if "${" in text:
            filled = _VARIABLE.sub(lambda match: self._variable(match, path), text)
            if filled != text:
                self._document.written[path] = text
            # a plain ${THREADS} may be a number; what stands in quotes stays text
            if node.style is None and filled != text:
                tag = str(self._loader.resolve(yaml.ScalarNode, filled, (True, False)))  # type: ignore[no-untyped-call]
            text = filled
        return self._typed(text, tag, path)

    def _typed(self, text: str, tag: str, path: Path) -> object:
        match tag.removeprefix(_PREFIX):
            case "null":
                return None
            case "bool":
                return text.lower() == "true"
            case "int":
                return int(text)
            case "float":
                return float(text)
            case "str":
                return text
        self._refuse(self._document.line(path), path, f"the tag {tag}", "a value without a tag")
        return text

    def _variable(self, match: re.Match[str], path: Path) -> str:
        if match[0] == "$${":
            return "${"
        line = self._document.line(path)
        if match[1] is None:
            self._refuse(line, path, "${ without a name", "${NAME}, ${NAME:-default}, or $${ for the text ${")
            return match[0]
        value = self._environ.get(match[1], "")
        if value:
            self._document.environment[value] = f"${{{match[1]}}}"
            return value
        if match[2] is not None:
            return match[2]
        state = "empty" if match[1] in self._environ else "not set"
        self._refuse(
            line,
            path,
            f"${{{match[1]}}}, an environment variable that is {state}",
            f"{match[1]} in the environment, or a default: ${{{match[1]}:-…}}",
        )
        return match[0]

    def _refuse(self, line: int, path: Path, found: str, expected: str) -> None:
        self._document.problems.append(Problem("error", self._document.file, line, key_text(path), found, expected))
