-- DNS providers: where autoscaling registers the names of the machines it creates.

CREATE TABLE aws_dns_configs (
    config_id             uuid    DEFAULT gen_random_uuid() PRIMARY KEY,
    config_name           varchar NOT NULL,
    aws_access_key_id     varchar,
    aws_secret_access_key varchar
);
COMMENT ON TABLE aws_dns_configs IS 'Names in Amazon Route 53.';
COMMENT ON COLUMN aws_dns_configs.aws_secret_access_key IS 'Treat as a secret.';

CREATE TABLE azure_dns_configs (
    azure_dns_config_id   uuid    DEFAULT gen_random_uuid() PRIMARY KEY,
    config_name           varchar NOT NULL,
    azure_authority       varchar,
    azure_subscription_id varchar NOT NULL,
    azure_tenant_id       varchar NOT NULL,
    azure_client_id       varchar NOT NULL,
    azure_client_secret   varchar NOT NULL,
    azure_region          varchar NOT NULL,
    azure_resource_group  varchar NOT NULL
);
COMMENT ON TABLE azure_dns_configs IS 'Names in Azure DNS.';
COMMENT ON COLUMN azure_dns_configs.azure_client_secret IS 'Treat as a secret.';

CREATE TABLE digital_ocean_dns_configs (
    config_id           uuid    DEFAULT gen_random_uuid() PRIMARY KEY,
    config_name         varchar NOT NULL,
    digital_ocean_token varchar
);
COMMENT ON TABLE digital_ocean_dns_configs IS 'Names in DigitalOcean DNS.';
COMMENT ON COLUMN digital_ocean_dns_configs.digital_ocean_token IS 'Treat as a secret.';

CREATE TABLE gcp_dns_configs (
    config_id       uuid    DEFAULT gen_random_uuid() PRIMARY KEY,
    config_name     varchar NOT NULL,
    gcp_project     varchar,
    gcp_credentials varchar
);
COMMENT ON TABLE gcp_dns_configs IS 'Names in Google Cloud DNS.';
COMMENT ON COLUMN gcp_dns_configs.gcp_credentials IS 'Treat as a secret.';

CREATE TABLE oci_dns_configs (
    config_id            uuid    DEFAULT gen_random_uuid() PRIMARY KEY,
    config_name          varchar NOT NULL,
    oci_region           varchar,
    oci_tenancy_ocid     varchar,
    oci_compartment_ocid varchar,
    oci_user_ocid        varchar,
    oci_fingerprint      varchar,
    oci_private_key      varchar
);
COMMENT ON TABLE oci_dns_configs IS 'Names in Oracle Cloud DNS.';
COMMENT ON COLUMN oci_dns_configs.oci_private_key IS 'Treat as a secret.';
