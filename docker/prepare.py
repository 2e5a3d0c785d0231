"""Before anything starts: Airflow's tables and its administrator, the ledger's tables, the bucket. May be run again."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from urllib.parse import urlsplit


def airflow_tables() -> None:
    """Make the tables, or bring them to this release."""
    subprocess.run([sys.executable, "-m", "airflow", "db", "migrate"], check=True)


def administrator() -> None:
    """Make the user `admin` of Airflow, if there is none; its password never stands in a command line."""
    from airflow.__main__ import main

    password = Path(os.environ["AIRFLOW_ADMIN_PASSWORD_FILE"]).read_text().strip()
    person = ["--firstname", "Bellwether", "--lastname", "Admin", "--email", "admin@localhost"]
    sys.argv = ["airflow", "users", "create", "-u", "admin", "-r", "Admin", "-p", password, *person]
    main()


def bucket() -> None:
    """Make the bucket of the data remote, if there is none."""
    import boto3
    from botocore.exceptions import ClientError

    store = boto3.client("s3")
    name = urlsplit(os.environ["BELLWETHER_REMOTE_URL"]).netloc
    try:
        store.head_bucket(Bucket=name)
    except ClientError:
        store.create_bucket(Bucket=name)


def ledger() -> None:
    """Make the ledger's tables, or bring them to this release."""
    from ml.config import settings
    from ml.seams.ledger import migrate

    migrate(settings().ledger)


if __name__ == "__main__":
    bucket()
    ledger()
    airflow_tables()
    administrator()
