-- VM providers: where and how autoscaling creates machines, one table for each cloud or hypervisor.

CREATE TABLE aws_configs (
    aws_config_id                 uuid    DEFAULT gen_random_uuid() PRIMARY KEY,
    config_name                   varchar NOT NULL,
    max_instances                 integer,

    aws_region                    varchar,
    aws_access_key_id             varchar,
    aws_secret_access_key         varchar,

    aws_ec2_ami_id                varchar,
    aws_ec2_instance_type         varchar NOT NULL,
    aws_ec2_iam                   varchar,

    aws_ec2_subnet_id             varchar,
    aws_ec2_security_group_ids    json    DEFAULT '[]',

    aws_ec2_ebs_volume_type       varchar,
    aws_ec2_ebs_volume_size_bytes bigint,

    aws_ec2_public_key            varchar NOT NULL,
    aws_ec2_private_key           bytea   NOT NULL,
    retrieve_password             boolean DEFAULT false,

    aws_ec2_custom_tags           json    DEFAULT '{}',
    aws_ec2_config_override       json    DEFAULT '{}',
    startup_script                varchar
);
COMMENT ON TABLE aws_configs IS 'Machines on Amazon EC2.';
COMMENT ON COLUMN aws_configs.aws_secret_access_key IS 'Treat as a secret.';
COMMENT ON COLUMN aws_configs.aws_ec2_iam IS 'IAM instance profile given to the machines.';
COMMENT ON COLUMN aws_configs.aws_ec2_private_key IS 'Stored as bytes; treat as a secret.';
COMMENT ON COLUMN aws_configs.retrieve_password IS 'Whether to ask EC2 for the password of a Windows machine.';

CREATE TABLE azure_configs (
    azure_config_id          uuid    DEFAULT gen_random_uuid() PRIMARY KEY,
    config_name              varchar NOT NULL,
    max_instances            integer NOT NULL,

    azure_authority          varchar,
    azure_subscription_id    varchar NOT NULL,
    azure_tenant_id          varchar NOT NULL,
    azure_client_id          varchar NOT NULL,
    azure_client_secret      varchar NOT NULL,

    azure_region             varchar NOT NULL,
    azure_resource_group     varchar NOT NULL,
    azure_subnet             varchar NOT NULL,
    azure_network_sg         varchar NOT NULL,
    azure_public_ip          boolean DEFAULT false,

    azure_vm_size            varchar NOT NULL,
    azure_image_reference    json    DEFAULT '{}',
    azure_is_windows         boolean DEFAULT false,

    azure_os_disk_type       varchar NOT NULL,
    azure_os_disk_size_bytes bigint  NOT NULL,
    azure_os_username        varchar NOT NULL,
    azure_os_password        varchar NOT NULL,
    azure_ssh_public_key     varchar,

    plan_name                varchar,
    plan_product             varchar,
    plan_publisher           varchar,

    security_type            varchar,
    secure_boot_enabled      boolean,
    tpm_enabled              boolean,

    azure_tags               json    DEFAULT '{}',
    azure_config_override    json    DEFAULT '{}',
    startup_script           varchar
);
COMMENT ON TABLE azure_configs IS 'Machines on Microsoft Azure.';
COMMENT ON COLUMN azure_configs.azure_client_secret IS 'Treat as a secret.';
COMMENT ON COLUMN azure_configs.azure_os_password IS 'Treat as a secret.';
COMMENT ON COLUMN azure_configs.azure_network_sg IS 'Network security group.';
COMMENT ON COLUMN azure_configs.plan_name IS
    'Purchase plan of a marketplace image, with plan_product and plan_publisher.';

