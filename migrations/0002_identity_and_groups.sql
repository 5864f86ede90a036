-- Identity and groups: companies, users and their preferences, groups with their members,
-- permissions and settings, and the keys of the developer API.

CREATE TABLE companies (
    company_id   uuid      DEFAULT gen_random_uuid() PRIMARY KEY,
    company_name varchar   NOT NULL,
    street       varchar,
    zip          varchar,
    city         varchar,
    country      varchar,
    created      timestamp NOT NULL
);
COMMENT ON TABLE companies IS 'Companies that users can be assigned to.';

CREATE TABLE users (
    user_id                     uuid         DEFAULT gen_random_uuid() PRIMARY KEY,
    username                    varchar(255),
    realm                       varchar(64)  DEFAULT 'local',
    email                       varchar,

    first_name                  varchar(64),
    last_name                   varchar(64),
    phone                       varchar(64),

    organization                varchar(64),
    company_id                  uuid         REFERENCES companies (company_id),
    city                        varchar,
    state                       varchar,
    country                     varchar,
    notes                       text,

    pw_hash                     varchar(128),
    salt                        varchar(64),
    crypt_password              bytea        NOT NULL,
    crypt_salt                  bytea        NOT NULL,
    password_set_date           timestamp,
    failed_pw_attempts          integer,
    email_pw_reset_request_date timestamp,
    email_confirm_token         varchar(64),

    secret                      varchar,
    set_two_factor              boolean      DEFAULT false,
    anonymous                   boolean      DEFAULT false,
    disabled                    boolean      DEFAULT false,
    locked                      boolean      DEFAULT false,

    saml_id                     uuid, -- foreign key: 0003_sign_in_providers
    oidc_id                     uuid, -- foreign key: 0003_sign_in_providers
    sso_ep                      bytea,

    custom_attribute_1          varchar,
    custom_attribute_2          varchar,
    custom_attribute_3          varchar,

    stripe_id                   varchar(64),
    plan_id                     varchar(64),
    plan_start_date             timestamp,
    plan_end_date               timestamp,
    program_id                  varchar,
    subscription_id             varchar(64),
    created                     timestamp    NOT NULL
);
COMMENT ON TABLE users IS 'Accounts: local ones, those that came from a sign-in provider, and anonymous ones.';
COMMENT ON COLUMN users.realm IS 'Where the account is authenticated; local means by its own password.';
COMMENT ON COLUMN users.pw_hash IS 'Lower-case hex SHA-256 of the password followed by salt.';
COMMENT ON COLUMN users.salt IS 'A UUID written as text.';
COMMENT ON COLUMN users.crypt_password IS 'Random bytes for encrypting the data of this user; not the login password.';
COMMENT ON COLUMN users.crypt_salt IS 'Random bytes that go with crypt_password.';
COMMENT ON COLUMN users.secret IS 'Shared secret of the second factor.';
COMMENT ON COLUMN users.set_two_factor IS 'Whether a second factor has been set up.';
COMMENT ON COLUMN users.failed_pw_attempts IS 'Wrong passwords since the last good one; locked follows from too many.';
CREATE INDEX kasm_db_users_company_id_idx ON users (company_id);
CREATE INDEX kasm_db_users_username_idx ON users (username);

CREATE TABLE user_attributes (
    user_attributes_id   uuid    DEFAULT gen_random_uuid() PRIMARY KEY,
    user_id              uuid    NOT NULL REFERENCES users (user_id),
    default_image        uuid, -- foreign key: 0010_images_and_registries
    user_login_to_kasm   boolean,
    preferred_language   varchar,
    preferred_timezone   varchar,
    theme                varchar,
    show_tips            boolean,
    toggle_control_panel boolean,
    ssh_public_key       varchar NOT NULL,
    ssh_private_key      bytea   NOT NULL
);
COMMENT ON TABLE user_attributes IS 'Preferences of one user, and the SSH key pair generated for this user.';
COMMENT ON COLUMN user_attributes.default_image IS 'Image that starts by default for this user.';
COMMENT ON COLUMN user_attributes.ssh_private_key IS 'Stored as bytes; treat as a secret.';
CREATE INDEX kasm_db_user_attributes_user_id_idx ON user_attributes (user_id);

