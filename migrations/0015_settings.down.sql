-- Undoes 0015_settings.

DROP TABLE settings;
