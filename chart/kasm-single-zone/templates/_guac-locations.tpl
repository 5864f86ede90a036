{{/* guac and its workers, in the same pod. */}}
{{- define "kasm.guacUpstreams" -}}
upstream guac {
  server 127.0.0.1:3000;
  keepalive 16;
}
upstream guac_workers {
  zone guac_workers 512k;
  {{- range $i := until (int .Values.guac.workers) }}
  server 127.0.0.1:{{ add 3001 $i }};
  {{- end }}
}
{{- end -}}

{{/* Locations for guac: in the nginx beside it, and before 1.18 in the proxy. */}}
{{- define "kasm.guacLocations" -}}
location /guac_connect/vnc/ {
  proxy_pass http://guac/;
  proxy_buffering off;
  proxy_read_timeout 1800s;
  proxy_send_timeout 1800s;
}
location /guac_connect/vnc/vnc.htmlguaclite {
  proxy_pass http://guac_workers/vnc.htmlguaclite$is_args$args;
  proxy_buffering off;
  proxy_read_timeout 1800s;
  proxy_send_timeout 1800s;
}
location = /vm_connect {
  internal;
  proxy_pass http://guac/vm_connect;
  proxy_pass_request_body off;
  proxy_set_header Content-Length '';
  proxy_set_header Connection '';
  proxy_set_header X-Original-URI $request_uri;
}
# Files and the helper inside of the machine that is shown.
location ~ ^/guac_connect/(uploads|downloads|api)/ {
  auth_request /vm_connect;
  auth_request_set $session_host $upstream_http_connect_hostname;
  auth_request_set $session_port $upstream_http_connect_port;
  auth_request_set $session_auth $upstream_http_connect_auth;
  include /etc/nginx/conf.d/headers.inc;
  proxy_set_header Authorization 'Bearer $session_auth';
  rewrite ^/guac_connect/[^/]+/(.*)$ /$1 break;
  proxy_pass https://$session_host:$session_port;
  proxy_buffering off;
  proxy_read_timeout 1800s;
  proxy_send_timeout 1800s;
}
location /guac_login {
  proxy_pass http://guac/guac_login;
}
location /guac/ {
  proxy_pass http://guac/;
}
{{- end -}}
