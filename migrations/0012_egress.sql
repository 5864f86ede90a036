-- Egress: VPN providers, their gateways and credentials, and who may leave through them.

CREATE TABLE egress_providers (
    egress_provider_id          uuid      DEFAULT gen_random_uuid() PRIMARY KEY,
    name                        varchar   NOT NULL,
    egress_provider_type        varchar   NOT NULL,
    enabled                     boolean,
    egress_plugin_id            varchar,
    external_id                 varchar,
    version                     varchar,
    enable_new_managed_gateways boolean,
    created                     timestamp NOT NULL
);
COMMENT ON TABLE egress_providers IS 'Providers of outgoing connections.';
COMMENT ON COLUMN egress_providers.egress_plugin_id IS
    'Refers to egress_plugins, a table that the published schema leaves out: no foreign key.';

CREATE TABLE egress_provider_ziti_configs (
    egress_provider_ziti_config_id uuid    DEFAULT gen_random_uuid() PRIMARY KEY,
    egress_provider_id             uuid    NOT NULL REFERENCES egress_providers (egress_provider_id),
    ziti_admin_identity            varchar NOT NULL
);
COMMENT ON TABLE egress_provider_ziti_configs IS 'What an OpenZiti provider needs beyond egress_providers.';
COMMENT ON COLUMN egress_provider_ziti_configs.ziti_admin_identity IS 'Treat as a secret.';
CREATE INDEX kasm_db_egress_provider_ziti_configs_egress_provider_id_idx
    ON egress_provider_ziti_configs (egress_provider_id);

CREATE TABLE egress_gateways (
    egress_gateway_id  uuid      DEFAULT gen_random_uuid() PRIMARY KEY,
    egress_provider_id uuid      NOT NULL REFERENCES egress_providers (egress_provider_id),
    name               varchar   NOT NULL,
    enabled            boolean,
    country            varchar   NOT NULL,
    city               varchar   NOT NULL,
    config             varchar,
    external_id        varchar,
    version            varchar,
    created            timestamp NOT NULL
);
COMMENT ON TABLE egress_gateways IS 'Exit points of a provider.';
CREATE INDEX kasm_db_egress_gateways_egress_provider_id_idx ON egress_gateways (egress_provider_id);

CREATE TABLE egress_credentials (
    egress_credential_id     uuid      DEFAULT gen_random_uuid() PRIMARY KEY,
    egress_provider_id       uuid      NOT NULL REFERENCES egress_providers (egress_provider_id),
    name                     varchar   NOT NULL,
    enabled                  boolean,

    user_id                  uuid      REFERENCES users (user_id),
    group_id                 uuid      REFERENCES groups (group_id),
    image_id                 uuid      REFERENCES images (image_id),

    egress_plugin_account_id uuid,
    external_id              varchar,

    username                 varchar,
    password                 varchar,
    wireguard_private_key    varchar,
    tailscale_key            varchar,
    custom_credential        varchar,

    limit_active_connections boolean,
    active_connection_limit  integer,
    allow_all_gateways       boolean,

    created                  timestamp NOT NULL
);
COMMENT ON TABLE egress_credentials IS 'Credentials for a provider, for one user, group or image, or for all.';
COMMENT ON COLUMN egress_credentials.egress_plugin_account_id IS
    'Refers to egress_plugin_accounts, a table that the published schema leaves out: no foreign key.';
COMMENT ON COLUMN egress_credentials.password IS 'Treat as a secret.';
COMMENT ON COLUMN egress_credentials.wireguard_private_key IS 'Treat as a secret.';
COMMENT ON COLUMN egress_credentials.tailscale_key IS 'Treat as a secret.';
COMMENT ON COLUMN egress_credentials.custom_credential IS 'Treat as a secret.';
COMMENT ON COLUMN egress_credentials.allow_all_gateways IS 'When not set, only those in egress_credential_gateways.';
CREATE INDEX kasm_db_egress_credentials_egress_provider_id_idx ON egress_credentials (egress_provider_id);
CREATE INDEX kasm_db_egress_credentials_user_id_idx ON egress_credentials (user_id);
CREATE INDEX kasm_db_egress_credentials_group_id_idx ON egress_credentials (group_id);
CREATE INDEX kasm_db_egress_credentials_image_id_idx ON egress_credentials (image_id);

