"""Reads an archive and its Parquet tables with DuckDB, pandas and the standard library.

    bbdl export claims --to parquet --out tables
    python read.py claims tables
"""

import json
import pathlib
import sys

import duckdb
import pandas

archive, tables = (pathlib.Path(path) for path in sys.argv[1:])

# The claims themselves, one at a time: nothing is lost, and numbers keep their digits.
with open(archive / "ExplanationOfBenefit.ndjson", encoding="utf-8") as lines:
    for line in lines:
        claim = json.loads(line, parse_float=str)
        print(claim["id"], claim.get("status"))
        break

# The same file as a table, if you want only a few fields of the raw claims.
raw = duckdb.sql(
    f"""select json->>'$.id' as id, (json->>'$.payment.amount.value')::decimal(18, 2) as paid
        from read_ndjson_objects('{archive}/ExplanationOfBenefit.ndjson', maximum_object_size = 33554432)"""
)
print(raw.aggregate("count(*), sum(paid)"))

# Tables with columns that mean the same at every version of the API. They also have claims that were
# canceled, deleted or replaced. Do not add those up.
duckdb.sql(f"create view claims as from '{tables}/claims.parquet' where standing = 'final'")
duckdb.sql(f"create view lines as from '{tables}/lines.parquet'")
print(duckdb.sql("select claim_type, count(*), sum(medicare_paid) from claims group by 1 order by 1"))
print(duckdb.sql("select diagnosis, count(*) from (select unnest(diagnoses) as diagnosis from claims) group by 1 order by 2 desc limit 5"))
print(duckdb.sql(
    """select code, sum(lines.charged) from lines join claims using (claim_id)
       where is_total = 0 group by 1 order by 2 desc nulls last limit 5"""
))

frame = pandas.read_parquet(tables / "claims.parquet")
frame = frame[frame["standing"] == "final"]
by_year = frame.assign(year=pandas.to_datetime(frame["service_start"]).dt.year).groupby("year")["patient_pays"]
print(by_year.apply(lambda amounts: amounts.dropna().sum()))
