-- Undoes 0009_branding.

DROP TABLE banners;
DROP TABLE branding_configs;
