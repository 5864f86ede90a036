# Beside the RDP over HTTPS gateway.
server {
  listen 9002 ssl;
  ssl_certificate /etc/nginx/tls/tls.crt;
  ssl_certificate_key /etc/nginx/tls/tls.key;
  include /etc/nginx/conf.d/headers.inc;

  location / {
    gzip off;
    proxy_pass https://127.0.0.1:9443;
    proxy_buffering off;
    proxy_request_buffering off;
    proxy_read_timeout 3600s;
    proxy_send_timeout 3600s;
  }
}
