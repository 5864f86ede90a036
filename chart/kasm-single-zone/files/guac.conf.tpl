# Beside guac: TLS for the proxy, and the workers of this very pod.
resolver {{ include "kasm.resolver" . }} valid=10s ipv6=off;

{{ include "kasm.guacUpstreams" . }}

server {
  listen 9000 ssl;
  ssl_certificate /etc/nginx/tls/tls.crt;
  ssl_certificate_key /etc/nginx/tls/tls.key;
  include /etc/nginx/conf.d/headers.inc;
  add_header Strict-Transport-Security max-age=63072000 always;

  {{- include "kasm.guacLocations" . | nindent 2 }}
}
