# Before guac and the RDP gateways of this very pod: TLS for the proxy, API and manager.
resolver {{ include "kasm.resolver" . }} valid=10s ipv6=off;
{{- if .Values.guac.enabled }}

{{ include "kasm.guacUpstreams" . }}
{{- end }}

server {
  listen 8443 ssl;
  ssl_certificate /etc/nginx/tls/tls.crt;
  ssl_certificate_key /etc/nginx/tls/tls.key;
  include /etc/nginx/conf.d/headers.inc;
  add_header Strict-Transport-Security max-age=63072000 always;

  # Of this nginx; each container behind it has a probe of its own.
  location = /__healthcheck {
    default_type text/plain;
    return 200 ok;
  }
{{- if .Values.guac.enabled }}

  {{- include "kasm.guacLocations" . | nindent 2 }}
{{- else }}

  # The end of a session is told to whatever has registered, and only guac has something to do then.
  location = /guac/vm_disconnect {
    return 200;
  }
{{- end }}
{{- if .Values.rdpGateway.enabled }}

  location /rdp-gateway/ {
    proxy_pass http://127.0.0.1:5555/;
  }
{{- end }}
{{- if .Values.rdpHttpsGateway.enabled }}

  location ~ ^/(rdp-https-gateway/|remoteDesktopGateway|rpc) {
    gzip off;
    proxy_pass https://127.0.0.1:9443;
    proxy_buffering off;
    proxy_request_buffering off;
    proxy_read_timeout 3600s;
    proxy_send_timeout 3600s;
  }
{{- end }}
}
