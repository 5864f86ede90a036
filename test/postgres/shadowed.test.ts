import { describe, expect, inject, it } from 'vitest';
import { vendorMade } from '../fixtures/schema/vendor-made.js';
import { newSecrets } from '../fixtures/seed/seeding.js';
import { shadowEverything } from '../fixtures/strangers/shadows.js';
import { cli, folder } from '../support/cli.js';
import { createDatabase, type Version } from '../support/database.js';
import { hasPgbouncer, startPgbouncer } from '../support/pgbouncer.js';
import { NEWEST } from '../support/release.js';
import { rounds } from '../support/rounds.js';

/**
 * Another role's operator, function, cast, view, rule, policy or trigger in `public` runs with the migrator's rights (CVE-2018-1058): all of
 * pg_catalog's shadowed in public, every command; nothing of it was called.
 */
const WHOLE = rounds(0, 1) === 1;

const secrets = folder(newSecrets());
const EXTENSION = 'CREATE EXTENSION "uuid-ossp" WITH SCHEMA public';

type Call = [args: string[], code: number];

/** From an empty database, every command but lint and new, which need none. */
const LIFE: Call[] = [
  [['check'], 3],
  [['plan'], 0],
  [['status'], 0],
  [['bootstrap'], 0],
  [['migrate', '--dry-run'], 0],
  [['migrate'], 0],
  [['seed', '--dry-run', '--secrets', secrets], 0],
  [['seed', '--secrets', secrets], 0],
  [['seed', '--secrets', secrets], 0],
  [['check', '--seed'], 0],
  [['check', '--wait', '200ms'], 0],
  [['seed', '--secrets', secrets, '--rotate', 'admin-password,user-password'], 0],
  [['verify'], 0],
  [['capture', '--out', 'DIR/0001_all.sql'], 0],
  [['docs', '--format', 'markdown'], 0],
  [['rollback', '--steps', '2', '--allow-data-loss'], 0],
  [['migrate', '--seed', '--secrets', secrets], 0],
  [['plan'], 0],
  [['repair', '--yes'], 0],
  [['repair', '--yes', '--pending', NEWEST], 0],
  [['repair', '--yes', '--applied', NEWEST], 0],
  [['status'], 0],
  [['doctor'], 0],
];

/** Of a database that Kasm's own containers have made. */
const ADOPTED: Call[] = [
  [['check'], 6],
  [['status'], 0],
  [['adopt', '--dry-run', '--allow-differences'], 0],
  [['adopt', '--allow-differences'], 0],
  [['seed', '--secrets', secrets], 0],
  [['verify'], 0],
  [['doctor'], 0],
];

interface Run {
  call: string;
  code: number | null;
  result: unknown;
}

async function runAll(calls: readonly Call[], env: Record<string, string>): Promise<{ runs: Run[]; stderr: string }> {
  const runs: Run[] = [];
  let stderr = '';
  for (const [args, code] of calls) {
    const dir = folder({});
    const given = args.map((arg) => arg.replace('DIR', dir));
    const run = await cli([...given, '--json', '--verbose'], env);
    const { differences } = run.json();
    const { outcome, exitCode, current, applied, pending, rolledBack, repairs, seed, checks, error } = run.json();
    runs.push({
      call: args.slice(0, 2).join(' '),
      code: run.code,
      result: {
        ...{ outcome, exitCode, current, pending, repairs, seed },
        applied: applied?.map(({ name }) => name),
        rolledBack: rolledBack?.map(({ name }) => name),
        failed: checks?.filter(({ state }) => state === 'failed'),
        error: error?.message,
      },
    });
    // His objects are drift; nothing else is.
    if (differences && args[0] === 'verify') {
      expect(differences.filter(({ change }) => change !== 'extra')).toEqual([]);
      runs.pop();
    } else if (run.code !== code) stderr += `\n${args.join(' ')} ended with ${run.code}: ${run.stderr}`;
    stderr += run.stderr
      .split('\n')
      .filter((line) => line.includes('CAUGHT'))
      .join('\n');
  }
  return { runs, stderr };
}

const WAYS = ([13, 18] as Version[]).flatMap((version) => [[version, 'direct'] as const, [version, 'pooled'] as const]);
const REDUCED = [WAYS[0], WAYS[3]] as typeof WAYS;

describe.each(WHOLE ? WAYS : REDUCED)('PostgreSQL %i, %s › all of pg_catalog shadowed in public', (version, way) => {
  if (way === 'pooled' && !hasPgbouncer()) return it.skip('needs pgbouncer', () => {});

  /** @returns what the calls answered, and which of the stranger's functions were called */
  const live = async (calls: readonly Call[], made: string, shadowed: boolean) => {
    const db = await createDatabase(version);
    await db.superQuery(`SET ROLE ${db.user}; ${made}`);
    const stranger = shadowed ? await shadowEverything(db, WHOLE) : undefined;
    const pooler = way === 'pooled' ? await startPgbouncer(db, 'transaction') : undefined;
    try {
      const env = pooler ? pooler.env : db.env;
      const admin = {
        DATABASE_MASTER_USER: 'postgres',
        DATABASE_MASTER_PASSWORD: inject('servers')[version]?.password ?? '',
      };
      const { runs, stderr } = await runAll(calls, { ...env, ...admin });
      return { runs, stderr, called: (await stranger?.calls()) ?? [], objects: stranger?.objects ?? 0 };
    } finally {
      await pooler?.stop();
    }
  };

  it.each([
    ['every command', LIFE, EXTENSION],
    ['what takes over a database of Kasm', ADOPTED, `${EXTENSION};\n${vendorMade()}`],
  ])(
    'trap 47: nothing of it was called, and the results are the same as without (%s)',
    { timeout: 900_000 },
    async (_, calls, made) => {
      const among = await live(calls, made, true);
      console.log(`${among.objects} objects of a stranger, ${calls.length} commands, ${among.called.length} called`);
      expect(among.objects).toBeGreaterThan(WHOLE ? 20_000 : 5000);
      expect(among.called).toEqual([]);
      expect(among.stderr).toBe('');
      if (!WHOLE && version !== 18) return;
      const without = await live(calls, made, false);
      expect(without.stderr).toBe('');
      expect(among.runs).toEqual(without.runs);
    },
  );

  it('they do work: a statement that is not careful is caught', async () => {
    const db = await createDatabase(version);
    const stranger = await shadowEverything(db, WHOLE);
    for (const [sql, caught] of [
      ["SELECT FROM pg_catalog.pg_namespace WHERE nspname !~ '^pg_'", /^operator_/],
      ['SELECT min(relname::varchar) FROM pg_catalog.pg_class', /^aggregate_min/],
      ["SELECT date_part('epoch', now()) * 1000", /^operator_/],
      ["SELECT format('%I.%I', nspname, nspname) FROM pg_catalog.pg_namespace", /^format/],
      ["SELECT 'a'::public.text", /^checked/],
    ] as const) {
      await db.query(sql).catch(() => {});
      expect(await stranger.calls(), sql).toContainEqual(expect.stringMatching(caught));
    }
  });
});
