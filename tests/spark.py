"""Reads the tables of several archives with Spark: Parquet and CSV, by year and not. Run by `.ci/extra spark`.

    spark.py DIRECTORY     with parquet, parquet-by-year and csv-by-year, made of the same archives
"""

import pathlib
import sys

from pyspark.sql import SparkSession

root = pathlib.Path(sys.argv[1])
spark = (
    SparkSession.builder.master("local[1]")
    .config("spark.ui.enabled", "false")
    .config("spark.sql.shuffle.partitions", "2")
    .getOrCreate()
)
spark.sparkContext.setLogLevel("ERROR")

whole = spark.read.parquet(str(root / "parquet/claims"))
types = dict(whole.dtypes)
expected = {"enrollee": "string", "service_start": "date", "medicare_paid": "decimal(18,2)", "diagnoses": "array<string>"}
assert {name: types[name] for name in expected} == expected, types
assert whole.columns[0] == "enrollee"
sums = {row[0]: (row[1], row[2]) for row in whole.groupBy("enrollee").agg({"*": "count", "medicare_paid": "sum"}).collect()}
assert len(sums) > 1, sums

by_year = spark.read.parquet(str(root / "parquet-by-year/claims"))
assert by_year.columns[-1] == "year" and dict(by_year.dtypes)["year"] == "int"
found = by_year.groupBy("enrollee").agg({"*": "count", "medicare_paid": "sum"}).collect()
assert {row[0]: (row[1], row[2]) for row in found} == sums
wrong = by_year.where("year <> year(service_start) or (year is null) <> (service_start is null)").count()
assert wrong == 0, wrong
lines = spark.read.parquet(str(root / "parquet-by-year/lines"))
joined = lines.join(by_year, ["enrollee", "claim_id"])
assert joined.count() == lines.count() > whole.count()
assert spark.read.parquet(str(root / "parquet-by-year/coverage")).count() > 0

csv = spark.read.csv(str(root / "csv-by-year/claims"), header=True, escape='"', multiLine=True)
found = csv.selectExpr("enrollee", "cast(medicare_paid as decimal(18, 2)) as medicare_paid")
found = found.groupBy("enrollee").agg({"*": "count", "medicare_paid": "sum"}).collect()
assert {row[0]: (row[1], row[2]) for row in found} == sums
print(f"Spark {spark.version} reads {whole.count()} claims and {lines.count()} lines of {len(sums)} enrollees alike")
spark.stop()
