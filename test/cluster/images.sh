#!/usr/bin/env bash
# Builds the images of the cluster tests with the local docker, and puts them into the cluster.
#   images.sh [TAG...]   all of them, or only these
#   KASM_TEST_LOAD       command that takes image names: `kind load docker-image`, or one of your own that tags and pushes
#   BASE                 Debian 12 with apt (default debian:bookworm-slim)
set -euo pipefail
cd "$(dirname "$0")/../.."
: "${KASM_TEST_LOAD:?the command that puts an image of the local docker into the cluster}" "${BASE:=debian:bookworm-slim}"
work="$(mktemp -d)"; trap 'rm -rf "$work"' EXIT

# A build of kasm-db with more migrations: tag, SQL of 0020, SQL of 0021.
kasm_db() {
  local folder="$work/$1" number=20 sql
  mkdir -p "$folder/scripts"
  cp -r src migrations seeds package.json tsconfig.json tsconfig.types.json .npmrc Dockerfile LICENSE "$folder/"
  cp -r scripts/*.mjs scripts/licenses "$folder/scripts/"
  ln -s "$PWD/scripts/exe" "$folder/scripts/exe"; ln -s "$PWD/node_modules" "$folder/node_modules"
  sed -i "s/\"version\": \"[^\"]*\"/\"version\": \"$1\"/" "$folder/package.json"
  for sql in "${@:2}"; do printf '%s\n' "$sql" > "$folder/migrations/00${number}_cluster_test.sql"; number=$((number + 1)); done
  (cd "$folder" && node scripts/build-exe.mjs)
  printf '*\n!dist-exe/kasm-db-linux-*\n!dist-exe/THIRD-PARTY-NOTICES.txt\n!LICENSE\n' > "$folder/.dockerignore"
  docker build --quiet --network host --build-arg PREBUILT=1 --build-arg "BUILD_BASE=$BASE" --build-arg "RUNTIME_BASE=$BASE" -t "kasm-db:$1" "$folder"
  rm -rf "$folder"
  $KASM_TEST_LOAD "kasm-db:$1"
}
one='CREATE TABLE cluster_test (id integer PRIMARY KEY);'
two='CREATE TABLE cluster_test_2 (id integer PRIMARY KEY);'
for tag in "${@:-0.1.0 0.2.0 0.3.0-bad 0.3.0 0.2.0-slow 0.2.0-slow60 standin kasm-api}"; do for each in $tag; do
  case "$each" in
  0.1.0) kasm_db 0.1.0 ;;
  0.2.0) kasm_db 0.2.0 "$one" ;;
  0.3.0-bad) kasm_db 0.3.0-bad "$one" "$two SELECT 1 / 0;" ;;
  0.3.0) kasm_db 0.3.0 "$one" "$two" ;;
  0.2.0-slow) kasm_db 0.2.0-slow "$one SELECT pg_sleep(20);" ;;
  0.2.0-slow60) kasm_db 0.2.0-slow60 "$one SELECT pg_sleep(60);" ;;
  standin)
    docker build --quiet --network host --build-arg "BASE=$BASE" -t kasm-test/standin:1 test/cluster/standin
    $KASM_TEST_LOAD kasm-test/standin:1 ;;
  kasm-api)
    cp -r test/cluster/kasm-api "$work/kasm-api"; cp -r migrations "$work/kasm-api/sql"
    for release in 1.19.0 1.20.0; do
      docker build --quiet --network host --build-arg "BASE=$BASE" --build-arg "RELEASE=$release" -t "kasm-test/kasm-api:$release" "$work/kasm-api"
      $KASM_TEST_LOAD "kasm-test/kasm-api:$release"
    done ;;
  *) echo "no image $each" >&2; exit 2 ;;
  esac
done; done
