-- Sign-in providers: OpenID Connect, SAML, LDAP and Active Directory, how their attributes and
-- groups map to Kasm's, and second factors.

CREATE TABLE oidc_configs (
    oidc_id                    uuid    DEFAULT gen_random_uuid() PRIMARY KEY,
    display_name               varchar NOT NULL,
    hostname                   varchar,
    logo_url                   varchar,

    enabled                    boolean DEFAULT true,
    is_default                 boolean DEFAULT false,
    auto_login                 boolean DEFAULT false,
    debug                      boolean DEFAULT false,

    client_id                  varchar NOT NULL,
    client_secret              bytea   NOT NULL,

    auth_url                   varchar NOT NULL,
    token_url                  varchar NOT NULL,
    user_info_url              varchar NOT NULL,
    redirect_url               varchar NOT NULL,
    issuer                     varchar,

    scope                      json    DEFAULT '[]',
    username_attribute         varchar NOT NULL,
    groups_attribute           varchar,

    logout_with_oidc_provider  boolean NOT NULL,
    enable_frontchannel_logout boolean NOT NULL
);
COMMENT ON TABLE oidc_configs IS 'OpenID Connect providers.';
COMMENT ON COLUMN oidc_configs.hostname IS 'Host name of the login page on which this provider is offered.';
COMMENT ON COLUMN oidc_configs.client_secret IS 'Stored as bytes; treat as a secret.';
COMMENT ON COLUMN oidc_configs.scope IS 'List of the scopes to ask for.';

CREATE TABLE saml_config (
    saml_id                   uuid         DEFAULT gen_random_uuid() PRIMARY KEY,
    display_name              varchar(255),
    hostname                  varchar(255),
    logo_url                  varchar,

    enabled                   boolean      DEFAULT true,
    is_default                boolean      DEFAULT false,
    auto_login                boolean      DEFAULT false,
    adfs                      boolean      DEFAULT false,
    strict                    boolean      DEFAULT false,
    debug                     boolean      DEFAULT false,

    idp_entity_id             varchar(255),
    idp_sso_url               varchar(255),
    idp_slo_url               varchar(255),
    idp_x509_cert             varchar,

    sp_entity_id              varchar(255),
    sp_acs_url                varchar(255),
    sp_slo_url                varchar(255),
    sp_name_id                varchar(255),
    sp_x509_cert              varchar,
    sp_private_key            varchar,

    group_attribute           varchar(255),

    signature_algorithm       text,
    digest_algorithm          text,

    authn_request_signed      boolean      DEFAULT false,
    logout_request_signed     boolean      DEFAULT false,
    logout_response_signed    boolean      DEFAULT false,
    sign_metadata             boolean      DEFAULT false,

    name_id_encrypted         boolean      DEFAULT false,
    requested_authn_context   boolean      DEFAULT false,

    want_assertions_encrypted boolean      DEFAULT false,
    want_assertions_signed    boolean      DEFAULT false,
    want_attribute_statement  boolean      DEFAULT false,
    want_messages_signed      boolean      DEFAULT false,
    want_name_id              boolean      DEFAULT false,
    want_name_id_encrypted    boolean      DEFAULT false
);
COMMENT ON TABLE saml_config IS 'SAML 2.0 identity providers, with the service provider side of each.';
COMMENT ON COLUMN saml_config.hostname IS 'Host name of the login page on which this provider is offered.';
COMMENT ON COLUMN saml_config.adfs IS 'Set when the identity provider is Microsoft AD FS.';
COMMENT ON COLUMN saml_config.idp_slo_url IS 'Single logout address of the identity provider.';
COMMENT ON COLUMN saml_config.sp_acs_url IS 'Address at which Kasm receives the assertions.';
COMMENT ON COLUMN saml_config.sp_private_key IS 'Treat as a secret.';

