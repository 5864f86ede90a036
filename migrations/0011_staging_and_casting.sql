-- Staging (sessions started in advance) and casting (links that start a session).

CREATE TABLE staging_configs (
    staging_config_id                             uuid             DEFAULT gen_random_uuid() PRIMARY KEY,
    image_id                                      uuid             NOT NULL REFERENCES images (image_id),
    zone_id                                       uuid             NOT NULL REFERENCES zones (zone_id),

    server_pool_id                                uuid             REFERENCES server_pools (server_pool_id),
    autoscale_config_id                           uuid             REFERENCES autoscale_configs (autoscale_config_id),

    num_sessions                                  integer          NOT NULL,
    expiration                                    double precision NOT NULL,

    allow_kasm_audio                              boolean          DEFAULT true,
    allow_kasm_microphone                         boolean          DEFAULT false,
    allow_kasm_webcam                             boolean          DEFAULT false,
    allow_kasm_gamepad                            boolean          DEFAULT false,
    allow_kasm_printing                           boolean          DEFAULT false,

    allow_kasm_clipboard_down                     boolean          DEFAULT true,
    allow_kasm_clipboard_up                       boolean          DEFAULT true,
    allow_kasm_downloads                          boolean          DEFAULT true,
    allow_kasm_uploads                            boolean          DEFAULT true,
    allow_kasm_rdp_client_file_transfer_clipboard boolean          DEFAULT false
);
COMMENT ON TABLE staging_configs IS 'Sessions of an image that are started before anyone asks for one.';
COMMENT ON COLUMN staging_configs.num_sessions IS 'How many are kept ready.';
COMMENT ON COLUMN staging_configs.expiration IS 'After how long an unused one is replaced.';
CREATE INDEX kasm_db_staging_configs_image_id_idx ON staging_configs (image_id);
CREATE INDEX kasm_db_staging_configs_zone_id_idx ON staging_configs (zone_id);
CREATE INDEX kasm_db_staging_configs_server_pool_id_idx ON staging_configs (server_pool_id);
CREATE INDEX kasm_db_staging_configs_autoscale_config_id_idx ON staging_configs (autoscale_config_id);

CREATE TABLE cast_configs (
    cast_config_id                                uuid      DEFAULT gen_random_uuid() PRIMARY KEY,
    casting_config_name                           varchar   NOT NULL,
    key                                           varchar   NOT NULL,

    image_id                                      uuid      NOT NULL REFERENCES images (image_id),
    group_id                                      uuid      REFERENCES groups (group_id),

    allow_anonymous                               boolean   DEFAULT false,
    require_recaptcha                             boolean   DEFAULT false,
    allowed_referrers                             json      DEFAULT '[]',
    valid_until                                   timestamp,

    limit_sessions                                boolean   DEFAULT false,
    session_remaining                             integer,
    limit_ips                                     boolean   DEFAULT false,
    ip_request_limit                              integer,
    ip_request_seconds                            integer,

    allow_resume                                  boolean   DEFAULT false,
    enable_sharing                                boolean   DEFAULT false,
    enforce_client_settings                       boolean   DEFAULT false,

    kasm_url                                      varchar,
    dynamic_kasm_url                              boolean   DEFAULT false,
    error_url                                     varchar,
    launcher_background_url                       varchar,
    dynamic_docker_network                        boolean   DEFAULT false,
    remote_app_configs                            json      DEFAULT '{}',

    disable_control_panel                         boolean   DEFAULT false,
    disable_fixed_res                             boolean   DEFAULT false,
    disable_tips                                  boolean   DEFAULT false,
    kasm_audio_default_on                         boolean   DEFAULT true,
    kasm_ime_mode_default_on                      boolean   DEFAULT false,

    allow_kasm_audio                              boolean   DEFAULT true,
    allow_kasm_microphone                         boolean   DEFAULT false,
    allow_kasm_webcam                             boolean   DEFAULT false,
    allow_kasm_gamepad                            boolean   DEFAULT false,
    allow_kasm_printing                           boolean   DEFAULT false,
    allow_kasm_sharing                            boolean   DEFAULT false,
    allow_kasm_smart_card_passthrough             boolean   DEFAULT false,

    allow_kasm_clipboard_down                     boolean   DEFAULT true,
    allow_kasm_clipboard_up                       boolean   DEFAULT true,
    allow_kasm_downloads                          boolean   DEFAULT true,
    allow_kasm_uploads                            boolean   DEFAULT true,

    allow_kasm_rdp_client_file_transfer_clipboard boolean   DEFAULT false,
    allow_kasm_rdp_map_local_drives               boolean   DEFAULT false,
    allow_kasm_rdp_webauthn_passthrough           boolean   DEFAULT false
);
COMMENT ON TABLE cast_configs IS 'Links that start a session of an image, for named users or for anyone.';
COMMENT ON COLUMN cast_configs.key IS 'The part of the link that names this configuration.';
COMMENT ON COLUMN cast_configs.group_id IS 'Group that anonymous users of the link are put into.';
COMMENT ON COLUMN cast_configs.session_remaining IS 'Sessions that may still be started when limit_sessions is set.';
COMMENT ON COLUMN cast_configs.ip_request_limit IS
    'Requests that one address may make within ip_request_seconds when limit_ips is set.';
COMMENT ON COLUMN cast_configs.kasm_url IS 'Address that the session opens.';
COMMENT ON COLUMN cast_configs.error_url IS 'Where the browser is sent when no session can be started.';
CREATE INDEX kasm_db_cast_configs_image_id_idx ON cast_configs (image_id);
CREATE INDEX kasm_db_cast_configs_group_id_idx ON cast_configs (group_id);
