-- Storage: cloud drives and buckets that are mounted into sessions, and files that are placed there.

CREATE TABLE storage_providers (
    storage_provider_id   uuid    DEFAULT gen_random_uuid() PRIMARY KEY,
    name                  varchar NOT NULL,
    storage_provider_type varchar,
    enabled               boolean DEFAULT true,

    client_id             varchar,
    client_secret         bytea,

    auth_url              varchar,
    auth_url_options      json    DEFAULT '{}',
    token_url             varchar,
    redirect_url          varchar,
    scope                 json    DEFAULT '[]',

    root_drive_url        varchar,
    webdav_url            varchar,

    default_target        varchar NOT NULL,
    volume_config         json    DEFAULT '{}',
    mount_config          json    DEFAULT '{}'
);
COMMENT ON TABLE storage_providers IS 'Kinds of storage that can be mounted, with the sign-in they need.';
COMMENT ON COLUMN storage_providers.client_secret IS 'Stored as bytes; treat as a secret.';
COMMENT ON COLUMN storage_providers.default_target IS 'Path in the session, unless the mapping names another.';
COMMENT ON COLUMN storage_providers.volume_config IS 'Options of the Docker volume.';

CREATE TABLE storage_mappings (
    storage_mapping_id   uuid    DEFAULT gen_random_uuid() PRIMARY KEY,
    storage_provider_id  uuid    NOT NULL REFERENCES storage_providers (storage_provider_id),
    name                 varchar NOT NULL,
    enabled              boolean DEFAULT true,

    user_id              uuid    REFERENCES users (user_id),
    group_id             uuid    REFERENCES groups (group_id),
    image_id             uuid    REFERENCES images (image_id),

    target               varchar,
    read_only            boolean DEFAULT false,
    config               varchar,
    oauth_token          varchar,

    s3_bucket            varchar,
    s3_access_key_id     varchar,
    s3_secret_access_key bytea,

    webdav_user          varchar,
    webdav_pass          bytea
);
COMMENT ON TABLE storage_mappings IS 'Storage of one provider, mounted for a user, a group or an image.';
COMMENT ON COLUMN storage_mappings.target IS 'Path in the session; NULL takes that of the provider.';
COMMENT ON COLUMN storage_mappings.oauth_token IS 'Treat as a secret.';
COMMENT ON COLUMN storage_mappings.s3_secret_access_key IS 'Stored as bytes; treat as a secret.';
COMMENT ON COLUMN storage_mappings.webdav_pass IS 'Stored as bytes; treat as a secret.';
CREATE INDEX kasm_db_storage_mappings_storage_provider_id_idx ON storage_mappings (storage_provider_id);
CREATE INDEX kasm_db_storage_mappings_user_id_idx ON storage_mappings (user_id);
CREATE INDEX kasm_db_storage_mappings_group_id_idx ON storage_mappings (group_id);
CREATE INDEX kasm_db_storage_mappings_image_id_idx ON storage_mappings (image_id);

CREATE TABLE file_mappings (
    file_map_id   uuid      DEFAULT gen_random_uuid() PRIMARY KEY,
    name          varchar   NOT NULL,
    description   varchar,
    file_type     varchar   NOT NULL,
    enabled       boolean   DEFAULT true,

    user_id       uuid      REFERENCES users (user_id),
    group_id      uuid      REFERENCES groups (group_id),
    image_id      uuid      REFERENCES images (image_id),
    kasm_id       uuid      REFERENCES kasms (kasm_id),

    destination   varchar   NOT NULL,
    content       bytea     NOT NULL,

    is_readable   boolean   DEFAULT true,
    is_writable   boolean   DEFAULT true,
    is_executable boolean   DEFAULT false,

    created       timestamp NOT NULL
);
COMMENT ON TABLE file_mappings IS
    'Files that are written into sessions of a user, a group, an image or into one session.';
COMMENT ON COLUMN file_mappings.destination IS 'Path in the session.';
CREATE INDEX kasm_db_file_mappings_user_id_idx ON file_mappings (user_id);
CREATE INDEX kasm_db_file_mappings_group_id_idx ON file_mappings (group_id);
CREATE INDEX kasm_db_file_mappings_image_id_idx ON file_mappings (image_id);
CREATE INDEX kasm_db_file_mappings_kasm_id_idx ON file_mappings (kasm_id);
