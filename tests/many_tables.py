"""Reads tables of several archives, as directories of files, with DuckDB, pandas and pyarrow, and compares."""

import decimal
import pathlib

import duckdb
import pandas
import pyarrow.dataset

TEXT = {"enrollee": str, "claim_id": str, "diagnoses": str, "procedures": str, "drg": str, "denial_reason": str}
expected = None
for name, kind in (("tables", "parquet"), ("tables-by-year", "parquet"), ("csv", "csv"), ("csv-by-year", "csv")):
    depth = "*/*" if name.endswith("by-year") else "*"
    options = ", hive_partitioning = true" if depth == "*/*" else ""
    if kind == "csv":
        options += ", all_varchar = true, union_by_name = true"
    claims = f"read_{kind}('{name}/claims/{depth}.{kind}'{options})"
    lines = f"read_{kind}('{name}/lines/{depth}.{kind}'{options})"
    sums = duckdb.sql(
        f"""select enrollee, count(*), sum(medicare_paid::decimal(18, 2)) from {claims} group by 1 order by 1"""
    ).fetchall()
    of_lines = duckdb.sql(
        f"""select count(*), count(distinct (enrollee, claim_id)) from {lines} as lines join {claims} as claims using (enrollee, claim_id)"""
    ).fetchall()
    found = (sums, of_lines)
    assert [row[0] for row in sums] == ["claims", "mom"] and sums[0][2] > 0, (name, found)
    assert expected in (None, found), (name, expected, found)
    expected = found
    if depth == "*/*":
        years = duckdb.sql(f"select count(distinct year), min(year) from {claims}").fetchall()
        assert years[0][0] > 3, years

    if kind == "parquet":
        frame = pandas.read_parquet(f"{name}/claims")
        partitioning = "hive" if depth == "*/*" else None
        table = pyarrow.dataset.dataset(f"{name}/claims", format="parquet", partitioning=partitioning).to_table()
        assert table.num_rows == len(frame), name
    else:
        files = sorted(pathlib.Path(name, "claims").glob(f"{depth}.csv"))
        frame = pandas.concat(pandas.read_csv(file, dtype=TEXT) for file in files)
        # Ids of v3 stay text.
        assert frame["claim_id"].str.match(r"-?\d+").all(), name
    paid = sum(decimal.Decimal(str(value)) for value in frame["medicare_paid"].dropna())
    assert abs(paid - sum(row[2] for row in sums)) < decimal.Decimal("0.005"), (name, paid, sums)
print("four directories alike:", expected)
