-- Sessions: those that run, who may join them, login tokens, and the record of past sessions.

CREATE TABLE kasms (
    kasm_id               uuid             DEFAULT gen_random_uuid() PRIMARY KEY,
    user_id               uuid             REFERENCES users (user_id),
    image_id              uuid             REFERENCES images (image_id),
    is_standby            boolean,

    server_id             uuid             REFERENCES servers (server_id),
    autoscale_config_id   uuid             REFERENCES autoscale_configs (autoscale_config_id),
    staging_config_id     uuid             REFERENCES staging_configs (staging_config_id),
    cast_config_id        uuid             REFERENCES cast_configs (cast_config_id),
    connection_proxy_id   uuid             REFERENCES connection_proxies (connection_proxy_id),

    operational_status    varchar(48),
    operational_message   varchar,
    operational_progress  integer,
    queued_tasks          jsonb,

    created_date          timestamp        NOT NULL,
    start_date            timestamp,
    keepalive_date        timestamp        NOT NULL,
    expiration_date       timestamp        NOT NULL,

    hostname              varchar(255),
    container_id          varchar(255),
    container_ip          varchar,
    docker_network        varchar,
    docker_environment    json,

    cores                 double precision,
    memory_bytes          bigint,
    gpus                  integer,

    token                 varchar(48),
    view_only_token       varchar(48),
    api_token             varchar(48),
    share_id              varchar(48),

    connection_info       varchar,
    connection_credential varchar,
    rdp_client_type       varchar,

    egress_gateway_id     uuid             REFERENCES egress_gateways (egress_gateway_id),
    egress_credential_id  uuid             REFERENCES egress_credentials (egress_credential_id)
);
COMMENT ON TABLE kasms IS
    'Sessions that exist now: a container or a remote desktop in use, paused, stopped or kept ready.';
COMMENT ON COLUMN kasms.user_id IS 'NULL for a session that is kept ready and not yet handed to anyone.';
COMMENT ON COLUMN kasms.token IS 'Treat as a secret.';
COMMENT ON COLUMN kasms.view_only_token IS 'Treat as a secret.';
COMMENT ON COLUMN kasms.api_token IS 'Treat as a secret.';
COMMENT ON COLUMN kasms.connection_credential IS 'Treat as a secret.';
COMMENT ON COLUMN kasms.keepalive_date IS 'When the client was last heard of.';
COMMENT ON COLUMN kasms.expiration_date IS 'When the session ends if nobody prolongs it.';
CREATE INDEX kasm_db_kasms_user_id_idx ON kasms (user_id);
CREATE INDEX kasm_db_kasms_image_id_idx ON kasms (image_id);
CREATE INDEX kasm_db_kasms_server_id_idx ON kasms (server_id);
CREATE INDEX kasm_db_kasms_autoscale_config_id_idx ON kasms (autoscale_config_id);
CREATE INDEX kasm_db_kasms_staging_config_id_idx ON kasms (staging_config_id);
CREATE INDEX kasm_db_kasms_cast_config_id_idx ON kasms (cast_config_id);
CREATE INDEX kasm_db_kasms_connection_proxy_id_idx ON kasms (connection_proxy_id);
CREATE INDEX kasm_db_kasms_egress_gateway_id_idx ON kasms (egress_gateway_id);
CREATE INDEX kasm_db_kasms_egress_credential_id_idx ON kasms (egress_credential_id);

CREATE TABLE kasm_attributes (
    attr_id  uuid         DEFAULT gen_random_uuid() PRIMARY KEY,
    kasm_id  uuid         NOT NULL REFERENCES kasms (kasm_id),
    category varchar(48),
    name     varchar(255),
    value    varchar(255)
);
COMMENT ON TABLE kasm_attributes IS 'Extra name and value pairs of a session.';
CREATE INDEX kasm_db_kasm_attributes_kasm_id_idx ON kasm_attributes (kasm_id);

CREATE TABLE session_permissions (
    session_permission_id uuid    DEFAULT gen_random_uuid() PRIMARY KEY,
    kasm_id               uuid    NOT NULL REFERENCES kasms (kasm_id),
    user_id               uuid    NOT NULL REFERENCES users (user_id),
    access                varchar NOT NULL,
    vnc_username          varchar NOT NULL,
    vnc_password          bytea   NOT NULL
);
COMMENT ON TABLE session_permissions IS 'Other users that may join a session.';
COMMENT ON COLUMN session_permissions.access IS 'What the user may do in the session.';
COMMENT ON COLUMN session_permissions.vnc_password IS 'Stored as bytes; treat as a secret.';
CREATE INDEX kasm_db_session_permissions_kasm_id_idx ON session_permissions (kasm_id);
CREATE INDEX kasm_db_session_permissions_user_id_idx ON session_permissions (user_id);

CREATE TABLE session_tokens (
    session_token_id        uuid      DEFAULT gen_random_uuid() PRIMARY KEY,
    user_id                 uuid      NOT NULL REFERENCES users (user_id),
    session_date            timestamp NOT NULL,
    session_expiration_date timestamp,
    oidc_iss_claim          varchar,
    oidc_sid_claim          varchar,
    oidc_sub_claim          varchar
);
COMMENT ON TABLE session_tokens IS 'Logins of users to the web application.';
COMMENT ON COLUMN session_tokens.oidc_sid_claim IS
    'With the other two claims it finds the login that a provider wants ended.';
CREATE INDEX kasm_db_session_tokens_user_id_idx ON session_tokens (user_id);

CREATE TABLE used_refresh_tokens (
    token_payload varchar PRIMARY KEY,
    token_expires integer NOT NULL
);
COMMENT ON TABLE used_refresh_tokens IS
    'Refresh tokens that were already exchanged.';
COMMENT ON COLUMN used_refresh_tokens.token_expires IS 'A number, presumably seconds since 1970.';

CREATE TABLE accounting (
    account_id          uuid             DEFAULT gen_random_uuid() PRIMARY KEY,
    kasm_id             uuid,

    user_id             uuid,
    user_name           varchar(255),
    user_ip             varchar,
    group_ids           jsonb,

    image_id            uuid,
    image_name          varchar,
    image_friendly_name varchar,
    image_src           varchar,

    server_id           uuid,
    server_hostname     varchar,
    zone_id             uuid,
    zone_name           varchar,

    cast_config_id      uuid,
    staging_config_id   uuid,

    container_id        varchar,
    container_ip        varchar,
    docker_network      varchar,

    is_queued           boolean,
    created_date        timestamp,
    start_date          timestamp,
    destroyed_date      timestamp,
    destroy_reason      varchar(32),
    usage_hours         double precision
);
COMMENT ON TABLE accounting IS
    'Record of sessions, also of those that are gone. Holds copies, not references, so it outlives what it names.';
COMMENT ON COLUMN accounting.kasm_id IS
    'No foreign key, like every id of this table: the row stays when the session is gone.';

CREATE TABLE session_recordings (
    recording_id               uuid    DEFAULT gen_random_uuid() PRIMARY KEY,
    account_id                 uuid    NOT NULL REFERENCES accounting (account_id),
    session_recording_url      varchar,
    session_recording_metadata jsonb
);
COMMENT ON TABLE session_recordings IS 'Recordings of sessions.';
COMMENT ON COLUMN session_recordings.account_id IS 'The entry of the session in accounting.';
CREATE INDEX kasm_db_session_recordings_account_id_idx ON session_recordings (account_id);
