#!/bin/sh
# Makes the secrets of one installation, once: files in DIR (default: docker/secrets) that only you may read.
# What is there is left as it is. Hosts and ports are those of compose.yaml. The folder is closed to others; the files in it
# are not, because a container's user, who is nobody on this machine, has to read the few that are mounted into it.
set -eu
umask 077
dir=${1:-$(dirname "$0")/secrets}
mkdir -p "$dir"
chmod 0700 "$dir"

random() { openssl rand -hex "$1"; }
once() { [ -e "$dir/$1" ] || printf '%s' "$2" > "$dir/$1"; }
read_() { cat "$dir/$1"; }

for name in admin airflow mlflow ledger warehouse; do once "postgres_$name" "$(random 24)"; done
for name in airflow_admin_password mlflow_admin_password redis_password s3_secret_key; do once "$name" "$(random 24)"; done
once s3_access_key "$(random 10)"
once airflow_jwt_secret "$(random 64)"
once airflow_secret_key "$(random 32)"
once mlflow_secret_key "$(random 32)"
once airflow_fernet_key "$(openssl rand -base64 32 | tr '+/' '-_')"

airflow=$(read_ postgres_airflow)
mlflow=$(read_ postgres_mlflow)
once airflow_database "postgresql+psycopg2://airflow:$airflow@postgres:5432/airflow"
once airflow_database_async "postgresql+asyncpg://airflow:$airflow@postgres:5432/airflow"
once airflow_results "db+postgresql://airflow:$airflow@postgres:5432/airflow"
once airflow_broker "redis://:$(read_ redis_password)@redis:6379/0"
once mlflow_database "postgresql+psycopg2://mlflow:$mlflow@postgres:5432/mlflow"
once ledger_url "postgresql+psycopg://ledger:$(read_ postgres_ledger)@postgres:5432/ledger"
once warehouse_url "postgresql+psycopg://warehouse:$(read_ postgres_warehouse)@postgres:5432/warehouse"

once redis.conf "requirepass $(read_ redis_password)
"
once mlflow_auth.ini "[mlflow]
default_permission = NO_PERMISSIONS
database_uri = postgresql+psycopg2://mlflow:$mlflow@postgres:5432/mlflow
admin_username = admin
admin_password = $(read_ mlflow_admin_password)
authorization_function = mlflow.server.auth:authenticate_request_basic_auth
auth_cache_ttl_seconds = 60
"
once s3.json "{\"identities\": [{\"name\": \"bellwether\", \"actions\": [\"Admin\", \"Read\", \"Write\", \"List\", \"Tagging\"],
  \"credentials\": [{\"accessKey\": \"$(read_ s3_access_key)\", \"secretKey\": \"$(read_ s3_secret_key)\"}]}]}
"
if [ ! -e "$dir/tls.key" ]; then
  openssl req -x509 -newkey rsa:2048 -nodes -days 365 -subj "/CN=${BELLWETHER_HOST:-localhost}" \
    -addext "subjectAltName=DNS:${BELLWETHER_HOST:-localhost}" -keyout "$dir/tls.key" -out "$dir/tls.crt" 2>/dev/null
  echo "made a self-signed certificate; put your own in $dir/tls.crt and tls.key"
fi
chmod 0444 "$dir"/*
echo "secrets are in $dir; the logins are admin, with airflow_admin_password and mlflow_admin_password"
