"""Reads the tables of `bbdl export` back with what analysts use, and compares: DuckDB, pandas with pyarrow, sqlite3.

    tables.py CSV-DIRECTORY PARQUET-DIRECTORY DATABASE
"""

import datetime
import decimal
import pathlib
import sqlite3
import sys

import duckdb
import pandas
import pyarrow.parquet

csv_dir, parquet_dir, database = (pathlib.Path(path) for path in sys.argv[1:])
database = sqlite3.connect(f"file:{database}?mode=ro", uri=True)
said = []

for table in ("claims", "lines", "coverage"):
    parquet = parquet_dir / f"{table}.parquet"
    arrow = pyarrow.parquet.read_table(parquet)
    types = {field.name: str(field.type) for field in arrow.schema}
    csv = pandas.read_csv(csv_dir / f"{table}.csv", dtype=str, keep_default_na=False)
    assert list(csv.columns) == list(types), table
    cursor = database.execute(f"select * from {table}")
    assert [head[0] for head in cursor.description] == list(types), table
    rows = cursor.fetchall()
    assert len(csv) == arrow.num_rows == len(rows), table
    cells = 0
    for index, (name, kind) in enumerate(types.items()):
        for row, value in enumerate(arrow.column(name).to_pylist()):
            text, stored = csv[name][row], rows[row][index]
            if kind.startswith("list"):
                assert " ".join(value) == text == stored, (table, name, row, value, text, stored)
            elif value is None:
                assert text == "" and stored is None, (table, name, row, text, stored)
            elif isinstance(value, decimal.Decimal):
                assert str(value) == text and round(decimal.Decimal(stored), 2) == value, (table, name, row)
            elif isinstance(value, datetime.date):
                assert value.isoformat() == text == stored, (table, name, row)
            elif isinstance(value, int):
                assert str(value) == text and value == stored, (table, name, row)
            else:
                # An apostrophe keeps a spreadsheet from taking text for a formula.
                assert text.removeprefix("'") == value.removeprefix("'") and stored == value, (table, name, row)
            cells += 1
    described = dict(duckdb.sql(f"describe select * from '{parquet}'").project("column_name, column_type").fetchall())
    expected = {
        "claims": {"service_start": "DATE", "medicare_paid": "DECIMAL(18,2)", "diagnoses": "VARCHAR[]"},
        "lines": {"service_start": "DATE", "medicare_paid": "DECIMAL(18,2)", "modifiers": "VARCHAR[]"},
        "coverage": {"part": "VARCHAR", "start": "DATE", "end": "DATE"},
    }[table]
    assert {name: described[name] for name in expected} == expected, described
    said.append(f"{table}: {arrow.num_rows} rows, {cells} cells alike")

claims = parquet_dir / "claims.parquet"
by_type = duckdb.sql(f"select claim_type, count(*), sum(medicare_paid) from '{claims}' group by 1").fetchall()
for kind, count, paid in by_type:
    cents = database.execute(
        "select count(distinct claims.claim_id), sum(cents) from claims left join amounts on "
        "amounts.claim_id = claims.claim_id and name = 'medicare_paid' where claim_type is ?",
        (kind,),
    ).fetchone()
    assert cents == (count, None if paid is None else int(paid * 100)), (kind, count, paid, cents)
frame = pandas.read_parquet(claims)
assert frame["medicare_paid"].dropna().sum() == sum(paid for _, _, paid in by_type if paid is not None)
for detail, column in (("diagnoses", "diagnoses"), ("procedures", "procedures")):
    listed = duckdb.sql(f"select claim_id, unnest({column}) from '{claims}'").fetchall()
    assert sorted(listed) == sorted(database.execute(f"select claim_id, code from {detail}").fetchall()), detail
views = [name for (name,) in database.execute("select name from sqlite_master where type = 'view'")]
for view in views:
    said.append(f"{view}: {len(database.execute(f'select * from {view}').fetchall())} rows")
# Rows of a view come to the total, claim by claim and cent by cent.
settled = database.execute("select count(*) from settled").fetchone()[0]
for view, columns in (
    ("by_year", ("charged", "medicare_paid", "patient_pays", "patient_paid")),
    ("by_provider", ("medicare_paid", "patient_pays", "patient_paid")),
):
    assert settled == database.execute(f"select sum(claims) from {view}").fetchone()[0], view
    for column in columns:
        in_view = database.execute(f"select cast(round(total({column}) * 100) as integer) from {view}").fetchone()
        in_claims = database.execute(
            "select cast(total(cents) as integer) from settled join amounts using (claim_id) where name = ?", (column,)
        ).fetchone()
        assert in_view == in_claims, (view, column, in_view, in_claims)
print("; ".join(said))
