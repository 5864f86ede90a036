-- Alembic version: the mark by which the containers of Kasm 1.19.0 recognise the schema. It comes last, since their
-- readiness check passes as soon as it is there.

CREATE TABLE alembic_version (
    version_num varchar(32) NOT NULL,
    CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num)
);
COMMENT ON TABLE alembic_version IS
    'Version of the schema, kept by Alembic, the migration tool inside the containers of Kasm.';

INSERT INTO alembic_version (version_num) VALUES ('bfc22f00ad19');
