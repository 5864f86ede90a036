-- Undoes 0011_staging_and_casting.

DROP TABLE cast_configs;
DROP TABLE staging_configs;
