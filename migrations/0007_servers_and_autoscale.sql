-- Servers: pools of them, autoscaling with its schedules, enrolment templates, the servers
-- themselves and who or what is assigned to them.

CREATE TABLE server_pools (
    server_pool_id            uuid    DEFAULT gen_random_uuid() PRIMARY KEY,
    server_pool_name          varchar NOT NULL,
    server_pool_type          varchar DEFAULT 'Docker Agent',
    server_assignment_enabled boolean DEFAULT false
);
COMMENT ON TABLE server_pools IS 'Pools of servers, either Docker agents or machines that users connect to.';
COMMENT ON COLUMN server_pools.server_pool_type IS 'Docker Agent or Server Pool.';
COMMENT ON COLUMN server_pools.server_assignment_enabled IS
    'Whether users get fixed servers, see user_server_assignments.';

CREATE TABLE autoscale_configs (
    autoscale_config_id                  uuid      DEFAULT gen_random_uuid() PRIMARY KEY,
    autoscale_config_name                varchar   NOT NULL,
    autoscale_type                       varchar   NOT NULL,
    enabled                              boolean   DEFAULT true,

    zone_id                              uuid      NOT NULL REFERENCES zones (zone_id),
    server_pool_id                       uuid      REFERENCES server_pools (server_pool_id),

    aws_config_id                        uuid      REFERENCES aws_configs (aws_config_id),
    azure_config_id                      uuid      REFERENCES azure_configs (azure_config_id),
    digital_ocean_vm_config_id           uuid      REFERENCES digital_ocean_vm_configs (config_id),
    gcp_vm_config_id                     uuid      REFERENCES gcp_vm_configs (config_id),
    harvester_vm_config_id               uuid      REFERENCES harvester_vm_configs (config_id),
    kubevirt_vm_config_id                uuid      REFERENCES kubevirt_vm_configs (config_id),
    nutanix_vm_config_id                 uuid      REFERENCES nutanix_vm_configs (config_id),
    oci_vm_config_id                     uuid      REFERENCES oci_vm_configs (config_id),
    openstack_vm_config_id               uuid      REFERENCES openstack_vm_configs (config_id),
    proxmox_vm_config_id                 uuid      REFERENCES proxmox_vm_configs (config_id),
    vsphere_vm_config_id                 uuid      REFERENCES vsphere_vm_configs (config_id),

    register_dns                         boolean   DEFAULT false,
    base_domain_name                     varchar,
    aws_dns_config_id                    uuid      REFERENCES aws_dns_configs (config_id),
    azure_dns_config_id                  uuid      REFERENCES azure_dns_configs (azure_dns_config_id),
    digital_ocean_dns_config_id          uuid      REFERENCES digital_ocean_dns_configs (config_id),
    gcp_dns_config_id                    uuid      REFERENCES gcp_dns_configs (config_id),
    oci_dns_config_id                    uuid      REFERENCES oci_dns_configs (config_id),

    ldap_id                              uuid      REFERENCES ldap_configs (ldap_id),
    ad_create_machine_record             boolean   DEFAULT false,
    ad_recursive_machine_record_cleanup  boolean   DEFAULT false,
    ad_computer_container_dn             varchar,

    standby_cores                        integer   DEFAULT 0,
    standby_gpus                         integer   DEFAULT 0,
    standby_memory_bytes                 bigint    DEFAULT 0,
    minimum_pool_standby_sessions        integer   DEFAULT 0,

    aggressive_scaling                   boolean   DEFAULT true,
    downscale_backoff                    integer   DEFAULT 1800,
    last_provision                       timestamp NOT NULL,
    request_downscale_at                 timestamp NOT NULL,

    agent_installed                      boolean   DEFAULT false,
    agent_cores_override                 integer   DEFAULT 0,
    agent_gpus_override                  integer   DEFAULT 0,
    agent_memory_override_bytes          bigint    DEFAULT 0,
    require_checkin                      boolean   DEFAULT false,
    reusable                             boolean   DEFAULT false,

    rotate_servers_in_days               integer,
    rotate_servers_pre_warm_minutes      integer,

    max_simultaneous_sessions_per_server integer   DEFAULT 1,
    max_simultaneous_users               integer   DEFAULT 1,

    connection_type                      varchar   DEFAULT 'KasmVNC',
    connection_port                      integer,
    connection_info                      varchar   DEFAULT '{}',

    connection_credential_type           varchar,
    connection_username                  varchar,
    connection_password                  varchar,
    connection_private_key               varchar,
    connection_passphrase                varchar,
    connection_sso_username_domain       varchar,
    use_user_private_key                 boolean   DEFAULT true,
    hooks                                json      DEFAULT '{}'
);
COMMENT ON TABLE autoscale_configs IS
    'How a pool grows and shrinks: when, on which VM provider, and what the new servers look like.';
