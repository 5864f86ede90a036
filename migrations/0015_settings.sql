-- Global settings. Settings of groups are in 0002_identity_and_groups.

CREATE TABLE settings (
    setting_id       uuid         DEFAULT gen_random_uuid() PRIMARY KEY,
    category         varchar(255),
    name             varchar(255),
    title            varchar(255),
    description      text         DEFAULT '',
    value            varchar      DEFAULT '',
    value_type       varchar,
    sanitize         boolean      DEFAULT false,
    services_restart varchar(255)
);
COMMENT ON TABLE settings IS 'Global settings, one row each. The application expects exactly the set of its release.';
COMMENT ON COLUMN settings.name IS
    'Unique with category by convention only; a second row of the same pair breaks logins.';
COMMENT ON COLUMN settings.value IS 'Always text; value_type says how to read it. Some values are secrets.';
COMMENT ON COLUMN settings.services_restart IS 'Services to restart after a change, separated by commas.';
CREATE INDEX kasm_db_settings_category_name_idx ON settings (category, name);
