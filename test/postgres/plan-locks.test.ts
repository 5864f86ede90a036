import { describe, expect, it } from 'vitest';
import { byTable, LOCK_ORDER, type LockMode, locksOf } from '../../src/lint/locks.js';
import { parseScript } from '../../src/postgres/parser.js';
import { ENGINE_VERSIONS } from '../fixtures/kasm/observe.js';
import { cli, folder } from '../support/cli.js';
import { createDatabase, type TestDatabase } from '../support/database.js';

const BASE = `CREATE TABLE a (id int PRIMARY KEY, n varchar(10) DEFAULT 'x', size int, at date, g int GENERATED ALWAYS AS (1) STORED);
CREATE TABLE b (id int PRIMARY KEY, x int);
CREATE TABLE p (id int, at date) PARTITION BY RANGE (at);
CREATE TABLE p1 PARTITION OF p FOR VALUES FROM ('2020-01-01') TO ('2021-01-01');
CREATE TABLE loose (id int, at date);
CREATE INDEX a_n ON a (n);
CREATE UNIQUE INDEX a_size ON a (size);
CREATE VIEW v AS SELECT id FROM a;
CREATE MATERIALIZED VIEW m AS SELECT id FROM a;
CREATE UNIQUE INDEX m_id ON m (id);
CREATE SEQUENCE s;
CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NEW; END $$;
CREATE TRIGGER tr BEFORE INSERT ON a FOR EACH ROW EXECUTE FUNCTION f();
ALTER TABLE a ADD CONSTRAINT c CHECK (size > 0) NOT VALID;
CREATE POLICY pol ON a;
INSERT INTO a (id, size) VALUES (1, 1), (2, 2); INSERT INTO b VALUES (1, 1);`;

