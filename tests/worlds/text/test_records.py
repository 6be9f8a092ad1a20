"""Users' rows: what is read, and what is said of a row that cannot be used."""

import json

import pytest

from antiphon.core.errors import UserError
from antiphon.worlds.text.records import Record, read_records


def written(tmp_path, *rows):
    path = tmp_path / "rows.jsonl"
    lines = [row if isinstance(row, str) else json.dumps(row) for row in rows]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


USER = {"role": "user", "content": "hello"}
ANSWER = {"role": "assistant", "content": "hi"}
OTHER = {"role": "assistant", "content": "go away"}


@pytest.mark.parametrize(
    ("row", "wanted", "record"),
    [
        ({"prompt": "a", "completion": "b"}, "completion", Record(1, "a", "b")),
        ({"messages": [USER, ANSWER]}, "completion", Record(1, (USER,), "hi")),
        ({"messages": [USER, ANSWER]}, "prompt", Record(1, (USER,), "hi")),
        ({"messages": [USER]}, "prompt", Record(1, (USER,))),
        ({"prompt": [USER], "completion": [ANSWER]}, "completion", Record(1, (USER,), "hi")),
        ({"prompt": "a"}, "prompt", Record(1, "a")),
        ({"prompt": "a", "chosen": "b", "rejected": "c"}, "pair", Record(1, "a", "b", "c")),
        (
            {"chosen": [USER, ANSWER], "rejected": [USER, OTHER]},
            "pair",
            Record(1, (USER,), "hi", "go away"),
        ),
    ],
)
def test_rows(tmp_path, row, wanted, record):
    assert read_records(written(tmp_path, row), wanted).good == (record,)


@pytest.mark.parametrize(
    ("row", "wanted", "reason"),
    [
        ("no json", "completion", "is no JSON"),
        ('{"prompt": ', "prompt", "is no JSON"),
        ("3", "prompt", "holds a number"),
        ({"prompt": "a"}, "completion", "has no field 'completion' (its fields: prompt)"),
        ({"prompt": " ", "completion": "b"}, "completion", "has an empty 'prompt'"),
        ({"prompt": "a", "completion": ""}, "completion", "has an empty 'completion'"),
        ({"prompt": 7, "completion": "b"}, "completion", "has a number in 'prompt' where text belongs"),
        ({"prompt": "a", "completion": None}, "completion", "has null in 'completion'"),
        ({"messages": [USER]}, "completion", "whose last one is not the assistant's"),
        ({"messages": [ANSWER]}, "completion", "without a question"),
        ({"messages": [{"content": "x"}]}, "prompt", "has no role in message 0"),
        ({"messages": [{"role": "user"}]}, "prompt", "has a message without text"),
        ({"messages": "x"}, "prompt", "has no list of messages"),
        ({"prompt": "a", "chosen": "b", "rejected": "b"}, "pair", "has the same text"),
        ({"chosen": "b", "rejected": "c"}, "pair", "has no field 'prompt'"),
        ({"chosen": [USER, ANSWER], "rejected": [ANSWER, OTHER]}, "pair", "differ before their last"),
    ],
)
def test_a_bad_row_is_named_and_counted(tmp_path, row, wanted, reason):
    good = {"prompt": "a", "completion": "b", "chosen": "b", "rejected": "c"}
    records = read_records(written(tmp_path, good, "", row, good), wanted)
    assert [record.line for record in records.good] == [1, 4]
    assert [bad.line for bad in records.bad] == [3]
    assert reason in records.bad[0].reason
    assert str(records.bad[0]).startswith("line 3 ")
    with pytest.raises(UserError, match="none of the 1 rows"):
        read_records(written(tmp_path, row), wanted)


def test_whole_files_that_cannot_be_used(tmp_path):
    for text, said in [
        ("", "has no rows"),
        ("\n\n", "has no rows"),
        ('[{"prompt": "a"}]', "is one JSON array"),
    ]:
        (tmp_path / "rows.jsonl").write_text(text)
        with pytest.raises(UserError, match=said):
            read_records(tmp_path / "rows.jsonl", "prompt")
    with pytest.raises(UserError, match="there is no data file"):
        read_records(tmp_path / "nowhere.jsonl", "prompt")


def test_a_row_that_is_no_utf8_is_named(tmp_path):
    path = tmp_path / "rows.jsonl"
    path.write_bytes(b'\xef\xbb\xbf{"prompt": "a"}\n{"prompt": "\xff"}\n')
    records = read_records(path, "prompt")
    assert (len(records.good), records.bad[0].line) == (1, 2)


def test_parquet(tmp_path):
    arrow = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    rows = [{"prompt": "a", "completion": "b"}, {"prompt": "c", "completion": None},
            {"prompt": None, "messages": [USER, ANSWER]}]  # fmt: skip
    path = tmp_path / "rows.parquet"
    table = arrow.Table.from_pylist(rows, schema=arrow.schema([
        ("prompt", arrow.string()), ("completion", arrow.string()),
        ("messages", arrow.list_(arrow.struct([("role", arrow.string()), ("content", arrow.string())]))),
    ]))  # fmt: skip
    parquet.write_table(table, path)
    records = read_records(path, "completion")
    assert records.good == (Record(1, "a", "b"), Record(3, (USER,), "hi"))
    assert str(records.bad[0]) == "line 2 has no field 'completion' (its fields: prompt)"
    path.write_bytes(b"PAR1 and nothing else")
    with pytest.raises(UserError, match="is no Parquet file"):
        read_records(path, "completion")
