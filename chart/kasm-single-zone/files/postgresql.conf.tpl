listen_addresses = '*'
unix_socket_directories = '/tmp,/var/run/postgresql'
max_connections = {{ int .Values.database.maxConnections }}
shared_buffers = 128MB
ssl = on
ssl_cert_file = '/etc/kasm/tls/tls.crt'
ssl_key_file = '/etc/kasm/tls/tls.key'
password_encryption = 'scram-sha-256'
# A statement of the application; kasm-db sets its own.
statement_timeout = 900s
idle_in_transaction_session_timeout = 300s
log_destination = 'stderr'
logging_collector = off
timezone = 'UTC'
