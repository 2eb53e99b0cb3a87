"""One task for each shard. BBDL_STATE and BBDL_STATE_KEY come from the environment of the workers."""

import subprocess
from datetime import datetime, timedelta

from airflow.exceptions import AirflowFailException
from airflow.sdk import dag, task

SHARDS = 4
TRY_LATER = 75


@task(retries=3, retry_delay=timedelta(minutes=30))
def pull(shard: int) -> None:
    """Pulls for the enrollees of a shard who are due."""
    command = ["bbdl", "fetch", "eob", "--all-profiles", "--out", "/study", "--stale-after", "6d"]
    command += ["--for", "6h", "--shard", f"{shard}/{SHARDS}", "--no-progress"]
    code = subprocess.run(command, check=False).returncode
    if code == TRY_LATER:
        raise RuntimeError("bbdl says: try again later")
    if code != 0:
        # A person has to act: trying again does not help.
        raise AirflowFailException(f"bbdl ended with {code}")


@dag(schedule="0 20 * * *", start_date=datetime(2026, 1, 1), catchup=False)
def bbdl() -> None:
    """Every evening, all shards at once."""
    pull.expand(shard=list(range(SHARDS)))


bbdl()
