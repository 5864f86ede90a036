"""Connects by libpq as it is told, a line of JSON each: {"conninfo": "...", "env": {...}} -> {"in": true} or {"why": "..."}."""
import json
import os
import sys

import psycopg.pq as pq

print(json.dumps({"version": pq.version()}), flush=True)
for line in sys.stdin:
    case = json.loads(line)
    for name in list(os.environ):
        if name != "PATH":
            del os.environ[name]
    os.environ.update(case["env"])
    connection = pq.PGconn.connect(case["conninfo"].encode())
    inside = connection.status == pq.ConnStatus.OK
    answer = {"in": inside, "why": connection.error_message.decode(errors="replace").strip()}
    connection.finish()
    print(json.dumps(answer), flush=True)