CREATE TABLE egress_credential_gateways (
    egress_credential_id uuid NOT NULL REFERENCES egress_credentials (egress_credential_id),
    egress_gateway_id    uuid NOT NULL REFERENCES egress_gateways (egress_gateway_id),
    PRIMARY KEY (egress_credential_id, egress_gateway_id)
);
COMMENT ON TABLE egress_credential_gateways IS
    'Gateways that a credential may use.';
CREATE INDEX kasm_db_egress_credential_gateways_egress_credential_id_idx
    ON egress_credential_gateways (egress_credential_id);
CREATE INDEX kasm_db_egress_credential_gateways_egress_gateway_id_idx ON egress_credential_gateways (egress_gateway_id);

CREATE TABLE egress_provider_mappings (
    egress_provider_mapping_id uuid      DEFAULT gen_random_uuid() PRIMARY KEY,
    egress_provider_id         uuid      NOT NULL REFERENCES egress_providers (egress_provider_id),
    enabled                    boolean,
    user_id                    uuid      REFERENCES users (user_id),
    group_id                   uuid      REFERENCES groups (group_id),
    image_id                   uuid      REFERENCES images (image_id),
    allow_all_gateways         boolean,
    created                    timestamp NOT NULL
);
COMMENT ON TABLE egress_provider_mappings IS 'Offers a provider to a user, a group or an image.';
COMMENT ON COLUMN egress_provider_mappings.allow_all_gateways IS
    'When not set, only those in egress_provider_mapping_gateways.';
CREATE INDEX kasm_db_egress_provider_mappings_egress_provider_id_idx ON egress_provider_mappings (egress_provider_id);
CREATE INDEX kasm_db_egress_provider_mappings_user_id_idx ON egress_provider_mappings (user_id);
CREATE INDEX kasm_db_egress_provider_mappings_group_id_idx ON egress_provider_mappings (group_id);
CREATE INDEX kasm_db_egress_provider_mappings_image_id_idx ON egress_provider_mappings (image_id);

CREATE TABLE egress_provider_mapping_gateways (
    egress_provider_mapping_id uuid NOT NULL REFERENCES egress_provider_mappings (egress_provider_mapping_id),
    egress_gateway_id          uuid NOT NULL REFERENCES egress_gateways (egress_gateway_id),
    PRIMARY KEY (egress_provider_mapping_id, egress_gateway_id)
);
COMMENT ON TABLE egress_provider_mapping_gateways IS
    'Gateways that a mapping offers.';
CREATE INDEX kasm_db_egress_provider_mapping_gateways_mapping_id_idx
    ON egress_provider_mapping_gateways (egress_provider_mapping_id);
CREATE INDEX kasm_db_egress_provider_mapping_gateways_egress_gateway_id_idx
    ON egress_provider_mapping_gateways (egress_gateway_id);

CREATE TABLE ziti_identity_credentials (
    ziti_identity_credential_id uuid      DEFAULT gen_random_uuid() PRIMARY KEY,
    egress_provider_id          uuid      NOT NULL REFERENCES egress_providers (egress_provider_id),
    user_id                     uuid      REFERENCES users (user_id),
    image_id                    uuid      REFERENCES images (image_id),
    ziti_identity_id            varchar   NOT NULL,
    identity_json               varchar   NOT NULL,
    created                     timestamp NOT NULL
);
COMMENT ON TABLE ziti_identity_credentials IS 'OpenZiti identities that were issued for users or images.';
COMMENT ON COLUMN ziti_identity_credentials.identity_json IS 'Treat as a secret.';
CREATE INDEX kasm_db_ziti_identity_credentials_egress_provider_id_idx ON ziti_identity_credentials (egress_provider_id);
CREATE INDEX kasm_db_ziti_identity_credentials_user_id_idx ON ziti_identity_credentials (user_id);
CREATE INDEX kasm_db_ziti_identity_credentials_image_id_idx ON ziti_identity_credentials (image_id);