/** Everything that may run in a transaction; each is run on its own and rolled back. */
const STATEMENTS = [
  'ALTER TABLE a ADD COLUMN y int',
  'ALTER TABLE a ADD COLUMN y int DEFAULT 7, ADD COLUMN z timestamptz DEFAULT now()',
  'ALTER TABLE a ADD COLUMN y uuid DEFAULT gen_random_uuid()',
  'ALTER TABLE a ADD COLUMN y float DEFAULT random()',
  'ALTER TABLE a ADD COLUMN y serial',
  'ALTER TABLE a ADD COLUMN y int GENERATED ALWAYS AS IDENTITY',
  'ALTER TABLE a ADD COLUMN y int GENERATED ALWAYS AS (size * 2) STORED',
  'ALTER TABLE a ADD COLUMN y int REFERENCES b (id)',
  'ALTER TABLE a ADD COLUMN y int UNIQUE',
  'ALTER TABLE a ADD COLUMN y int CHECK (y > 0)',
  'ALTER TABLE a DROP COLUMN n',
  'ALTER TABLE a ALTER COLUMN size TYPE bigint',
  'ALTER TABLE a ALTER COLUMN n TYPE varchar(20)',
  'ALTER TABLE a ALTER COLUMN size SET NOT NULL',
  'ALTER TABLE a ALTER COLUMN size DROP NOT NULL',
  'ALTER TABLE a ALTER COLUMN size SET DEFAULT 1',
  'ALTER TABLE a ALTER COLUMN n DROP DEFAULT',
  'ALTER TABLE a ALTER COLUMN n SET STATISTICS 100',
  'ALTER TABLE a ALTER COLUMN n SET (n_distinct = 5)',
  'ALTER TABLE a ALTER COLUMN n SET STORAGE EXTERNAL',
  'ALTER TABLE a ALTER COLUMN g DROP EXPRESSION',
  'ALTER TABLE a SET (fillfactor = 70)',
  'ALTER TABLE a RESET (fillfactor)',
  'ALTER TABLE a ADD CONSTRAINT c2 CHECK (size > 0)',
  'ALTER TABLE a ADD CONSTRAINT c2 CHECK (size > 0) NOT VALID',
  'ALTER TABLE a VALIDATE CONSTRAINT c',
  'ALTER TABLE a DROP CONSTRAINT c',
  'ALTER TABLE a ADD CONSTRAINT fk FOREIGN KEY (size) REFERENCES b (id) NOT VALID',
  'ALTER TABLE a ADD CONSTRAINT u UNIQUE (n, id)',
  'ALTER TABLE a ADD CONSTRAINT u UNIQUE USING INDEX a_size',
  'ALTER TABLE a CLUSTER ON a_n',
  'ALTER TABLE a DISABLE TRIGGER tr',
  'ALTER TABLE a ENABLE TRIGGER ALL',
  'ALTER TABLE a ENABLE ROW LEVEL SECURITY',
  'ALTER TABLE a REPLICA IDENTITY FULL',
  'ALTER TABLE b SET UNLOGGED',
  'ALTER TABLE a OWNER TO CURRENT_USER',
  'ALTER TABLE a RENAME COLUMN n TO name',
  'ALTER TABLE b RENAME TO bb',
  'ALTER TABLE a RENAME CONSTRAINT c TO cc',
  'ALTER INDEX a_n RENAME TO a_name',
  'ALTER INDEX a_n SET (fillfactor = 70)',
  "ALTER TABLE p ATTACH PARTITION loose FOR VALUES FROM ('2022-01-01') TO ('2023-01-01')",
  'ALTER TABLE p DETACH PARTITION p1',
  "CREATE TABLE p2 PARTITION OF p FOR VALUES FROM ('2023-01-01') TO ('2024-01-01')",
  'CREATE TABLE child () INHERITS (b)',
  'CREATE TABLE more (ref int REFERENCES a (id), LIKE b)',
  'CREATE TABLE copied AS SELECT * FROM b',
  'CREATE INDEX a_at ON a (at)',
  'DROP INDEX a_n',
  'REINDEX TABLE a',
  'REINDEX INDEX a_n',
  'CREATE TRIGGER tr2 BEFORE INSERT ON a FOR EACH ROW EXECUTE FUNCTION f()',
  'DROP TRIGGER tr ON a',
  'CREATE POLICY pol2 ON a',
  'DROP POLICY pol ON a',
  'CREATE RULE r AS ON DELETE TO b DO INSTEAD NOTHING',
  "COMMENT ON TABLE a IS 'x'",
  "COMMENT ON COLUMN a.n IS 'x'",
  'CREATE STATISTICS st ON id, size FROM a',
  'TRUNCATE b',
  'DROP TABLE b',
  'LOCK TABLE a IN SHARE ROW EXCLUSIVE MODE',
  'CLUSTER a USING a_n',
  'REFRESH MATERIALIZED VIEW m',
  'REFRESH MATERIALIZED VIEW CONCURRENTLY m',
  'INSERT INTO a (id) SELECT id + 10 FROM b',
  'UPDATE a SET size = x FROM b WHERE b.id = a.id',
  'DELETE FROM b',
  'SELECT * FROM a FOR UPDATE',
  'WITH own AS (SELECT * FROM b) SELECT * FROM own',
  'CREATE VIEW v2 AS SELECT * FROM b',
  'DROP VIEW v',
  'GRANT SELECT ON a TO PUBLIC',
  'ANALYZE a',
  'ALTER SEQUENCE s INCREMENT BY 2',
];

interface Observed {
  mode: LockMode;
  rewritten: boolean;
}

/** What the server did: the strongest lock on each table that was there before, and whether it has another file. */
async function observe(db: TestDatabase, sql: string): Promise<Map<string, Observed>> {
  const client = await db.connect();
  const files = `SELECT oid::text, relname AS name, CASE relkind WHEN 'S' THEN 0 ELSE relfilenode END::text AS file FROM pg_class
    WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p', 'm', 'v', 'S')`;
  try {
    await client.query('BEGIN');
    const before = (await client.query(files)).rows;
    await client.query(sql);
    const after = new Map((await client.query(files)).rows.map((row) => [row.oid, row.file]));
    const { rows } = await client.query(
      "SELECT relation::text AS oid, mode FROM pg_locks WHERE pid = pg_backend_pid() AND locktype = 'relation'",
    );
    const seen = new Map<string, Observed>();
    for (const { oid, name, file } of before) {
      const modes = rows
        .filter((row) => row.oid === oid)
        .map((row) =>
          LOCK_ORDER.indexOf(
            row.mode
              .replace(/Lock$/, '')
              .replace(/(?<=[a-z])(?=[A-Z])/g, ' ')
              .toUpperCase(),
          ),
        );
      const mode = LOCK_ORDER[Math.max(-1, ...modes)];
      if (mode) seen.set(name, { mode, rewritten: after.has(oid) && after.get(oid) !== file });
    }
    return seen;
  } finally {
    await client.query('ROLLBACK').catch(() => {});
    await client.end();
  }
}

