#!/bin/sh
# Which of Kasm's containers this is, is seen by what the chart gives it.
set -eu
if [ "${1:-}" = postgres ]; then
  # As the official image does it: the variables make the database the first time.
  if [ ! -s "$PGDATA/PG_VERSION" ]; then
    printf %s "$POSTGRES_PASSWORD" > /tmp/password
    initdb -D "$PGDATA" -U "$POSTGRES_USER" --locale=C.UTF-8 --auth-local=trust --auth-host=scram-sha-256 --pwfile=/tmp/password > /dev/null
    rm /tmp/password
    printf 'CREATE DATABASE "%s";\n' "$POSTGRES_DB" | postgres --single -j -D "$PGDATA" postgres > /dev/null
  fi
  chmod 700 "$PGDATA" # fsGroup makes it g+rwx at each mount; PostgreSQL refuses that
  exec "$@" -D "$PGDATA"
fi
if [ -e /etc/nginx/conf.d/headers.inc ]; then exec nginx -g 'daemon off;'; fi
exec python3 -u /usr/local/bin/standin.py
