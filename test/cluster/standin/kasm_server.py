#!/usr/bin/env python3
"""Stands in for Kasm's program that populates a database: does what public sources tell of it, and nothing else is known.

It takes tables that are there, refuses a database that has settings, makes the row of `installation` and a key from it, stores the values of settings
encrypted (AES-256-CBC, base64), and the rest of its seed file in plain text. All of it in one transaction; KASM_TEST_SEED_SECONDS makes that last.
"""

import argparse
import json
import os
import subprocess
import sys

import encryption

options = argparse.ArgumentParser()
for flag in ("--initialize-database", "--populate-production"):
    options.add_argument(flag, action="store_true")
for flag in ("--cfg", "--seed-file"):
    options.add_argument(flag, required=True)
args = options.parse_args()
env = os.environ


def fail(text):
    print(text, flush=True)
    sys.exit(3)


def psql(sql):
    result = subprocess.run(["psql", "-XAtq", "-v", "ON_ERROR_STOP=1", "-f", "-"], input=sql, env=encryption.connection(env), capture_output=True, text=True)
    if result.returncode != 0:
        fail(f"the database says: {result.stderr}")
    return result.stdout.strip()


def literal(value):
    return "'" + value.replace("'", "''") + "'"


for name in ("DEFAULT_ADMIN_PASSWORD", "DEFAULT_USER_PASSWORD", "DEFAULT_MANAGER_TOKEN", "DEFAULT_REGISTRATION_TOKEN"):
    if not env.get(name):
        fail(f"no {name}")
if sys.stdin.read() != "":
    fail("standard input is not empty")
with open(args.seed_file, encoding="utf8") as file:
    seed = json.load(file)
if psql("SELECT count(*) FROM settings") != "0":
    fail("this database is populated already")
installation = psql("SELECT gen_random_uuid()")
key = encryption.key_of(installation)
rows = [f"INSERT INTO installation (installation_id) VALUES ({literal(installation)});"]
for category, name, value in seed["settings"]:
    stored = encryption.encrypt(key, value)
    rows.append(f"INSERT INTO settings (category, name, value) VALUES ({literal(category)}, {literal(name)}, {literal(stored)});")
for zone in seed["zones"]:
    rows.append(f"INSERT INTO zones (zone_name) VALUES ({literal(zone)});")
for user in seed["users"]:
    rows.append(
        "INSERT INTO users (username, pw_hash, salt, realm, created, crypt_password, crypt_salt)"
        f" VALUES ({literal(user)}, repeat('0', 64), gen_random_uuid()::text, 'local', now(), 'x', 'y');"
    )
print("populating", flush=True)
psql("BEGIN;\n" + "\n".join(rows) + f"\nSELECT pg_sleep({float(env.get('KASM_TEST_SEED_SECONDS', '0'))});\nCOMMIT;")
print(f"populated: {len(seed['settings'])} settings", flush=True)
