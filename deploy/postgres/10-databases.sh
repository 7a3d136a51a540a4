#!/bin/sh
# Runs once, when the volume of PostgreSQL is empty: one database and one owner each for Dagster and for the ledger.
# Neither owner can see the other's database.
set -eu
psql -v ON_ERROR_STOP=1 --username "$POSTGRES_USER" --dbname postgres \
     -v dagster_password="$DAGSTER_DB_PASSWORD" -v ledger_password="$LEDGER_DB_PASSWORD" <<'SQL'
CREATE ROLE dagster LOGIN PASSWORD :'dagster_password';
CREATE DATABASE dagster OWNER dagster;
REVOKE ALL ON DATABASE dagster FROM PUBLIC;
CREATE ROLE trading_ledger LOGIN PASSWORD :'ledger_password';
CREATE DATABASE ledger OWNER trading_ledger;
REVOKE ALL ON DATABASE ledger FROM PUBLIC;
SQL
