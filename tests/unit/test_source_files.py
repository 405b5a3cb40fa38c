"""Finding files, describing them, and seeing whether their bytes are whole."""

import gzip
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path

import pyarrow as pa
import pytest

from milestones_dagster.config.sources import EventSource
from milestones_dagster.warehouse.source_files import (
    FileRefused,
    SourceNotFound,
    describe_file,
    discover,
    format_of_file,
    refuse_broken_bytes,
)

COLUMNS = {"account_id": "account_id", "event": "event", "occurred_at": "occurred_at"}


def source(path: str, **keys: object) -> EventSource:
    return EventSource.model_validate({"name": "product", "path": path, "columns": COLUMNS, **keys})


def touch(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("x", encoding="utf-8")


def test_a_file_named_by_itself_is_taken_whatever_its_name(tmp_path):
    touch(tmp_path, "_events.csv")
    assert discover(source("_events.csv"), tmp_path) == [tmp_path / "_events.csv"]
    assert discover(source(str(tmp_path / "_events.csv"))) == [tmp_path / "_events.csv"]


def test_a_path_is_read_from_the_config_folder_and_loses_its_dots(tmp_path):
    touch(tmp_path, "data/events.csv")
    (tmp_path / "config").mkdir()
    assert discover(source("../data/events.csv"), tmp_path / "config") == [tmp_path / "data" / "events.csv"]
    assert discover(source("../data/*.csv"), tmp_path / "config") == [tmp_path / "data" / "events.csv"]


def test_a_link_keeps_its_own_name_since_that_carries_the_suffix(tmp_path):
    touch(tmp_path, "blobs/ab12")
    (tmp_path / "events.csv").symlink_to(tmp_path / "blobs" / "ab12")
    assert discover(source("events.csv"), tmp_path) == [tmp_path / "events.csv"]


def test_a_folder_is_searched_to_its_leaves_and_what_is_not_delivered_is_left_out(tmp_path):
    delivered = ["2025/03/b.csv", "2025/03/a.csv", "2025/c.csv"]
    not_delivered = [
        "_SUCCESS",
        ".hidden.csv",
        "2025/d.csv.tmp",
        "_temporary/0/e.csv",
        ".git/f.csv",
        "g.csv.part",
        "h~",
    ]
    touch(tmp_path / "events", *delivered, *not_delivered)
    found = discover(source("events"), tmp_path)
    assert [path.relative_to(tmp_path / "events").as_posix() for path in found] == sorted(delivered)


def test_a_glob_crosses_folders_and_leaves_out_what_is_not_delivered(tmp_path):
    touch(tmp_path / "in", "a/1.parquet", "a/b/2.parquet", "_old/3.parquet", "a/4.csv", "a/5.parquet.tmp")
    found = discover(source("in/**/*.parquet"), tmp_path)
    assert [path.relative_to(tmp_path / "in").as_posix() for path in found] == ["a/1.parquet", "a/b/2.parquet"]


def test_a_wildcard_in_the_config_folders_own_name_is_none(tmp_path):
    touch(tmp_path / "co[1]", "1.csv")
    assert discover(source("*.csv"), tmp_path / "co[1]") == [tmp_path / "co[1]" / "1.csv"]


@pytest.mark.parametrize(
    ("path", "verb", "nearest", "holds"),
    [
        ("data/events.csv", "does not exist", "data", "a.csv, b.csv, c.csv, d.csv, e.csv, …"),
        ("data/2025/*.csv", "matches no file", "data", "a.csv, b.csv, c.csv, d.csv, e.csv, …"),
        ("empty", "holds no file", "empty", "nothing"),
        ("none/at/all", "does not exist", "", "data, empty"),
    ],
)
def test_a_source_without_files_says_where_it_looked(tmp_path, path, verb, nearest, holds):
    touch(tmp_path / "data", *(f"{letter}.csv" for letter in "abcdef"))
    (tmp_path / "empty").mkdir()
    with pytest.raises(SourceNotFound) as refused:
        discover(source(path), tmp_path)
    assert str(refused.value) == (
        f"{tmp_path / path}: the path `{path}` {verb}; the nearest folder that exists is {tmp_path / nearest}".rstrip("/")
        + f", which holds {holds}; correct the path in sources.yaml or deliver the files"
    )


def test_a_described_file_has_size_time_and_hash(tmp_path):
    path = tmp_path / "a.csv"
    path.write_bytes(b"a,b\n1,2\n" * 300_000)
    described = describe_file(path)
    assert (described.path, described.size_bytes) == (path, 2_400_000)
    assert described.content_hash == sha256(path.read_bytes()).hexdigest()
    assert described.modified_at == datetime.fromtimestamp(path.stat().st_mtime, tz=UTC)


def test_a_file_that_went_away_is_refused(tmp_path):
    path = tmp_path / "gone.csv"
    for function in (describe_file, refuse_broken_bytes):
        with pytest.raises(FileRefused, match="the file is not there any more; deliver the file again"):
            function(path)


@pytest.mark.parametrize(
    ("name", "declared", "found"),
    [
        ("a.csv", None, "csv"),
        ("a.TSV.gz", None, "tsv"),
        ("a.ndjson.zst", None, "jsonl"),
        ("a.pq", None, "parquet"),
        ("a.log", "csv", "csv"),
        ("a.csv", "jsonl", "jsonl"),
    ],
)
def test_the_format_is_the_declared_one_else_the_suffix_says_it(name, declared, found):
    assert format_of_file(source("folder", format=declared), Path(name)) == found


@pytest.mark.parametrize(
    ("name", "reason", "recovery"),
    [
        ("notes.txt", "the suffix .txt says no format", "name the format (csv, tsv, jsonl, parquet)"),
        ("notes", "the suffix (none) says no format", "name the format"),
        ("a.csv.bz2", "bzip2 files cannot be read", "deliver the file plain, or compressed as .gz or .zst"),
        ("a.parquet.gz", "a Parquet file inside a compressed one cannot be read", "deliver it plain"),
    ],
)
def test_a_format_that_cannot_be_told_or_read_is_refused(name, reason, recovery):
    with pytest.raises(FileRefused) as refused:
        format_of_file(source("folder"), Path(name))
    assert refused.value.reason == reason
    assert refused.value.recovery.startswith(recovery)


def test_an_empty_file_is_refused(tmp_path):
    (tmp_path / "a.csv").touch()
    with pytest.raises(FileRefused) as refused:
        refuse_broken_bytes(tmp_path / "a.csv")
    assert str(refused.value) == f"{tmp_path / 'a.csv'}: the file is empty (0 bytes); deliver the file again"


def compressed(name: str, content: bytes) -> bytes:
    return gzip.compress(content) if name.endswith("gz") else pa.compress(content, codec="zstd", asbytes=True)


@pytest.mark.parametrize("name", ["a.csv.gz", "a.csv.zst"])
def test_a_whole_compressed_file_passes(tmp_path, name):
    (tmp_path / name).write_bytes(compressed(name, b"a,b\n1,2\n" * 9999))
    refuse_broken_bytes(tmp_path / name)


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("a.csv.gz", "the gzip stream is truncated: it ends before its end mark"),
        ("a.csv.zst", "the zstd stream is truncated: it ends inside a frame"),
    ],
)
def test_a_compressed_file_that_was_cut_off_is_refused(tmp_path, name, reason):
    content = compressed(name, b"".join(b"%d,%d\n" % (i, i * 7919 % 10007) for i in range(99_999)))
    (tmp_path / name).write_bytes(content[: len(content) // 2])
    with pytest.raises(FileRefused) as refused:
        refuse_broken_bytes(tmp_path / name)
    assert str(refused.value) == f"{tmp_path / name}: {reason}; deliver the file again"


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("a.csv.gz", b"a,b\n1,2\n", "the gzip stream is damaged: Not a gzipped file (b'a,')"),
        ("a.csv.zst", b"a,b\n1,2\n", "the zstd stream is damaged: "),
        ("b.csv.gz", gzip.compress(b"a,b\n", mtime=0)[:-8] + b"\0" * 8, "the gzip stream is damaged: CRC check failed"),
    ],
)
def test_a_compressed_file_that_is_damaged_is_refused(tmp_path, name, content, reason):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(FileRefused) as refused:
        refuse_broken_bytes(tmp_path / name)
    assert refused.value.reason.startswith(reason)
