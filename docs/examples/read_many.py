"""Reads tables of many archives, which are directories of files, with DuckDB and pandas.

    bbdl export study/* --to parquet --out tables
    bbdl export study/* --to parquet --partition-by year --out tables-by-year
    python read_many.py
"""

import duckdb
import pandas

sums = duckdb.sql(
    "select enrollee, count(*), sum(medicare_paid) from 'tables/claims/*.parquet' where standing = 'final' group by 1"
)
years = duckdb.sql(
    "select year, count(*) from read_parquet('tables-by-year/claims/*/*.parquet', hive_partitioning = true) group by 1"
)
frame = pandas.read_parquet("tables/claims")
print(sums, years, frame["enrollee"].value_counts(), sep="\n")
