-- Undoes 0004_zones_and_managers.

ALTER TABLE zones DROP CONSTRAINT zones_primary_manager_id_fkey;

DROP TABLE connection_proxies;
DROP TABLE managers;
DROP TABLE zones;