CREATE TABLE digital_ocean_vm_configs (
    config_id                   uuid    DEFAULT gen_random_uuid() PRIMARY KEY,
    config_name                 varchar NOT NULL,
    max_instances               integer,
    digital_ocean_token         varchar,
    region                      varchar,
    digital_ocean_droplet_image varchar,
    digital_ocean_droplet_size  varchar,
    digital_ocean_firewall_name varchar,
    digital_ocean_sshkey_name   varchar,
    digital_ocean_tags          varchar,
    startup_script              varchar
);
COMMENT ON TABLE digital_ocean_vm_configs IS 'Machines on DigitalOcean.';
COMMENT ON COLUMN digital_ocean_vm_configs.digital_ocean_token IS 'Treat as a secret.';

CREATE TABLE gcp_vm_configs (
    config_id              uuid    DEFAULT gen_random_uuid() PRIMARY KEY,
    config_name            varchar NOT NULL,
    max_instances          integer,

    gcp_project            varchar,
    gcp_region             varchar,
    gcp_zone               varchar,
    gcp_credentials        varchar,

    gcp_machine_type       varchar,
    gcp_image              varchar,
    vm_installed_os_type   varchar,
    gcp_guest_accelerators json    DEFAULT '[]',

    gcp_disk_type          varchar,
    gcp_boot_volume_bytes  bigint,
    gcp_cmek               varchar,

    gcp_network            varchar,
    gcp_subnetwork         varchar,
    gcp_public_ip          boolean DEFAULT false,
    gcp_network_tags       json    DEFAULT '[]',

    gcp_service_account    json    DEFAULT '{}',
    gcp_metadata           json    DEFAULT '{}',
    gcp_custom_labels      json    DEFAULT '{}',
    gcp_config_override    json    DEFAULT '{}',
    startup_script         varchar,
    startup_script_type    varchar
);
COMMENT ON TABLE gcp_vm_configs IS 'Machines on Google Cloud.';
COMMENT ON COLUMN gcp_vm_configs.gcp_credentials IS 'Treat as a secret.';
COMMENT ON COLUMN gcp_vm_configs.gcp_cmek IS 'Customer-managed key that encrypts the disk.';

CREATE TABLE harvester_vm_configs (
    config_id          uuid    DEFAULT gen_random_uuid() PRIMARY KEY,
    config_name        varchar NOT NULL,
    max_instances      integer NOT NULL,

    kube_host          varchar NOT NULL,
    kube_ssl_cert      varchar,
    kube_api_token     varchar,
    vm_namespace       varchar NOT NULL,

    cores              integer NOT NULL,
    memory_bytes       bigint  NOT NULL,
    disk_image         varchar NOT NULL,
    disk_size_bytes    bigint  NOT NULL,

    network_type       varchar,
    network_name       varchar,
    interface_type     varchar,

    enable_efi_boot    boolean DEFAULT false,
    enable_secure_boot boolean DEFAULT false,
    enable_tpm         boolean DEFAULT false,

    vm_public_ssh_key  varchar,
    config_override    varchar,
    startup_script     varchar
);
COMMENT ON TABLE harvester_vm_configs IS 'Machines on SUSE Harvester.';
COMMENT ON COLUMN harvester_vm_configs.kube_api_token IS 'Treat as a secret.';

CREATE TABLE kubevirt_vm_configs (
    config_id          uuid    DEFAULT gen_random_uuid() PRIMARY KEY,
    config_name        varchar NOT NULL,
    max_instances      integer NOT NULL,

    kube_host          varchar NOT NULL,
    kube_ssl_cert      varchar,
    kube_api_token     varchar,
    vm_namespace       varchar NOT NULL,

    cores              integer NOT NULL,
    memory_bytes       bigint  NOT NULL,
    disk_source        varchar NOT NULL,
    disk_size_bytes    bigint  NOT NULL,

    network_type       varchar,
    network_name       varchar,
    interface_type     varchar,

    enable_efi_boot    boolean DEFAULT false,
    enable_secure_boot boolean DEFAULT false,
    enable_tpm         boolean DEFAULT false,

    vm_public_ssh_key  varchar,
    config_override    varchar,
    startup_script     varchar
);
COMMENT ON TABLE kubevirt_vm_configs IS 'Machines on KubeVirt.';
COMMENT ON COLUMN kubevirt_vm_configs.kube_api_token IS 'Treat as a secret.';