CREATE TABLE ldap_configs (
    ldap_id                  uuid         DEFAULT gen_random_uuid() PRIMARY KEY,
    name                     varchar(255) NOT NULL,
    url                      varchar(255) NOT NULL,
    enabled                  boolean      DEFAULT true,

    service_account_dn       varchar(255),
    service_account_password varchar,

    search_base              varchar(255) NOT NULL,
    search_filter            varchar(255) NOT NULL,
    search_subtree           boolean      DEFAULT true,
    group_membership_filter  varchar(255) NOT NULL,

    email_attribute          varchar(255) DEFAULT 'mail',
    username_domain_match    varchar,

    auto_create_app_user     boolean      DEFAULT false,
    connection_timeout       integer      DEFAULT 10
);
COMMENT ON TABLE ldap_configs IS 'LDAP directories for sign-in.';
COMMENT ON COLUMN ldap_configs.service_account_password IS 'Treat as a secret.';
COMMENT ON COLUMN ldap_configs.search_subtree IS 'Whether the search goes below search_base.';
COMMENT ON COLUMN ldap_configs.auto_create_app_user IS 'Whether a first login creates the account in users.';

CREATE TABLE sso_to_group_mapping (
    sso_group_id         uuid    DEFAULT gen_random_uuid() PRIMARY KEY,
    group_id             uuid    NOT NULL REFERENCES groups (group_id),
    ldap_id              uuid    REFERENCES ldap_configs (ldap_id),
    saml_id              uuid    REFERENCES saml_config (saml_id),
    oidc_id              uuid    REFERENCES oidc_configs (oidc_id),
    sso_group_attributes varchar,
    apply_to_all_users   boolean DEFAULT false
);
COMMENT ON TABLE sso_to_group_mapping IS
    'Puts users of a sign-in provider into a group, by their attributes or all of them.';
COMMENT ON COLUMN sso_to_group_mapping.ldap_id IS
    'One of ldap_id, saml_id and oidc_id says which provider the mapping is for.';
COMMENT ON COLUMN sso_to_group_mapping.apply_to_all_users IS
    'The mapping holds for every user of the provider, whatever the attributes.';
CREATE INDEX kasm_db_sso_to_group_mapping_group_id_idx ON sso_to_group_mapping (group_id);
CREATE INDEX kasm_db_sso_to_group_mapping_ldap_id_idx ON sso_to_group_mapping (ldap_id);
CREATE INDEX kasm_db_sso_to_group_mapping_saml_id_idx ON sso_to_group_mapping (saml_id);
CREATE INDEX kasm_db_sso_to_group_mapping_oidc_id_idx ON sso_to_group_mapping (oidc_id);

CREATE TABLE sso_attribute_userfield_mapping (
    sso_attribute_id uuid    DEFAULT gen_random_uuid() PRIMARY KEY,
    attribute_name   varchar,
    user_field       varchar,
    ldap_id          uuid    REFERENCES ldap_configs (ldap_id),
    saml_id          uuid    REFERENCES saml_config (saml_id),
    oidc_id          uuid    REFERENCES oidc_configs (oidc_id)
);
COMMENT ON TABLE sso_attribute_userfield_mapping IS
    'Copies an attribute of a sign-in provider into a column of users at login.';
COMMENT ON COLUMN sso_attribute_userfield_mapping.user_field IS 'Column of users that receives the value.';
COMMENT ON COLUMN sso_attribute_userfield_mapping.ldap_id IS
    'One of ldap_id, saml_id and oidc_id says which provider the mapping is for.';
CREATE INDEX kasm_db_sso_attribute_userfield_mapping_ldap_id_idx ON sso_attribute_userfield_mapping (ldap_id);
CREATE INDEX kasm_db_sso_attribute_userfield_mapping_saml_id_idx ON sso_attribute_userfield_mapping (saml_id);
CREATE INDEX kasm_db_sso_attribute_userfield_mapping_oidc_id_idx ON sso_attribute_userfield_mapping (oidc_id);