CREATE TABLE groups (
    group_id       uuid          DEFAULT gen_random_uuid() PRIMARY KEY,
    name           varchar(1024),
    description    varchar,
    priority       integer       DEFAULT 1000,
    is_system      boolean       DEFAULT false,
    group_metadata jsonb,
    program_data   jsonb
);
COMMENT ON TABLE groups IS 'Groups of users. Permissions, settings, images and mappings hang on groups.';
COMMENT ON COLUMN groups.priority IS
    'A lower number wins where settings of several groups differ. Not unique in practice.';
COMMENT ON COLUMN groups.is_system IS 'Groups that the application itself relies on, such as All Users.';

CREATE TABLE user_groups (
    user_group_id uuid DEFAULT gen_random_uuid() PRIMARY KEY,
    user_id       uuid NOT NULL REFERENCES users (user_id),
    group_id      uuid NOT NULL REFERENCES groups (group_id)
);
COMMENT ON TABLE user_groups IS 'Which users are in which groups.';
CREATE INDEX kasm_db_user_groups_user_id_idx ON user_groups (user_id);
CREATE INDEX kasm_db_user_groups_group_id_idx ON user_groups (group_id);

CREATE TABLE group_settings (
    group_setting_id uuid         DEFAULT gen_random_uuid() PRIMARY KEY,
    group_id         uuid         REFERENCES groups (group_id),
    name             varchar(255),
    value            varchar      DEFAULT '',
    value_type       varchar(48),
    description      varchar      DEFAULT ''
);
COMMENT ON TABLE group_settings IS 'Settings per group, and the system-wide defaults for them.';
COMMENT ON COLUMN group_settings.group_id IS
    'NULL marks the system default for this name; a row with a group overrides it.';
COMMENT ON COLUMN group_settings.value IS 'Always text; value_type says how to read it.';
CREATE INDEX kasm_db_group_settings_group_id_idx ON group_settings (group_id);

CREATE TABLE api_configs (
    api_id              uuid         DEFAULT gen_random_uuid() PRIMARY KEY,
    name                varchar      NOT NULL,
    api_key             varchar(12)  NOT NULL,
    api_key_secret_hash varchar(128) NOT NULL,
    salt                varchar(64)  NOT NULL,
    enabled             boolean      DEFAULT true,
    read_only           boolean      DEFAULT true,
    expires             timestamp,
    last_used           timestamp,
    created             timestamp    NOT NULL
);
COMMENT ON TABLE api_configs IS 'Keys of the developer API.';
COMMENT ON COLUMN api_configs.api_key IS 'The public half of the key, at most 12 characters.';
COMMENT ON COLUMN api_configs.api_key_secret_hash IS 'Lower-case hex SHA-256 of the secret half followed by salt.';
CREATE INDEX kasm_db_api_configs_api_key_idx ON api_configs (api_key);

CREATE TABLE group_permissions (
    group_permission_id uuid    DEFAULT gen_random_uuid() PRIMARY KEY,
    permission_id       integer NOT NULL,
    group_id            uuid    REFERENCES groups (group_id),
    api_id              uuid    REFERENCES api_configs (api_id)
);
COMMENT ON TABLE group_permissions IS 'Permissions granted to a group or to an API key.';
COMMENT ON COLUMN group_permissions.permission_id IS
    'Number of the permission: 100 plain user, 200 global administrator, and so on.';
COMMENT ON COLUMN group_permissions.group_id IS 'Set when a group has the permission; api_id is NULL then.';
COMMENT ON COLUMN group_permissions.api_id IS 'Set when an API key has the permission; group_id is NULL then.';
CREATE INDEX kasm_db_group_permissions_group_id_idx ON group_permissions (group_id);
CREATE INDEX kasm_db_group_permissions_api_id_idx ON group_permissions (api_id);
