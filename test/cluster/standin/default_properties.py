"""Prints the stand-in's seed file; JSON is YAML."""

import json

print(json.dumps({
    "alembic_version": "bfc22f00ad19",
    "settings": [["test", f"setting_{number}", f"plain value {number}"] for number in range(80)],
    "zones": ["default"],
    "users": ["admin@kasm.local", "user@kasm.local"],
}))