CREATE TABLE active_directory_user_management_configs (
    ad_user_mgmt_config_id          uuid    DEFAULT gen_random_uuid() PRIMARY KEY,
    ldap_id                         uuid    NOT NULL REFERENCES ldap_configs (ldap_id),
    saml_id                         uuid    REFERENCES saml_config (saml_id),
    oidc_id                         uuid    REFERENCES oidc_configs (oidc_id),
    enable_create_user              boolean,
    local_accounts                  boolean,
    user_container_dn               varchar,
    enable_ad_group_management      boolean,
    enable_random_password_on_login boolean,
    password_len                    integer
);
COMMENT ON TABLE active_directory_user_management_configs IS
    'How accounts in an Active Directory are managed for users who sign in.';
COMMENT ON COLUMN active_directory_user_management_configs.ldap_id IS 'The directory in which accounts are managed.';
COMMENT ON COLUMN active_directory_user_management_configs.user_container_dn IS 'Where new accounts are put.';
CREATE INDEX kasm_db_active_directory_user_management_configs_ldap_id_idx
    ON active_directory_user_management_configs (ldap_id);
CREATE INDEX kasm_db_active_directory_user_management_configs_saml_id_idx
    ON active_directory_user_management_configs (saml_id);
CREATE INDEX kasm_db_active_directory_user_management_configs_oidc_id_idx
    ON active_directory_user_management_configs (oidc_id);

CREATE TABLE physical_tokens (
    token_id      uuid      DEFAULT gen_random_uuid() PRIMARY KEY,
    serial_number varchar   NOT NULL,
    user_id       uuid      REFERENCES users (user_id),
    token_seed    bytea     NOT NULL,
    seed_filename varchar,
    created       timestamp NOT NULL
);
COMMENT ON TABLE physical_tokens IS 'Hardware tokens for the second factor.';
COMMENT ON COLUMN physical_tokens.user_id IS 'NULL until the token is handed to a user.';
COMMENT ON COLUMN physical_tokens.token_seed IS 'Stored as bytes; treat as a secret.';
CREATE INDEX kasm_db_physical_tokens_user_id_idx ON physical_tokens (user_id);

CREATE TABLE webauthn_credentials (
    webauthn_credential_id      uuid          DEFAULT gen_random_uuid() PRIMARY KEY,
    user_id                     uuid          NOT NULL REFERENCES users (user_id),
    authenticator_credential_id varchar(2048) NOT NULL,
    public_key                  varchar(4096),
    sign_count                  integer,
    created                     timestamp     NOT NULL
);
COMMENT ON TABLE webauthn_credentials IS 'WebAuthn authenticators that users registered.';
COMMENT ON COLUMN webauthn_credentials.authenticator_credential_id IS
    'The id that the authenticator gave to the credential.';
COMMENT ON COLUMN webauthn_credentials.sign_count IS
    'Counter reported by the authenticator; going backwards hints at a clone.';
CREATE INDEX kasm_db_webauthn_credentials_user_id_idx ON webauthn_credentials (user_id);

CREATE TABLE webauthn_requests (
    webauthn_request_id uuid         DEFAULT gen_random_uuid() PRIMARY KEY,
    challenge           varchar(255) NOT NULL,
    created             timestamp    NOT NULL
);
COMMENT ON TABLE webauthn_requests IS 'Challenges of WebAuthn exchanges that are under way.';

-- Foreign keys of tables that had to be created before their targets.
ALTER TABLE users ADD CONSTRAINT users_saml_id_fkey
    FOREIGN KEY (saml_id) REFERENCES saml_config (saml_id);
CREATE INDEX kasm_db_users_saml_id_idx ON users (saml_id);
ALTER TABLE users ADD CONSTRAINT users_oidc_id_fkey
    FOREIGN KEY (oidc_id) REFERENCES oidc_configs (oidc_id);
CREATE INDEX kasm_db_users_oidc_id_idx ON users (oidc_id);
