-- Extensions: the one that Kasm expects. If it is installed already, in whichever schema, it stays there.
-- From PostgreSQL 13 on it is a trusted extension: CREATE on the database is enough to install it.

CREATE EXTENSION IF NOT EXISTS "uuid-ossp";
