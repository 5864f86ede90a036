import { randomBytes } from 'node:crypto';
import { SECRET_MARK } from '../support/global-setup.js';

/** 1.2 MB of statements, so that it travels in two messages. */
const BIG = Array.from({ length: 12 }, (_, i) => `INSERT INTO big VALUES (${i}, '${'x'.repeat(100_000)}');`).join('\n');

/** What runs in transactions. Each adds to `effects`, so that a second time would show. */
const TRANSACTIONAL = {
  '0001_tables.sql': `CREATE TABLE effects (name text, at_pid int DEFAULT pg_backend_pid());
CREATE TABLE people (id int PRIMARY KEY, email text, phone text);
CREATE SEQUENCE tries;
INSERT INTO effects (name) VALUES ('0001');`,
  '0002_rows.sql': `INSERT INTO people SELECT i, 'p' || i, i::text FROM generate_series(1, 200) i;
INSERT INTO effects (name) VALUES ('0002');`,
  '0004_big.sql': `CREATE TABLE big (id int, t text);\n${BIG}\nINSERT INTO effects (name) VALUES ('0004');`,
  '0005_function.sql': `CREATE FUNCTION twice(x int) RETURNS int LANGUAGE sql AS $$ SELECT x * 2; $$;
INSERT INTO effects (name) VALUES ('0005');`,
  '0006_type.sql': `CREATE TYPE mood AS ENUM ('good', 'bad');
ALTER TABLE people ADD COLUMN mood mood DEFAULT 'good';
INSERT INTO effects (name) VALUES ('0006');`,
  // A sequence is not rolled back: every other attempt fails as if a table were in use, and is tried again.
  '0007_retried.sql': `DO $$ BEGIN IF nextval('tries') % 2 = 1 THEN RAISE EXCEPTION 'in use' USING ERRCODE = '55P03'; END IF; END $$;
CREATE TABLE retried (x int);
INSERT INTO effects (name) VALUES ('0007');`,
  '0008_view.sql': `CREATE VIEW phones AS SELECT phone FROM people;
COMMENT ON VIEW phones IS 'a comment; with '' quotes';
INSERT INTO effects (name) VALUES ('0008');`,
  '0010_partition.sql': `CREATE TABLE part (at date) PARTITION BY RANGE (at);
CREATE TABLE part_1 PARTITION OF part FOR VALUES FROM ('2020-01-01') TO ('2021-01-01');
INSERT INTO effects (name) VALUES ('0010');`,
  '0011_settings.sql': `SET search_path = pg_temp;
SET lock_timeout = '1h';
INSERT INTO public.effects (name) VALUES ('0011');`,
  '0012_trigger.sql': `CREATE FUNCTION nothing() RETURNS trigger LANGUAGE plpgsql AS $f$ BEGIN RETURN NEW; END $f$;
CREATE TRIGGER people_nothing BEFORE UPDATE ON people FOR EACH ROW EXECUTE FUNCTION nothing();
INSERT INTO effects (name) VALUES ('0012');`,
};

/** Simple DDL: several travel at once (`quick.ts`), between others that do not. */
const QUICK = {
  '0013_quick.sql': 'CREATE TABLE quick_13 (x int);\nCREATE INDEX ON quick_13 (x);',
  '0014_quick.sql': "CREATE TABLE quick_14 (x int);\nCOMMENT ON TABLE quick_14 IS 'fourteen'",
  '0015_quick.sql': '-- kasm-db: lock-timeout 3s\nDROP TABLE quick_13;\nCREATE TABLE quick_15 (x int);',
  '0016_quick.sql': 'CREATE UNLOGGED TABLE quick_16 (x int); -- the last of them',
  '0017_last.sql': `INSERT INTO effects (name) VALUES ('0017');`,
};

/** Seventeen migrations for a direct connection. */
export const DIRECT = {
  ...TRANSACTIONAL,
  ...QUICK,
  '0003_concurrent.sql': `-- kasm-db: no-transaction
CREATE INDEX CONCURRENTLY people_email ON people (email);
INSERT INTO effects (name) VALUES ('0003');
CREATE UNIQUE INDEX CONCURRENTLY people_phone ON people (phone);`,
  '0009_drop.sql': `-- kasm-db: no-transaction
DROP INDEX CONCURRENTLY people_email;
VACUUM people;
INSERT INTO effects (name) VALUES ('0009');`,
};

/** Twelve for a pooler, which takes no no-transaction migration. */
export const POOLED = {
  ...TRANSACTIONAL,
  '0003_index.sql': `CREATE INDEX people_email ON people (email);\nINSERT INTO effects (name) VALUES ('0003');`,
  '0009_drop.sql': `DROP INDEX people_email;\nINSERT INTO effects (name) VALUES ('0009');`,
};

/** Of a name of its own: the servers may be those of other runs too. */
export const ROLE = { user: `faulty_${randomBytes(4).toString('hex')}`, password: `${SECRET_MARK}fault-matrix` };