COMMENT ON COLUMN autoscale_configs.autoscale_type IS 'Docker Agent or Server.';
COMMENT ON COLUMN autoscale_configs.aws_config_id IS
    'One of the VM provider columns is set; it says where machines are created.';
COMMENT ON COLUMN autoscale_configs.aws_dns_config_id IS 'One of the DNS provider columns is set when register_dns is.';
COMMENT ON COLUMN autoscale_configs.ldap_id IS 'Active Directory that the new machines join.';
COMMENT ON COLUMN autoscale_configs.connection_info IS 'JSON kept as text.';
COMMENT ON COLUMN autoscale_configs.connection_password IS 'Treat as a secret.';
COMMENT ON COLUMN autoscale_configs.connection_private_key IS 'Treat as a secret.';
COMMENT ON COLUMN autoscale_configs.connection_passphrase IS 'Treat as a secret.';
COMMENT ON COLUMN autoscale_configs.last_provision IS
    'When this configuration last created a server; the epoch stands for never.';
COMMENT ON COLUMN autoscale_configs.request_downscale_at IS
    'When shrinking was last asked for; the epoch stands for never.';
CREATE INDEX kasm_db_autoscale_configs_zone_id_idx ON autoscale_configs (zone_id);
CREATE INDEX kasm_db_autoscale_configs_server_pool_id_idx ON autoscale_configs (server_pool_id);
CREATE INDEX kasm_db_autoscale_configs_aws_config_id_idx ON autoscale_configs (aws_config_id);
CREATE INDEX kasm_db_autoscale_configs_azure_config_id_idx ON autoscale_configs (azure_config_id);
CREATE INDEX kasm_db_autoscale_configs_digital_ocean_vm_config_id_idx ON autoscale_configs (digital_ocean_vm_config_id);
CREATE INDEX kasm_db_autoscale_configs_gcp_vm_config_id_idx ON autoscale_configs (gcp_vm_config_id);
CREATE INDEX kasm_db_autoscale_configs_harvester_vm_config_id_idx ON autoscale_configs (harvester_vm_config_id);
CREATE INDEX kasm_db_autoscale_configs_kubevirt_vm_config_id_idx ON autoscale_configs (kubevirt_vm_config_id);
CREATE INDEX kasm_db_autoscale_configs_nutanix_vm_config_id_idx ON autoscale_configs (nutanix_vm_config_id);
CREATE INDEX kasm_db_autoscale_configs_oci_vm_config_id_idx ON autoscale_configs (oci_vm_config_id);
CREATE INDEX kasm_db_autoscale_configs_openstack_vm_config_id_idx ON autoscale_configs (openstack_vm_config_id);
CREATE INDEX kasm_db_autoscale_configs_proxmox_vm_config_id_idx ON autoscale_configs (proxmox_vm_config_id);
CREATE INDEX kasm_db_autoscale_configs_vsphere_vm_config_id_idx ON autoscale_configs (vsphere_vm_config_id);
CREATE INDEX kasm_db_autoscale_configs_aws_dns_config_id_idx ON autoscale_configs (aws_dns_config_id);
CREATE INDEX kasm_db_autoscale_configs_azure_dns_config_id_idx ON autoscale_configs (azure_dns_config_id);
CREATE INDEX kasm_db_autoscale_configs_digital_ocean_dns_config_id_idx
    ON autoscale_configs (digital_ocean_dns_config_id);
