-- Undoes 0002_identity_and_groups.

DROP TABLE group_permissions;
DROP TABLE api_configs;
DROP TABLE group_settings;
DROP TABLE user_groups;
DROP TABLE groups;
DROP TABLE user_attributes;
DROP TABLE users;
DROP TABLE companies;
