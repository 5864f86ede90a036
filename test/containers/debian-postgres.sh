#!/bin/sh
# Makes a PostgreSQL image from Debian's packages, for machines that reach no image registry; as root, with mmdebstrap and a Docker engine:
#   test/containers/debian-postgres.sh IMAGE && KASM_TEST_POSTGRES_IMAGE=IMAGE npm run test:containers
# It takes POSTGRES_USER, POSTGRES_PASSWORD and POSTGRES_DB, as the official image does.
set -eu
image=${1:?name of the image}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cat > "$work/entrypoint" <<'SH'
#!/bin/sh
set -eu
bin=$(echo /usr/lib/postgresql/*/bin)
: "${POSTGRES_USER:=postgres}" "${POSTGRES_DB:=$POSTGRES_USER}"
export PGDATA=/tmp/data LC_ALL=C
if [ ! -s "$PGDATA/PG_VERSION" ]; then
  (umask 077; printf '%s\n' "$POSTGRES_PASSWORD" > /tmp/pw)
  "$bin/initdb" --username="$POSTGRES_USER" --auth=scram-sha-256 --pwfile=/tmp/pw --encoding=UTF8 --no-sync >/dev/null
  rm /tmp/pw
  echo 'host all all all scram-sha-256' >> "$PGDATA/pg_hba.conf"
  [ "$POSTGRES_DB" = postgres ] || echo "CREATE DATABASE \"$POSTGRES_DB\"" | "$bin/postgres" --single -F postgres >/dev/null
fi
exec "$bin/postgres" -c listen_addresses='*' -c unix_socket_directories=/tmp -c fsync=off "$@"
SH
chmod 755 "$work/entrypoint"
mmdebstrap --quiet --variant=minbase --include=postgresql \
  --dpkgopt='path-exclude=/usr/share/doc/*' --dpkgopt='path-exclude=/usr/share/man/*' --dpkgopt='path-exclude=/usr/share/locale/*' \
  --customize-hook="copy-in $work/entrypoint /usr/local/bin" bookworm - |
  docker import -c 'USER postgres' -c 'ENTRYPOINT ["/usr/local/bin/entrypoint"]' -c 'EXPOSE 5432' - "$image"
