"""Stands in for Kasm's API, manager, share, guac and RDP gateways: answers on their ports.

API, manager and share end at once when schema or seed are missing, or when they may make them themselves, as the real ones would break; with
KASM_TEST_ENCRYPTED also when a setting is not encrypted with the key of this installation.
The gateways end when the API does not answer, as the real ones do.
"""

import http.server
import os
import signal
import ssl
import subprocess
import sys
import threading
import urllib.request

import encryption

env = os.environ


def fail(text):
    print(text, flush=True)
    sys.exit(1)


def ask_database():
    """What the vendor's own readiness check asks, and that the alembic version is the one of 1.19.0."""
    query = (
        "SELECT (SELECT count(*) FROM zones) > 0 AND (SELECT count(*) FROM settings) > 70"
        " AND (SELECT count(*) FROM users WHERE pw_hash IS NOT NULL) = 2 AND (SELECT version_num FROM alembic_version) = 'bfc22f00ad19'"
    )
    result = psql(query)
    if result.stdout.strip() != "t":
        fail(f"no schema or no seed: {result.stdout} {result.stderr}")
    if "KASM_TEST_ENCRYPTED" in env:
        read_settings()


def psql(query):
    return subprocess.run(["psql", "-XAtc", query], env=encryption.connection(env), capture_output=True, text=True)


def read_settings():
    """As the real API does: decrypting anything else raises."""
    key = encryption.key_of(psql("SELECT installation_id FROM installation").stdout.strip())
    for value in psql("SELECT value FROM settings LIMIT 5").stdout.split():
        try:
            encryption.decrypt(key, value)
        except ValueError as error:
            fail(f"a setting cannot be read: {error}")


def main():
    if "POSTGRES_HOST" in env:
        if env.get("DB_AUTO_INITIALIZE") != "false":
            fail("this container would initialise the database")
        ask_database()
        ports = {"kasm-api": [8080], "kasm-manager": [8181], "kasm-share": [8182]}[env["SERVER_HOSTNAME"]]
    else:
        if not env.get("REGISTRATION_TOKEN"):
            fail("no REGISTRATION_TOKEN")
        try:
            urllib.request.urlopen(f"http://{env['API_HOSTNAME']}:{env['API_PORT']}/api/__healthcheck", timeout=5)
        except Exception as error:
            fail(f"no API: {error}")
        if "CLUSTER_SIZE" in env:
            ports = [3000, *(3001 + i for i in range(int(env["CLUSTER_SIZE"])))]
        else:
            ports = [5555, 3389] if "PROXY_PORT" in env else [9443]

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            # Where sessions run: the API's answers to the proxy's questions.
            self.send_response(200)
            if self.path.startswith("/api/remote_desktop_lookup"):
                self.send_header("rdp-connect-hostname", "rdp-https-gateway-0.rdp-https-gateway." + env.get("POD_NAMESPACE", "kasm-helm") + ".svc.cluster.local")
                self.send_header("rdp-connect-port", "9002")
            self.end_headers()
            self.wfile.write(f"{env.get('SERVER_HOSTNAME', 'guac')} {self.path}\n".encode())

        def log_message(self, *_):
            pass

    for port in ports:
        server = http.server.ThreadingHTTPServer(("", port), Handler)
        if port == 9443:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain("/opt/rdpgw/server.pem", "/opt/rdpgw/key.pem")
            server.socket = context.wrap_socket(server.socket, server_side=True)
        threading.Thread(target=server.serve_forever).start()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: os._exit(0))
    print(f"answers on {ports}", flush=True)
    while True:
        signal.pause()


main()
