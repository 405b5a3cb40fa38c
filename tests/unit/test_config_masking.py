"""Messages of libraries lose the values of rows, and keep what a person must find."""

import duckdb
import pytest

from milestones_dagster.config.masking import masked

ADDRESS = "ada.l@example.org"


@pytest.mark.parametrize("value", [ADDRESS, "O'Brien's", 'the "best"', "two\nlines", "it is '", "a' to INT32 'b"])
@pytest.mark.parametrize("kind", ["INTEGER", "DATE", "TIMESTAMP", "BOOLEAN", "JSON", "UUID"])
def test_a_value_that_does_not_convert_is_not_told(value, kind):
    with duckdb.connect() as connection:
        connection.execute("CREATE TABLE t AS SELECT ? AS name", [value])
        with pytest.raises(duckdb.Error) as caught:
            connection.execute(f"SELECT CAST(name AS {kind}) FROM t").fetchall()
    said = str(caught.value)
    for text in (masked(said), masked(said.splitlines()[0])):
        assert not any(part in text for part in (value, ADDRESS, "O'Brien", "best", "two", "lines"))
        assert "…" in text
        assert "Error" in text


def test_what_went_wrong_is_told_around_the_value():
    said = "Conversion Error: Could not convert string 'O'Brien's' to INT32 when casting from source column plan"
    assert masked(said) == "Conversion Error: Could not convert string '…' to INT32 when casting from source column plan"
    cut = "Conversion Error: Could not convert string 'two"
    assert masked(cut) == "Conversion Error: Could not convert string '…'"
    bare = "Conversion Error: Type INT64 with value 300 can't be cast because the value is out of range for INT8"
    assert masked(bare) == bare.replace("300", "…")


@pytest.mark.parametrize(
    "statement",
    [
        "SELECT CAST(n AS TINYINT) FROM (SELECT 31415 + i AS n FROM range(1) r(i))",
        "INSERT INTO u VALUES (31415)",
        "SELECT CAST(n AS DECIMAL(3, 1)) FROM (SELECT 31415.0 + i AS n FROM range(1) r(i))",
    ],
)
def test_a_number_is_not_told(statement):
    with duckdb.connect() as connection:
        connection.execute("CREATE TABLE u (n INTEGER PRIMARY KEY)")
        connection.execute("INSERT INTO u VALUES (31415)")
        with pytest.raises(duckdb.Error) as caught:
            connection.execute(statement).fetchall()
    assert "31415" in str(caught.value).splitlines()[0]
    assert "31415" not in masked(str(caught.value)).splitlines()[0]


def test_values_of_other_libraries_are_not_told():
    with pytest.raises(ValueError, match="could not convert") as caught:
        float("Ada Lovelace")
    assert masked(str(caught.value)) == "could not convert string to float: '…'"
    assert masked(f"no account of {ADDRESS}, nor of <{ADDRESS}>") == "no account of …, nor of <…>"


@pytest.mark.parametrize(
    "message",
    [
        "[Errno 2] No such file or directory: '/data/events.parquet'",
        'Binder Error: Referenced column "plan" not found in FROM clause!',
        "Catalog Error: Table with name accounts does not exist!",
        'IO Error: Could not set lock on file "/data/warehouse.duckdb": it can\'t be had',
        "KeyError: 'account_id'",
    ],
)
def test_what_a_person_must_find_is_told(message):
    assert masked(message) == message