CREATE INDEX kasm_db_autoscale_configs_gcp_dns_config_id_idx ON autoscale_configs (gcp_dns_config_id);
CREATE INDEX kasm_db_autoscale_configs_oci_dns_config_id_idx ON autoscale_configs (oci_dns_config_id);
CREATE INDEX kasm_db_autoscale_configs_ldap_id_idx ON autoscale_configs (ldap_id);

CREATE TABLE schedules (
    schedule_id         uuid        DEFAULT gen_random_uuid() PRIMARY KEY,
    autoscale_config_id uuid        NOT NULL REFERENCES autoscale_configs (autoscale_config_id),
    days_of_the_week    json        DEFAULT '[]',
    active_start_time   time        NOT NULL,
    active_end_time     time        NOT NULL,
    timezone            varchar(44) NOT NULL
);
COMMENT ON TABLE schedules IS 'Weekly times at which an autoscale configuration is active.';
COMMENT ON COLUMN schedules.active_start_time IS 'Local time in timezone.';
COMMENT ON COLUMN schedules.active_end_time IS 'Local time in timezone.';
COMMENT ON COLUMN schedules.timezone IS 'Name of a time zone.';
CREATE INDEX kasm_db_schedules_autoscale_config_id_idx ON schedules (autoscale_config_id);

CREATE TABLE server_templates (
    server_template_id             uuid      DEFAULT gen_random_uuid() PRIMARY KEY,
    template_name                  varchar   NOT NULL,
    template_enabled               boolean,
    token                          varchar,

    zone_id                        uuid      NOT NULL,
    server_pool_id                 uuid,

    maximum_uses                   integer   NOT NULL,
    servers_created                integer,

    created                        timestamp,
    expiration                     timestamp NOT NULL,
    deleted                        timestamp,

    max_simultaneous_sessions      integer,
    max_simultaneous_users         integer,

    connection_port                integer,
    connection_info                varchar,

    connection_credential_type     varchar,
    connection_username            varchar,
    connection_password            varchar,
    connection_sso_username_domain varchar
);
COMMENT ON TABLE server_templates IS
    'Enrolment tokens: a machine that presents one becomes a server with these properties.';
COMMENT ON COLUMN server_templates.token IS 'Treat as a secret.';
COMMENT ON COLUMN server_templates.zone_id IS 'Refers to zones, but the published schema has no foreign key here.';
COMMENT ON COLUMN server_templates.server_pool_id IS
    'Refers to server_pools, but the published schema has no foreign key here.';
COMMENT ON COLUMN server_templates.deleted IS
    'When the template was withdrawn; the row stays for the servers made from it.';
COMMENT ON COLUMN server_templates.connection_password IS 'Treat as a secret.';