const INDEXES: Record<string, string> = { a_n: 'a', a_size: 'a', m_id: 'm' };

describe.each(
  ENGINE_VERSIONS,
)('PostgreSQL %i › plan › what the parser says of locks is what the server does', (version) => {
  it('each kind of statement, run in a transaction', async () => {
    const db = await createDatabase(version);
    await db.query(BASE);
    const differences: string[] = [];
    for (const sql of STATEMENTS) {
      const [statement] = await parseScript(sql, 'test');
      const said = byTable(locksOf(statement as never, (index) => INDEXES[index])).filter(({ creates }) => !creates);
      const seen = await observe(db, sql).catch((error: Error) => {
        differences.push(`${sql}: ${error.message}`);
        return new Map<string, Observed>();
      });
      for (const { table, mode, rewrite } of said) {
        const server = seen.get(table);
        const weaker = version < 14 && sql.includes('DETACH PARTITION') && server?.mode === 'SHARE UPDATE EXCLUSIVE';
        if (server?.mode !== mode && !weaker)
          differences.push(`${sql}: ${table} ${mode}, but the server takes ${server?.mode}`);
        if (rewrite !== 'maybe' && server && server.rewritten !== (rewrite === 'yes'))
          differences.push(
            `${sql}: ${table} rewrite ${rewrite}, but the server ${server.rewritten ? 'does' : 'does not'}`,
          );
      }
      for (const [table, { mode }] of seen) {
        if (
          LOCK_ORDER.indexOf(mode) > LOCK_ORDER.indexOf('ROW EXCLUSIVE') &&
          !said.some((lock) => lock.table === table)
        )
          differences.push(`${sql}: nothing is said of ${table}, which the server locks ${mode}`);
      }
    }
    expect(differences).toEqual([]);
  });
});

describe('plan', () => {
  it('tells locks and rewrites of tables that are in use, in text and JSON, and --sql goes into JSON too', async () => {
    const db = await createDatabase();
    const files = {
      '0001_a.sql': 'CREATE TABLE a (id int, n text);\nCREATE INDEX a_n ON a (n);\n',
      '0002_b.sql':
        'CREATE TABLE b (id int);\nALTER TABLE a ADD COLUMN t uuid DEFAULT gen_random_uuid();\nDROP INDEX a_n;\n',
    };
    const path = folder(files);
    const fresh = (await cli(['plan', '--json', '--migrations', path], db.env)).json();
    expect(fresh.locks?.every((lock) => lock.fresh)).toBe(true);
    await cli(['migrate', '--migrations', path, '--to', '0001_a'], db.env);
    const plan = (await cli(['plan', '--json', '--sql', '--migrations', path], db.env)).json();
    expect(plan.locks).toMatchObject([
      { migration: '0002_b', line: 1, table: 'b', fresh: true },
      { migration: '0002_b', line: 2, table: 'a', mode: 'ACCESS EXCLUSIVE', rewrite: 'yes' },
      { migration: '0002_b', line: 3, table: 'a', mode: 'ACCESS EXCLUSIVE', rewrite: 'no' },
    ]);
    expect(plan.sql).toEqual([{ migration: '0002_b', file: `${path}/0002_b.sql`, sql: files['0002_b.sql'].trimEnd() }]);
    const text = (await cli(['plan', '--migrations', path], db.env)).stdout;
    expect(text).toMatch(/0002_b:2 +a +ACCESS EXCLUSIVE +yes/);
    const bad = folder({ ...files, '0002_b.sql': 'CREATE TABEL b (x int);\n' });
    const warned = (await cli(['plan', '--json', '--migrations', bad], db.env)).json();
    expect(warned).toMatchObject({ outcome: 'usage', error: { message: expect.stringContaining('0002_b.sql:1') } });
  });
});
