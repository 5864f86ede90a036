-- Undoes 0019_alembic_version.

DROP TABLE alembic_version;
