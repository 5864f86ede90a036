import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { Known } from '../../src/lint/known.js';
import { byTable, LOCK_ORDER, type LockMode } from '../../src/lint/lock-modes.js';
import { locksOf } from '../../src/lint/locks.js';
import { locksOfFiles } from '../../src/lint/plan-locks.js';
import { readMigrations } from '../../src/migrations/files.js';
import { type ParsedStatement, parseScript } from '../../src/postgres/parser.js';
import { ENGINE_VERSIONS, migrate } from '../fixtures/kasm/observe.js';
import { cli, folder } from '../support/cli.js';
import { createDatabase, type TestDatabase, waitFor } from '../support/database.js';

const fixture = (name: string) => readFileSync(join(import.meta.dirname, '../fixtures/locks', name), 'utf8');
const BASE = fixture('base.sql');

/** A statement of the corpus, with what its comments say. */
interface Case {
  sql: string;
  statement: ParsedStatement;
  alone: boolean;
  from: number;
  /** Up to this version it is another lock than foreseen; its comment says why. */
  differs: number;
}

async function corpus(): Promise<Case[]> {
  const text = fixture('statements.sql');
  const statements = await parseScript(text, 'statements.sql');
  let end = 0;
  return statements.map((statement) => {
    const notes = text.slice(end, statement.start).split(/\n\n/).at(-1) ?? '';
    end = statement.start + statement.sql.length;
    return {
      sql: statement.sql,
      statement,
      alone: /^-- alone/m.test(notes),
      from: Number(/^-- .*from (\d+)/m.exec(notes)?.[1] ?? 13),
      // Until the version that is named, or on all.
      differs: Number(
        /^-- differs(?: until (\d+))?: /m
          .exec(notes)
          ?.slice(1)
          .map((until) => until ?? 99)[0] ?? 0,
      ),
    };
  });
}

interface Observed {
  mode: LockMode;
  rewritten: boolean;
}

/** pg_locks' name of a mode, as LOCK TABLE writes it. */
const modeOf = (name: string) =>
  LOCK_ORDER.indexOf(
    name
      .replace(/Lock$/, '')
      .replace(/(?<=[a-z])(?=[A-Z])/g, ' ')
      .toUpperCase() as LockMode,
  );

/** What the server did: the strongest lock on each table that was there before, and whether it has another file. */
async function observe(db: TestDatabase, sql: string): Promise<Map<string, Observed>> {
  const client = await db.connect();
  const files = `SELECT oid::text, CASE WHEN relnamespace = 'public'::regnamespace THEN '' ELSE 'other.' END || relname AS name, CASE relkind WHEN 'S' THEN 0 ELSE relfilenode END::text AS file FROM pg_class
    WHERE relnamespace IN ('public'::regnamespace, (SELECT oid FROM pg_namespace WHERE nspname = 'other')) AND relkind IN ('r', 'p', 'm', 'v', 'S')`;
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
      const modes = rows.filter((row) => row.oid === oid).map((row) => modeOf(row.mode));
      const mode = LOCK_ORDER[Math.max(-1, ...modes)];
      if (mode) seen.set(name, { mode, rewritten: after.has(oid) && after.get(oid) !== file });
    }
    return seen;
  } finally {
    await client.query('ROLLBACK').catch(() => {});
    await client.end();
  }
}

/** What a statement that runs alone asks for first, while somebody else has all tables. */
async function observeAlone(
  db: TestDatabase,
  { sql }: Case,
  tables: readonly string[],
): Promise<Map<string, Observed>> {
  const [holder, client] = [await db.connect(), await db.connect()];
  const seen = new Map<string, Observed>();
  const asked = `SELECT c.relname AS name, l.mode FROM pg_locks l JOIN pg_class c ON c.oid = l.relation WHERE NOT l.granted
    AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())`;
  try {
    await holder.query(`BEGIN; LOCK TABLE ${tables.join(', ')} IN SHARE UPDATE EXCLUSIVE MODE`);
    await client.query("SET lock_timeout = '60s'");
    const ended = client.query(sql).catch(() => {});
    await waitFor(() => db.superQuery(asked), sql);
    for (const { name, mode } of await db.superQuery<{ name: string; mode: string }>(asked))
      seen.set(name, { mode: LOCK_ORDER[modeOf(mode)] as LockMode, rewritten: false });
    await db.superQuery("SELECT pg_cancel_backend(pid) FROM pg_locks WHERE NOT granted AND locktype = 'relation'");
    await ended;
    return seen;
  } finally {
    await holder.end();
    await client.end();
  }
}

/** A statement's differences between what is foreseen and what the server does. */
function differences(said: ReturnType<typeof byTable>, seen: Map<string, Observed>, alone: boolean): string[] {
  const found: string[] = [];
  for (const { table, mode, rewrite } of said) {
    const server = seen.get(table);
    if (alone && !server) continue;
    if (server?.mode !== mode) found.push(`${table} ${mode}, but the server takes ${server?.mode}`);
    if (!alone && rewrite !== 'maybe' && server && server.rewritten !== (rewrite === 'yes'))
      found.push(`${table} rewrite ${rewrite}, but the server ${server.rewritten ? 'does' : 'does not'}`);
  }
  for (const [table, { mode }] of seen) {
    if (LOCK_ORDER.indexOf(mode) > LOCK_ORDER.indexOf('ROW EXCLUSIVE') && !said.some((lock) => lock.table === table))
      found.push(`nothing is said of ${table}, which the server locks ${mode}`);
  }
  return found;
}

describe.each(
  ENGINE_VERSIONS,
)('PostgreSQL %i › plan › the locks that are foreseen are those that the server takes', (version) => {
  it('each statement of a corpus of more than 200', async () => {
    const db = await createDatabase(version);
    await db.query(BASE);
    const known = new Known();
    for (const statement of await parseScript(BASE, 'base.sql')) known.take(statement, false);
    const wrong: string[] = [];
    const cases = (await corpus()).filter(({ from }) => from <= version);
    expect(cases.length).toBeGreaterThan(200);
    for (const each of cases) {
      const said = byTable(locksOf(each.statement, known)).filter(({ creates }) => !creates);
      const tables = said.map(({ table }) => table);
      const seen = await (each.alone ? observeAlone(db, each, tables) : observe(db, each.sql)).catch((error: Error) => {
        wrong.push(`${each.sql}: ${error.message}`);
        return new Map<string, Observed>();
      });
      const found = differences(said, seen, each.alone);
      if (each.differs < version) wrong.push(...found.map((text) => `${each.sql}: ${text}`));
      else if (found.length === 0) wrong.push(`${each.sql}: no longer differs`);
    }
    expect(wrong).toEqual([]);
  });

  it('each shipped migration', async () => {
    const db = await createDatabase(version);
    const run = await migrate(db);
    expect(run.code, run.stderr).toBe(0);
    const real = new Map(run.json().applied?.map(({ name, locks = [] }) => [name, locks]));
    const files = readMigrations(join(import.meta.dirname, '../../migrations'));
    for (const [i, file] of files.entries()) {
      const { locks } = await locksOfFiles(files.slice(0, i), [file]);
      const foreseen = byTable(locks.filter(({ fresh }) => !fresh))
        .filter(({ mode }) => LOCK_ORDER.indexOf(mode) > LOCK_ORDER.indexOf('SHARE UPDATE EXCLUSIVE'))
        .map(({ table, mode }) => ({ relation: `public.${table}`, mode }))
        .sort((a, b) => (a.relation < b.relation ? -1 : 1));
      expect(foreseen, file.name).toEqual(real.get(file.name));
    }
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
