#!/usr/bin/env bash
# Installs the peers that bench/ compares kasm-db with, each where its toolchain is there, into a cache outside the repository.
# install.sh [PEER...]; what is there already is left alone. A failure names its log and goes on with the next.
set -uo pipefail

cache=${KASM_DB_BENCH_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/kasm-db-bench}
bin=$cache/bin
here=$(cd "$(dirname "$0")" && pwd)
mkdir -p "$bin" "$cache/log"

GOOSE=v3.29.0
GOLANG_MIGRATE=v4.20.1
DBMATE=v2.28.0
TERN=v2.3.4
SQLX=0.9.0
FLYWAY=13.12.0
LIQUIBASE=4.33.0
JDBC=42.7.14
ALEMBIC=1.20.1
SQLALCHEMY=2.1.9
DJANGO=5.2.19
PSYCOPG=3.3.9

# install NAME VERSION TOOLCHAIN: calls install_NAME once for a version.
install() {
  local name=$1 version=$2 tool=$3 mark=$cache/$1.version
  [ "$(cat "$mark" 2>/dev/null)" = "$version" ] && return
  command -v "$tool" >/dev/null || { echo "absent: $name ($tool is not installed)"; return; }
  echo "installing $name $version"
  if "install_${name//-/_}" "$version" >"$cache/log/$name.log" 2>&1; then
    echo "$version" >"$mark"
  else
    echo "failed: $name; see $cache/log/$name.log"
  fi
}

go_install() { GOBIN=$bin GOTOOLCHAIN=local go install -trimpath -ldflags='-s -w' "$@"; }

# Drivers of other databases are left out where the project has tags for it, as its own release builds offer them too.
install_goose() {
  go_install -tags 'no_clickhouse no_libsql no_mssql no_mysql no_sqlite3 no_vertica no_ydb no_spanner no_duckdb no_turso' \
    "github.com/pressly/goose/v3/cmd/goose@$1"
}
install_golang_migrate() { go_install -tags 'postgres' "github.com/golang-migrate/migrate/v4/cmd/migrate@$1"; }
install_dbmate() { go_install "github.com/amacneil/dbmate/v2@$1"; }
install_tern() { go_install "github.com/jackc/tern/v2@$1"; }

install_sqlx() {
  CARGO_TARGET_DIR=$cache/cargo cargo install sqlx-cli --version "$1" --locked --no-default-features --features postgres,rustls \
    --jobs 1 --root "$cache" --no-track --force && rm -rf "$cache/cargo"
}

# mvn copies what the pom in bench/peers names, with what that needs.
install_flyway() {
  maven flyway -Dflyway="$1" -Djdbc="$JDBC" && javac -cp "$cache/flyway/*" -d "$cache/flyway" "$here/FlywayMigrate.java"
}
install_liquibase() { maven liquibase -Dliquibase="$1" -Djdbc="$JDBC"; }
maven() {
  local name=$1
  shift
  rm -rf "${cache:?}/$name"
  mvn -q -B -f "$here/$name.pom.xml" "$@" dependency:copy-dependencies -DincludeScope=runtime -DoutputDirectory="$cache/$name"
}

install_alembic() { python alembic "alembic==$1" "sqlalchemy==$SQLALCHEMY" "psycopg[binary]==$PSYCOPG"; }
install_django() { python django "django==$1" "psycopg[binary]==$PSYCOPG"; }
python() {
  local name=$1
  shift
  rm -rf "${cache:?}/$name"
  python3 -m venv "$cache/$name" && "$cache/$name/bin/pip" install --quiet --no-cache-dir "$@"
}

install_npm() { npm ci --prefix "$here/.." --no-audit --no-fund --omit=dev; }

wanted() { [ $# -eq 0 ] && set -- npm goose golang-migrate tern dbmate alembic django flyway liquibase sqlx; echo "$@"; }

for peer in $(wanted "$@"); do
  case $peer in
    npm) [ -d "$here/../node_modules/knex" ] || { echo 'installing the peers from npm'; install_npm >"$cache/log/npm.log" 2>&1 || echo "failed: npm; see $cache/log/npm.log"; } ;;
    goose) install goose $GOOSE go ;;
    golang-migrate) install golang-migrate $GOLANG_MIGRATE go ;;
    dbmate) install dbmate $DBMATE go ;;
    tern) install tern $TERN go ;;
    sqlx) install sqlx $SQLX cargo ;;
    flyway) install flyway $FLYWAY mvn ;;
    liquibase) install liquibase $LIQUIBASE mvn ;;
    alembic) install alembic $ALEMBIC python3 ;;
    django) install django $DJANGO python3 ;;
    *) echo "no such peer: $peer" >&2; exit 2 ;;
  esac
done
