-- Zones, and the components that serve a zone: managers and connection proxies.

CREATE TABLE zones (
    zone_id                      uuid    DEFAULT gen_random_uuid() PRIMARY KEY,
    zone_name                    varchar NOT NULL,
    primary_manager_id           uuid, -- foreign key: below

    load_strategy                varchar DEFAULT 'most_sessions',
    search_alternate_zones       boolean DEFAULT true,
    prioritize_static_agents     boolean DEFAULT true,

    allow_origin_domain          varchar,
    upstream_auth_address        varchar,

    proxy_connections            boolean DEFAULT true,
    proxy_hostname               varchar,
    proxy_port                   integer DEFAULT 443,
    proxy_path                   varchar DEFAULT 'desktop',

    proxy_rdp_client_connections boolean DEFAULT true,
    proxy_rdp_hostname           varchar,
    proxy_rdp_port               integer DEFAULT 443,

    enable_rdp_direct_login      boolean DEFAULT false,
    enable_rdp_https_gw          boolean DEFAULT true,
    enable_rdp_https_gw_dlp      boolean DEFAULT false,
    verify_rdp_client_ip         boolean DEFAULT false
);
COMMENT ON TABLE zones IS 'Deployment zones: where sessions run and how browsers reach them.';
COMMENT ON COLUMN zones.primary_manager_id IS 'The manager that currently leads the zone; NULL until one has come up.';
COMMENT ON COLUMN zones.load_strategy IS 'How a server is picked for a new session, for example most_sessions.';
COMMENT ON COLUMN zones.allow_origin_domain IS 'May hold $request_host$, which stands for the host of the request.';
COMMENT ON COLUMN zones.upstream_auth_address IS
    'Address at which agents and proxies reach the API; may hold $request_host$, the host of the request.';
COMMENT ON COLUMN zones.proxy_hostname IS 'May hold $request_host$, which stands for the host of the request.';
COMMENT ON COLUMN zones.proxy_rdp_hostname IS 'May hold $request_host$, which stands for the host of the request.';

CREATE TABLE managers (
    manager_id              uuid             DEFAULT gen_random_uuid() PRIMARY KEY,
    manager_hostname        varchar,
    manager_version         varchar,
    zone_id                 uuid             NOT NULL REFERENCES zones (zone_id),

    enabled                 boolean,
    operational_status      varchar(48),
    first_reported          timestamp,
    last_reported           timestamp,

    cores                   integer,
    cpu_percent             double precision,
    memory_stats            jsonb,
    disk_stats              jsonb,

    gpu_percent             double precision,
    gpu_memory_used_percent double precision,
    gpu_temp                double precision
);
COMMENT ON TABLE managers IS 'Manager processes, each with its last reported state.';
CREATE INDEX kasm_db_managers_zone_id_idx ON managers (zone_id);

CREATE TABLE connection_proxies (
    connection_proxy_id     uuid             DEFAULT gen_random_uuid() PRIMARY KEY,
    connection_proxy_type   varchar          NOT NULL,
    zone_id                 uuid             NOT NULL REFERENCES zones (zone_id),

    server_address          varchar          NOT NULL,
    server_port             integer          NOT NULL,
    proxy_port              integer,
    auth_token              varchar,

    operational_status      varchar(48),
    first_reported          timestamp,
    last_reported           timestamp,

    cores                   integer,
    cpu_percent             double precision,
    memory_stats            jsonb,
    disk_stats              jsonb,

    gpu_percent             double precision,
    gpu_memory_used_percent double precision,
    gpu_temp                double precision
);
COMMENT ON TABLE connection_proxies IS
    'Connection proxies (Guacamole, RDP gateways), each with its last reported state.';
COMMENT ON COLUMN connection_proxies.auth_token IS 'Treat as a secret.';
CREATE INDEX kasm_db_connection_proxies_zone_id_idx ON connection_proxies (zone_id);

-- Foreign keys of tables that had to be created before their targets.
ALTER TABLE zones ADD CONSTRAINT zones_primary_manager_id_fkey
    FOREIGN KEY (primary_manager_id) REFERENCES managers (manager_id);
CREATE INDEX kasm_db_zones_primary_manager_id_idx ON zones (primary_manager_id);
