-- Images (workspaces in the user interface) and the registries they are installed from.

CREATE TABLE registries (
    registry_id    uuid         DEFAULT gen_random_uuid() PRIMARY KEY,
    registry_url   varchar(255),
    channel        varchar(255),
    schema_version varchar(255),
    kasm_version   varchar(20),
    do_auto_update boolean      DEFAULT false,
    config         jsonb        DEFAULT '{}'
);
COMMENT ON TABLE registries IS 'Registries that offer images for installation.';
COMMENT ON COLUMN registries.kasm_version IS 'The Kasm release that the registry content is taken for.';

CREATE TABLE images (
    image_id                      uuid             DEFAULT gen_random_uuid() PRIMARY KEY,
    friendly_name                 varchar(255),
    name                          varchar(255),
    image_type                    varchar          DEFAULT 'Container',
    image_src                     varchar(255),
    description                   varchar,
    notes                         varchar,
    categories                    json             DEFAULT '[]',

    enabled                       boolean          DEFAULT true,
    available                     boolean          DEFAULT true,
    hidden                        boolean          DEFAULT false,

    docker_registry               varchar,
    docker_user                   varchar(255),
    docker_token                  varchar,
    hash                          varchar(255),
    uncompressed_size_bytes       bigint,

    server_id                     uuid             REFERENCES servers (server_id),
    server_pool_id                uuid             REFERENCES server_pools (server_pool_id),
    link_url                      varchar,

    cores                         double precision,
    memory_bytes                  bigint,
    cpu_allocation_method         varchar,

    require_gpu                   boolean          DEFAULT false,
    gpu_count                     integer,
    gpu_video_encoding            json,
    gpu_graphics_acceleration     json,

    run_config                    json             DEFAULT '{}',
    exec_config                   json             DEFAULT '{}',
    launch_config                 json             DEFAULT '{}',
    volume_mappings               json             DEFAULT '{}',
    persistent_profile_path       varchar,
    enforce_workspace_persistence boolean          DEFAULT false,

    restrict_to_zone              boolean          DEFAULT false,
    zone_id                       uuid             REFERENCES zones (zone_id),
    restrict_to_server            boolean          DEFAULT false,
    restrict_to_network           boolean          DEFAULT false,
    restrict_network_names        json             DEFAULT '[]',
    allow_network_selection       boolean          DEFAULT false,
    override_egress_gateways      boolean          DEFAULT false,

    filter_policy_id              uuid             REFERENCES filter_policies (filter_policy_id),
    filter_policy_force_disabled  boolean          DEFAULT false,
    session_banner_id             uuid             REFERENCES banners (banner_id),
    session_banner_force_disabled boolean          DEFAULT false,
    session_time_limit            integer,

    is_remote_app                 boolean          DEFAULT false,
    remote_app_name               varchar,
    remote_app_program            varchar,
    remote_app_args               varchar,
    remote_app_icon               varchar,
    rdp_client_type               varchar,

    x_res                         integer,
    y_res                         integer,
    created_at                    timestamp,
    updated_at                    timestamp
);
COMMENT ON TABLE images IS 'Workspaces: a container image, a server, a pool or a link that users can start.';
COMMENT ON COLUMN images.name IS 'Reference of the container image, as given to docker pull.';
COMMENT ON COLUMN images.image_src IS 'Picture shown for the workspace.';
COMMENT ON COLUMN images.available IS 'Whether the image is present where it can be started.';
COMMENT ON COLUMN images.docker_token IS 'Treat as a secret.';
COMMENT ON COLUMN images.cores IS 'Fractions of a core are allowed.';
COMMENT ON COLUMN images.cpu_allocation_method IS 'Quotas or Shares; NULL takes the global setting.';
COMMENT ON COLUMN images.run_config IS 'Overrides for starting the container.';
COMMENT ON COLUMN images.exec_config IS 'Commands that run inside the container at certain moments.';
COMMENT ON COLUMN images.filter_policy_force_disabled IS 'No web filter for this image, whatever the groups say.';
COMMENT ON COLUMN images.session_banner_force_disabled IS 'No banner for this image, whatever the groups say.';
CREATE INDEX kasm_db_images_server_id_idx ON images (server_id);
CREATE INDEX kasm_db_images_server_pool_id_idx ON images (server_pool_id);
CREATE INDEX kasm_db_images_zone_id_idx ON images (zone_id);
CREATE INDEX kasm_db_images_filter_policy_id_idx ON images (filter_policy_id);
CREATE INDEX kasm_db_images_session_banner_id_idx ON images (session_banner_id);

CREATE TABLE image_attributes (
    attr_id  uuid         DEFAULT gen_random_uuid() PRIMARY KEY,
    image_id uuid         NOT NULL REFERENCES images (image_id) ON DELETE CASCADE,
    category varchar(48),
    name     varchar(255),
    value    varchar(255)
);
COMMENT ON TABLE image_attributes IS 'Extra name and value pairs of an image.';
CREATE INDEX kasm_db_image_attributes_image_id_idx ON image_attributes (image_id);

CREATE TABLE group_images (
    group_image_id uuid DEFAULT gen_random_uuid() PRIMARY KEY,
    group_id       uuid NOT NULL REFERENCES groups (group_id),
    image_id       uuid NOT NULL REFERENCES images (image_id) ON DELETE CASCADE
);
COMMENT ON TABLE group_images IS 'Which groups may use which images.';
CREATE INDEX kasm_db_group_images_group_id_idx ON group_images (group_id);
CREATE INDEX kasm_db_group_images_image_id_idx ON group_images (image_id);

-- Foreign keys of tables that had to be created before their targets.
ALTER TABLE user_attributes ADD CONSTRAINT user_attributes_default_image_fkey
    FOREIGN KEY (default_image) REFERENCES images (image_id);
CREATE INDEX kasm_db_user_attributes_default_image_idx ON user_attributes (default_image);
ALTER TABLE server_image_slots ADD CONSTRAINT server_image_slots_image_id_fkey
    FOREIGN KEY (image_id) REFERENCES images (image_id);
CREATE INDEX kasm_db_server_image_slots_image_id_idx ON server_image_slots (image_id);
