-- Undoes 0014_storage.

DROP TABLE file_mappings;
DROP TABLE storage_mappings;
DROP TABLE storage_providers;