CREATE TABLE servers (
    server_id                      uuid             DEFAULT gen_random_uuid() PRIMARY KEY,
    friendly_name                  varchar,
    hostname                       varchar(255),
    port                           integer,
    public_ip                      varchar,
    server_type                    varchar(100),

    enabled                        boolean,
    operational_status             varchar(48),
    created                        timestamp,
    last_reported                  timestamp,
    drain_time                     timestamp,

    zone_id                        uuid             REFERENCES zones (zone_id),
    manager_id                     uuid             REFERENCES managers (manager_id),
    server_pool_id                 uuid             REFERENCES server_pools (server_pool_id),
    autoscale_config_id            uuid             REFERENCES autoscale_configs (autoscale_config_id),
    server_template_id             uuid             REFERENCES server_templates (server_template_id),

    provider                       varchar(100),
    instance_id                    varchar(100),
    host_token                     varchar(64),
    tags                           json,

    agent_installed                boolean,
    agent_version                  varchar,
    reusable                       boolean,

    cores                          integer,
    cores_override                 integer,
    memory_bytes                   bigint,
    memory_override_bytes          bigint,
    gpus_override                  integer,
    gpu_exclusions                 json,
    container_limit                integer,

    cpu_percent                    double precision,
    memory_stats                   json,
    disk_stats                     json,
    gpu_percent                    json,
    gpu_memory_used_percent        json,
    gpu_temp                       json,

    docker_info                    json,
    docker_images                  json,
    docker_containers              json,
    docker_networks                json,
    docker_network_names           varchar[],
    docker_volume_plugin_names     varchar[],
    network_interfaces             json,
    prune_images_mode              varchar,

    max_simultaneous_sessions      integer,
    max_simultaneous_users         integer,

    connection_type                varchar,
    connection_port                integer,
    connection_info                varchar,

    connection_credential_type     varchar,
    connection_username            varchar,
    connection_password            varchar,
    connection_private_key         varchar,
    connection_passphrase          varchar,
    connection_sso_username_domain varchar,
    use_user_private_key           boolean
);
COMMENT ON TABLE servers IS 'Hosts that run sessions: Docker agents, and machines reached by RDP, VNC, SSH or KasmVNC.';
COMMENT ON COLUMN servers.instance_id IS 'Id of the machine at its VM provider.';
COMMENT ON COLUMN servers.host_token IS 'Treat as a secret.';
COMMENT ON COLUMN servers.cores_override IS 'Used in place of the reported cores when set.';
COMMENT ON COLUMN servers.memory_override_bytes IS 'Used in place of the reported memory_bytes when set.';
COMMENT ON COLUMN servers.gpu_percent IS 'JSON, unlike the column of the same name in managers.';
COMMENT ON COLUMN servers.drain_time IS 'Since when the server takes no new sessions.';
COMMENT ON COLUMN servers.connection_info IS 'JSON kept as text.';
COMMENT ON COLUMN servers.connection_password IS 'Treat as a secret.';
COMMENT ON COLUMN servers.connection_private_key IS 'Treat as a secret.';
COMMENT ON COLUMN servers.connection_passphrase IS 'Treat as a secret.';
CREATE INDEX kasm_db_servers_zone_id_idx ON servers (zone_id);
CREATE INDEX kasm_db_servers_manager_id_idx ON servers (manager_id);
CREATE INDEX kasm_db_servers_server_pool_id_idx ON servers (server_pool_id);
CREATE INDEX kasm_db_servers_autoscale_config_id_idx ON servers (autoscale_config_id);
CREATE INDEX kasm_db_servers_server_template_id_idx ON servers (server_template_id);

CREATE TABLE user_server_assignments (
    user_id   uuid NOT NULL REFERENCES users (user_id),
    server_id uuid NOT NULL REFERENCES servers (server_id),
    PRIMARY KEY (user_id, server_id)
);
COMMENT ON TABLE user_server_assignments IS
    'Servers reserved for one user.';
CREATE INDEX kasm_db_user_server_assignments_user_id_idx ON user_server_assignments (user_id);
CREATE INDEX kasm_db_user_server_assignments_server_id_idx ON user_server_assignments (server_id);

CREATE TABLE server_image_slots (
    server_id  uuid    NOT NULL REFERENCES servers (server_id),
    image_id   uuid    NOT NULL, -- foreign key: 0010_images_and_registries
    slot_count integer NOT NULL,
    PRIMARY KEY (server_id, image_id)
);
COMMENT ON TABLE server_image_slots IS
    'How many sessions of an image a server holds ready.';
CREATE INDEX kasm_db_server_image_slots_server_id_idx ON server_image_slots (server_id);
