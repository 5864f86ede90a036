-- Web filter: policies, and what is known about domains.

CREATE TABLE filter_policies (
    filter_policy_id           uuid    DEFAULT gen_random_uuid() PRIMARY KEY,
    filter_policy_name         varchar,
    filter_policy_descriptions varchar DEFAULT '',

    deny_by_default            boolean DEFAULT false,
    domain_whitelist           json    DEFAULT '{}',
    domain_blacklist           json    DEFAULT '{}',

    enable_categorization      boolean DEFAULT false,
    categories                 json    DEFAULT '{}',

    enable_safe_search         boolean DEFAULT false,
    safe_search_patterns       json    DEFAULT '{}',

    ssl_bypass_domains         json    DEFAULT '{}',
    ssl_bypass_ips             json    DEFAULT '{}',

    disable_logging            boolean DEFAULT false
);
COMMENT ON TABLE filter_policies IS 'Web filter policies that images and groups can use.';
COMMENT ON COLUMN filter_policies.deny_by_default IS 'Whether a domain that no rule mentions is blocked.';
COMMENT ON COLUMN filter_policies.ssl_bypass_domains IS 'Traffic to these is passed on without looking into it.';

CREATE TABLE domains (
    domain_id   uuid      DEFAULT gen_random_uuid() PRIMARY KEY,
    domain_name varchar   NOT NULL,
    categories  jsonb     DEFAULT '[]',
    is_system   boolean   DEFAULT false,
    requested   integer,
    created     timestamp NOT NULL,
    updated     timestamp NOT NULL
);
COMMENT ON TABLE domains IS 'Domains with the categories that the web filter knows for them.';
COMMENT ON COLUMN domains.is_system IS 'Whether the entry came with the product and not from an administrator.';
