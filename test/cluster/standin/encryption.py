"""What Kasm's program and its API have in common: a key that only they can make, and how a value is encrypted with it."""

import hashlib
import subprocess


def connection(env):
    return {
        **env,
        "PGHOST": env["POSTGRES_HOST"],
        "PGPORT": env["POSTGRES_PORT"],
        "PGDATABASE": env["POSTGRES_DB"],
        "PGUSER": env["POSTGRES_USER"],
        "PGPASSWORD": env["POSTGRES_PASSWORD"],
        "PGSSLMODE": "require" if env.get("KASM_DB_SSL") == "true" else "disable",
    }


def key_of(installation):
    return hashlib.sha256(f"stand-in {installation}".encode()).hexdigest()


def openssl(key, direction, value):
    result = subprocess.run(
        ["openssl", "enc", direction, "-aes-256-cbc", "-a", "-A", "-K", key, "-iv", key[:32]], input=value, capture_output=True, text=True
    )
    if result.returncode != 0:
        raise ValueError(f"not encrypted with our key: {result.stderr.strip()}")
    return result.stdout


def encrypt(key, value):
    return openssl(key, "-e", value)


def decrypt(key, value):
    return openssl(key, "-d", value)
