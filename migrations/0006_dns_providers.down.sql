-- Undoes 0006_dns_providers.

DROP TABLE oci_dns_configs;
DROP TABLE gcp_dns_configs;
DROP TABLE digital_ocean_dns_configs;
DROP TABLE azure_dns_configs;
DROP TABLE aws_dns_configs;
