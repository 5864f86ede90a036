{{- $legacy := include "kasm.legacy" . -}}
# The front door. Where a session runs is asked of the API for each request, so names are looked up while requests come in.
resolver {{ include "kasm.resolver" . }} valid=10s ipv6=off;

upstream api {
  server kasm-api:8080;
  keepalive 16;
}
upstream manager {
  server kasm-manager:8181;
  keepalive 16;
}
{{- if $legacy }}
{{- if .Values.guac.enabled }}
upstream guac {
  server kasm-guac:3000;
}
upstream guac_workers {
  {{- range $i := until (int .Values.guac.workers) }}
  server kasm-guac:{{ add 3001 $i }};
  {{- end }}
}
{{- end }}
{{- end }}

server {
  listen 8080;
  listen 8443 ssl;
  ssl_certificate /etc/nginx/tls/tls.crt;
  ssl_certificate_key /etc/nginx/tls/tls.key;

  include /etc/nginx/conf.d/headers.inc;
  add_header Strict-Transport-Security max-age=63072000 always;
  add_header X-Content-Type-Options nosniff always;

  # Errors of upstreams tell nobody what is behind.
  proxy_intercept_errors on;
  error_page 500 @error;
  location @error {
    default_type text/html;
    return 500 '<h1>Internal error</h1>';
  }

  location = /checkvalid {
    default_type text/plain;
    add_header Access-Control-Allow-Origin *;
    return 200 ok;
  }

  location / {
    # /workspace/<name>/… is the same site under another address.
    rewrite ^/workspace/[^/]+/(.*)$ /$1 last;
    root /srv/www;
    expires 4h;
    add_header Cache-Control private;
    add_header X-Robots-Tag 'noindex, nofollow, nosnippet, noarchive';
    add_header Strict-Transport-Security max-age=63072000 always;
    add_header X-Content-Type-Options nosniff always;
  }

  location /api/ {
    proxy_pass http://api;
  }
  location /api/subscriptions/ {
    add_header Access-Control-Allow-Origin https://www.kasmweb.com always;
    add_header Access-Control-Allow-Credentials true always;
    add_header Access-Control-Allow-Methods 'GET, POST, OPTIONS' always;
    add_header Access-Control-Allow-Headers 'Authorization, Content-Type, Accept, Cache-Control, X-Requested-With' always;
    if ($request_method = OPTIONS) {
      return 204;
    }
    proxy_pass http://api;
  }
  # Agents and connection proxies.
  location /manager_api/ {
    proxy_pass http://manager/;
  }

  # Who may see which session, and where it runs, stands in the answer's headers.
  location = /kasm_connect {
    internal;
    proxy_pass http://api/api/kasm_connect/;
    proxy_pass_request_body off;
    proxy_set_header Content-Length '';
    proxy_set_header Connection '';
    proxy_set_header X-Original-URI $request_uri;
    proxy_set_header Cookie 'username=$cookie_username; session_token=$cookie_session_token; kasm_client_key=$cookie_kasm_client_key';
  }
  location /desktop/ {
    if ($request_method = OPTIONS) {
      rewrite ^ /preflight last;
    }
    auth_request /kasm_connect;
    auth_request_set $session_host $upstream_http_connect_hostname;
    auth_request_set $session_port $upstream_http_connect_port;
    auth_request_set $session_path $upstream_http_connect_path;
    auth_request_set $session_auth $upstream_http_connect_auth;
    auth_request_set $session_id $upstream_http_connect_kasm_id;
    auth_request_set $session_scheme $upstream_http_connect_schema;
    include /etc/nginx/conf.d/headers.inc;
    proxy_set_header Authorization $session_auth;
    proxy_set_header X-Kasm-ID $session_id;
    proxy_set_header Cookie 'username=$cookie_username; session_token=$cookie_session_token; kasm_client_key=$cookie_kasm_client_key';
    rewrite ^/desktop/(.*)$ /$1 break;
    proxy_pass $session_scheme://$session_host:$session_port/$session_path;
    proxy_buffering off;
    proxy_connect_timeout 1800s;
    proxy_read_timeout 1800s;
    proxy_send_timeout 1800s;
    proxy_hide_header Access-Control-Allow-Origin;
    proxy_hide_header Access-Control-Allow-Credentials;
    proxy_hide_header Access-Control-Allow-Methods;
    proxy_hide_header Access-Control-Allow-Headers;
    add_header Access-Control-Allow-Origin $http_origin always;
    add_header Access-Control-Allow-Credentials true always;
    add_header Strict-Transport-Security max-age=63072000 always;
    add_header X-Content-Type-Options nosniff always;
  }
  location = /preflight {
    internal;
    add_header Access-Control-Allow-Origin $http_origin always;
    add_header Access-Control-Allow-Credentials true always;
    add_header Access-Control-Allow-Methods 'GET, POST, OPTIONS' always;
    add_header Access-Control-Allow-Headers 'Content-Type, Cache-Control, Range, X-Requested-With' always;
    return 204;
  }
{{- if .Values.rdpHttpsGateway.enabled }}

  # RDP over HTTPS: Microsoft's gateway protocol, as WebSocket or as RPC over HTTP.
  {{- if $legacy }}
  location ~ ^/(rdp-https-gateway|remoteDesktopGateway)/ {
    set $gateway rdp-https-gateway.{{ .Values.namespace }}.svc.{{ .Values.clusterDomain }};
    proxy_pass https://$gateway:9443;
    proxy_read_timeout 3600s;
    proxy_send_timeout 3600s;
  }
  location /rpc {
    gzip off;
    set $gateway rdp-https-gateway.{{ .Values.namespace }}.svc.{{ .Values.clusterDomain }};
    proxy_pass https://$gateway:9443;
    proxy_buffering off;
    proxy_request_buffering off;
    proxy_read_timeout 3600s;
    proxy_send_timeout 3600s;
  }
  {{- else }}
  location = /remote_desktop_lookup {
    internal;
    proxy_pass http://api/api/remote_desktop_lookup/;
    proxy_pass_request_body off;
    proxy_set_header Content-Length '';
    proxy_set_header Connection '';
    proxy_set_header X-Original-URI $request_uri;
  }
  location ~ ^/(remoteDesktopGateway/|rpc) {
    gzip off;
    auth_request /remote_desktop_lookup;
    auth_request_set $rdp_host $upstream_http_rdp_connect_hostname;
    auth_request_set $rdp_port $upstream_http_rdp_connect_port;
    proxy_pass https://$rdp_host:$rdp_port;
    proxy_buffering off;
    proxy_request_buffering off;
    proxy_redirect off;
    proxy_read_timeout 3600s;
    proxy_send_timeout 3600s;
  }
  {{- end }}
{{- end }}
{{- if $legacy }}

  location /api/share/ {
    proxy_pass http://kasm-share:8182;
    proxy_read_timeout 1800s;
  }
{{- if .Values.rdpGateway.enabled }}
  location /rdp-gateway/ {
    proxy_pass http://rdp-gateway:5555/;
  }
{{- end }}
{{- if .Values.guac.enabled }}

  location ~ ^/kasmguac/[0-9a-fA-F-]+/(.*)$ {
    rewrite ^/kasmguac/[^/]+/(.*)$ /guac_connect/$1 last;
  }
  {{- include "kasm.guacLocations" . | nindent 2 }}
{{- end }}
{{- end }}
}