CREATE TABLE nutanix_vm_configs (
    config_id      uuid    DEFAULT gen_random_uuid() PRIMARY KEY,
    config_name    varchar NOT NULL,
    max_instances  integer NOT NULL,

    host           varchar NOT NULL,
    port           integer NOT NULL,
    api_version    varchar NOT NULL,
    verify_ssl     boolean DEFAULT true,
    username       varchar NOT NULL,
    password       varchar NOT NULL,

    vm_candidate   varchar NOT NULL,
    cores          integer NOT NULL,
    memory_bytes   bigint  NOT NULL,

    startup_script varchar
);
COMMENT ON TABLE nutanix_vm_configs IS 'Machines on Nutanix.';
COMMENT ON COLUMN nutanix_vm_configs.password IS 'Treat as a secret.';
COMMENT ON COLUMN nutanix_vm_configs.vm_candidate IS 'The machine or template that new machines are made from.';

CREATE TABLE oci_vm_configs (
    config_id                     uuid    DEFAULT gen_random_uuid() PRIMARY KEY,
    config_name                   varchar NOT NULL,
    max_instances                 integer,

    oci_region                    varchar,
    oci_availability_domains      json    DEFAULT '[]',
    oci_tenancy_ocid              varchar,
    oci_compartment_ocid          varchar,

    oci_user_ocid                 varchar,
    oci_fingerprint               varchar,
    oci_private_key               varchar,

    oci_shape                     varchar,
    oci_flex_cpus                 integer,
    oci_flex_memory_bytes         bigint,
    oci_baseline_ocpu_utilization varchar,

    oci_image_ocid                varchar,
    oci_boot_volume_bytes         bigint,
    oci_storage_vpus_per_gb       integer,

    oci_subnet_ocid               varchar,
    oci_nsg_ocids                 json    DEFAULT '[]',
    oci_ssh_public_key            varchar,

    oci_custom_tags               json    DEFAULT '{}',
    oci_config_override           json    DEFAULT '{}',
    startup_script                varchar
);
COMMENT ON TABLE oci_vm_configs IS 'Machines on Oracle Cloud Infrastructure.';
COMMENT ON COLUMN oci_vm_configs.oci_private_key IS 'Treat as a secret.';
COMMENT ON COLUMN oci_vm_configs.oci_storage_vpus_per_gb IS
    'Performance of the boot volume in volume performance units.';

CREATE TABLE openstack_vm_configs (
    config_id                               uuid    DEFAULT gen_random_uuid() PRIMARY KEY,
    config_name                             varchar NOT NULL,
    max_instances                           integer NOT NULL,

    openstack_keystone_endpoint             varchar NOT NULL,

    openstack_nova_endpoint                 varchar NOT NULL,
    openstack_nova_version                  varchar NOT NULL,

    openstack_glance_endpoint               varchar NOT NULL,
    openstack_glance_version                varchar NOT NULL,

    openstack_cinder_endpoint               varchar NOT NULL,
    openstack_cinder_version                varchar NOT NULL,

    openstack_auth_method                   varchar NOT NULL,
    openstack_username                      varchar,
    openstack_password                      varchar,
    openstack_application_credential_id     varchar,
    openstack_application_credential_secret varchar,

    openstack_project_name                  varchar NOT NULL,
    openstack_project_domain_name           varchar,
    openstack_user_domain_name              varchar,

    openstack_availability_zone             varchar NOT NULL,
    openstack_flavor                        varchar NOT NULL,
    openstack_image_id                      varchar NOT NULL,
    openstack_key_name                      varchar,

    openstack_network_id                    varchar NOT NULL,
    openstack_security_groups               json    DEFAULT '[]',

    openstack_create_volume                 boolean DEFAULT false,
    openstack_volume_type                   varchar,
    openstack_volume_size_bytes             bigint,

    openstack_metadata                      json    DEFAULT '{}',
    openstack_config_override               json    DEFAULT '{}',
    startup_script                          varchar
);
COMMENT ON TABLE openstack_vm_configs IS 'Machines on OpenStack.';
COMMENT ON COLUMN openstack_vm_configs.openstack_password IS 'Treat as a secret.';
COMMENT ON COLUMN openstack_vm_configs.openstack_application_credential_secret IS 'Treat as a secret.';

