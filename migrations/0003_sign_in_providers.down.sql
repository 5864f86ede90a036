-- Undoes 0003_sign_in_providers.

DROP INDEX kasm_db_users_saml_id_idx;
ALTER TABLE users DROP CONSTRAINT users_saml_id_fkey;
DROP INDEX kasm_db_users_oidc_id_idx;
ALTER TABLE users DROP CONSTRAINT users_oidc_id_fkey;

DROP TABLE webauthn_requests;
DROP TABLE webauthn_credentials;
DROP TABLE physical_tokens;
DROP TABLE active_directory_user_management_configs;
DROP TABLE sso_attribute_userfield_mapping;
DROP TABLE sso_to_group_mapping;
DROP TABLE ldap_configs;
DROP TABLE saml_config;
DROP TABLE oidc_configs;
