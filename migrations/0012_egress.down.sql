-- Undoes 0012_egress.

DROP TABLE ziti_identity_credentials;
DROP TABLE egress_provider_mapping_gateways;
DROP TABLE egress_provider_mappings;
DROP TABLE egress_credential_gateways;
DROP TABLE egress_credentials;
DROP TABLE egress_gateways;
DROP TABLE egress_provider_ziti_configs;
DROP TABLE egress_providers;
