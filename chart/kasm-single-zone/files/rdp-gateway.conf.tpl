# Beside the RDP gateway: TLS for its control port.
server {
  listen 9001 ssl;
  ssl_certificate /etc/nginx/tls/tls.crt;
  ssl_certificate_key /etc/nginx/tls/tls.key;
  include /etc/nginx/conf.d/headers.inc;

  location / {
    proxy_pass http://127.0.0.1:5555;
  }
  location /rdp-gateway/ {
    proxy_pass http://127.0.0.1:5555/;
  }
}