CREATE TABLE proxmox_vm_configs (
    config_id           uuid    DEFAULT gen_random_uuid() PRIMARY KEY,
    config_name         varchar NOT NULL,
    max_instances       integer NOT NULL,

    host                varchar NOT NULL,
    verify_ssl          boolean DEFAULT true,
    username            varchar NOT NULL,
    token_name          varchar NOT NULL,
    token_value         varchar NOT NULL,

    cluster_node_name   varchar NOT NULL,
    target_node_name    varchar,
    resource_pool_name  varchar,
    storage_pool_name   varchar,

    template_name       varchar NOT NULL,
    full_clone          boolean DEFAULT true,
    installed_os_type   varchar NOT NULL,

    vmid_range_lower    integer NOT NULL,
    vmid_range_upper    integer NOT NULL,

    cores               integer NOT NULL,
    memory_bytes        bigint  NOT NULL,

    startup_script      varchar,
    startup_script_path varchar
);
COMMENT ON TABLE proxmox_vm_configs IS 'Machines on Proxmox VE.';
COMMENT ON COLUMN proxmox_vm_configs.token_value IS 'Treat as a secret.';
COMMENT ON COLUMN proxmox_vm_configs.vmid_range_lower IS
    'First of the VM numbers that may be used; vmid_range_upper is the last.';

CREATE TABLE vsphere_vm_configs (
    config_id                     uuid    DEFAULT gen_random_uuid() PRIMARY KEY,
    config_name                   varchar NOT NULL,
    max_instances                 integer NOT NULL,

    vsphere_vcenter_address       varchar NOT NULL,
    vsphere_vcenter_port          integer NOT NULL,
    vsphere_vcenter_username      varchar NOT NULL,
    vsphere_vcenter_password      varchar NOT NULL,

    vsphere_datacenter_name       varchar NOT NULL,
    vsphere_cluster_name          varchar,
    vsphere_resource_pool         varchar,
    vsphere_vm_folder             varchar,

    vsphere_datastore_name        varchar,
    vsphere_use_datastore_cluster boolean,

    vsphere_clone_type            varchar,
    vsphere_template_name         varchar,
    vsphere_vm_name               varchar,
    vsphere_vm_snapshot_name      varchar,

    vsphere_cpus                  integer,
    vsphere_memory_bytes          bigint,

    "vsphere_installed_OS_type"   varchar NOT NULL,
    vsphere_os_username           varchar,
    vsphere_os_password           varchar,
    vm_public_ssh_key             varchar,

    startup_script                varchar,
    vsphere_startup_script_method varchar
);
COMMENT ON TABLE vsphere_vm_configs IS 'Machines on VMware vSphere.';
COMMENT ON COLUMN vsphere_vm_configs.vsphere_vcenter_password IS 'Treat as a secret.';
COMMENT ON COLUMN vsphere_vm_configs.vsphere_os_password IS 'Treat as a secret.';
COMMENT ON COLUMN vsphere_vm_configs."vsphere_installed_OS_type" IS
    'The only mixed-case name of the schema: quote it in SQL.';
COMMENT ON COLUMN vsphere_vm_configs.vsphere_use_datastore_cluster IS
    'Whether vsphere_datastore_name names a datastore cluster.';
