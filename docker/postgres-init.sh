#!/bin/sh
# Four databases, each with a user of its own who can connect to nothing else. Run once, on an empty server.
set -eu
secrets=${SECRETS:-/run/secrets}
for name in airflow mlflow ledger warehouse; do
  psql --quiet --no-psqlrc -v ON_ERROR_STOP=1 --username "$POSTGRES_USER" --dbname postgres <<SQL
\set secret \`cat "$secrets/postgres_$name"\`
CREATE ROLE "$name" LOGIN PASSWORD :'secret' NOSUPERUSER NOCREATEDB NOCREATEROLE;
CREATE DATABASE "$name" OWNER "$name" ENCODING 'UTF8' TEMPLATE template0;
REVOKE ALL ON DATABASE "$name" FROM PUBLIC;
SQL
done
