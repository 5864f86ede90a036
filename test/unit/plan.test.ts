import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { KasmDbError, type Outcome } from '../../src/app/errors.js';
import { VERSION } from '../../src/app/version.js';
import type { DatabaseState, HistoryEntry, HistoryRow, MigrationState } from '../../src/history/state.js';
import type { MigrationHeader } from '../../src/migrations/directives.js';
import type { Migration } from '../../src/migrations/files.js';
import { type Plan, plan } from '../../src/migrator/plan.js';
import { planFor } from '../../src/migrator/plan-for.js';
import { evaluate } from '../../src/readiness/check.js';

const OLDER = '0.0.1';
const NEWER = '99.0.0';

function file(name: string, changes: Partial<MigrationHeader> = {}): MigrationHeader {
  return {
    name,
    number: name.slice(0, 4),
    checksum: `sum of ${name}`,
    transaction: true,
    outOfOrder: false,
    hasDown: true,
    creates: [],
    ...changes,
  };
}

function row(of: MigrationHeader, changes: Partial<HistoryRow> = {}): HistoryRow {
  return {
    name: of.name,
    checksum: of.checksum,
    kind: 'sql',
    minCompatible: of.minCompatible ?? null,
    statementsDone: of.transaction ? null : 3,
    statementsTotal: of.transaction ? null : 3,
    appVersion: VERSION,
    ...changes,
  };
}

function database(history: HistoryRow[] | undefined, more: Partial<DatabaseState> = {}): DatabaseState {
  return { history, publicTables: [], vendorVersion: undefined, ...more };
}

const names = (planned: Plan) => planned.pending.map((m) => m.name);
const kinds = (planned: Plan) => planned.problems.map((p) => `${p.kind} ${p.migration ?? ''}`.trim());
const planOf = (files: MigrationHeader[], state: DatabaseState, to?: string) =>
  plan(files, state, { to, appVersion: VERSION });

const [one, two, three, four] = ['0001_one', '0002_two', '0003_three', '0004_four'].map((name) => file(name)) as [
  MigrationHeader,
  MigrationHeader,
  MigrationHeader,
  MigrationHeader,
];

describe('plan › what is pending', () => {
  it('is everything, in order, on an empty database', () => {
    const planned = planOf([one, two, three], database(undefined));
    expect(planned).toMatchObject({ applied: [], unknown: [], ahead: false, problems: [], warnings: [] });
    expect(names(planned)).toEqual(['0001_one', '0002_two', '0003_three']);
    expect(planned.target).toBe('0003_three');
    expect(planned.current).toBeUndefined();
  });

  it('is what the history does not have', () => {
    const planned = planOf([one, two, three], database([row(one)]));
    expect(planned).toMatchObject({ applied: ['0001_one'], current: '0001_one', target: '0003_three', problems: [] });
    expect(names(planned)).toEqual(['0002_two', '0003_three']);
  });

  it('is nothing when all is applied', () => {
    const planned = planOf([one, two], database([row(one), row(two)]));
    expect(planned).toMatchObject({ pending: [], current: '0002_two', target: '0002_two', problems: [] });
  });

  it('ends at --to', () => {
    const planned = planOf([one, two, three], database([row(one)]), '0002_two');
    expect(names(planned)).toEqual(['0002_two']);
    expect(planned.target).toBe('0002_two');
  });

  it('is nothing when --to names one before the current; migrate never goes back', () => {
    const planned = planOf([one, two, three], database([row(one), row(two)]), '0001_one');
    expect(planned).toMatchObject({ pending: [], current: '0002_two', target: '0002_two', problems: [] });
  });

  it('counts rows that adopt and repair have written as applied', () => {
    const history = [row(one, { kind: 'adopted' }), row(two, { kind: 'repaired' })];
    expect(planOf([one, two], database(history))).toMatchObject({ applied: ['0001_one', '0002_two'], pending: [] });
  });

  it('has a no-transaction migration that stopped half-way, and that is not out of order', () => {
    const half = file('0002_two', { transaction: false });
    const planned = planOf(
      [one, half, three],
      database([row(one), row(half, { statementsDone: 1, statementsTotal: 3 }), row(three)]),
    );
    expect(names(planned)).toEqual(['0002_two']);
    expect(planned.problems).toEqual([]);
    expect(planned.applied).toEqual(['0001_one', '0003_three']);
  });

  it('is nothing for a no-transaction migration without statements', () => {
    const empty = file('0001_one', { transaction: false });
    const history = [row(empty, { statementsDone: 0, statementsTotal: 0 })];
    expect(planOf([empty], database(history)).pending).toEqual([]);
  });
});

describe('plan › a file that changed after it was applied', () => {
  it('is a problem that names it and both ways out', () => {
    const planned = planOf([one, { ...two, checksum: 'other' }], database([row(one), row(two)]));
    expect(kinds(planned)).toEqual(['changed 0002_two']);
    expect(planned.problems[0]?.hint).toMatch(/restore the file.*repair --checksums/);
  });

  it('is a problem also when it is only half applied', () => {
    const half = file('0001_one', { transaction: false });
    const history = [row(half, { checksum: 'other', statementsDone: 1 })];
    expect(kinds(planOf([half], database(history)))).toEqual(['changed 0001_one']);
  });
});

describe('plan › a file that is missing', () => {
  it('is a problem when an older migration stands in the history', () => {
    expect(kinds(planOf([one, three], database([row(one), row(two), row(three)])))).toEqual(['missing 0002_two']);
  });

  it('is fine when a newer build applied it in between', () => {
    const history = [row(one), row(two, { appVersion: NEWER }), row(three)];
    const planned = planOf([one, three], database(history));
    expect(planned).toMatchObject({ problems: [], unknown: ['0002_two'], ahead: true });
  });

  it.each(['', 'main', '1.2', 'v99.0.0'])('is a problem when the row names no release (%j)', (appVersion) => {
    expect(kinds(planOf([one, three], database([row(one), row(two, { appVersion })])))).toContain('missing 0002_two');
  });
});

describe('plan › the wrong folder', () => {
  const other = file('0001_other');
  const late = file('0009_late');

  it.each([
    ['of the same numbers', [other]],
    ['of newer numbers', [late]],
  ])('%s: one problem that says so, and no call of repair', (_, files) => {
    const { problems } = planOf(files, database([row(one), row(two), row(three)]));
    expect(problems).toHaveLength(1);
    expect(problems[0]).toMatchObject({
      kind: 'wrong-folder',
      message: `wrong folder? The database has 3 migrations (0001_one to 0003_three), and none of them is among the files (${files[0]?.name})`,
    });
    expect(problems[0]?.hint).toMatch(/--migrations.*KASM_DB_MIGRATIONS.*--copy-shipped/);
    expect(problems[0]?.hint).not.toContain('repair');
  });

  it('is not said of an empty history, nor where one of them is there', () => {
    expect(kinds(planOf([other], database([])))).toEqual([]);
    expect(kinds(planOf([one, other], database([row(one), row(two)])))).not.toContain('wrong-folder');
  });
});

describe('plan › an older migration that was merged late', () => {
  it('is a problem that names it and the newest', () => {
    const planned = planOf([one, two, three], database([row(one), row(three)]));
    expect(kinds(planned)).toEqual(['out-of-order 0002_two']);
    expect(planned.problems[0]?.message).toContain('0003_three is already applied');
  });

  it('is applied when it says out-of-order', () => {
    const late = file('0002_two', { outOfOrder: true });
    const planned = planOf([one, late, three, four], database([row(one), row(three)]));
    expect(planned.problems).toEqual([]);
    expect(names(planned)).toEqual(['0002_two', '0004_four']);
  });

  it('is a problem also against a newest one that this build does not know', () => {
    expect(kinds(planOf([one, two], database([row(one), row(three, { appVersion: NEWER })])))).toEqual([
      'out-of-order 0002_two',
    ]);
  });
});

describe('plan › a database that is ahead', () => {
  it('is fine', () => {
    const planned = planOf([one, two], database([row(one), row(two), row(three, { appVersion: NEWER })]));
    expect(planned).toMatchObject({ pending: [], problems: [], unknown: ['0003_three'], ahead: true });
    expect(planned.current).toBe('0003_three');
  });

  it('is a problem when the unknown one needs a build that knows it', () => {
    const planned = planOf([one, two], database([row(one), row(two), row(three, { minCompatible: '0003' })]));
    expect(kinds(planned)).toEqual(['incompatible 0003_three']);
    expect(planned.problems[0]?.message).toContain('this build ends at 0002_two');
  });

  it('is fine when the unknown one declares a number that this build reaches', () => {
    expect(planOf([one, two], database([row(one), row(two), row(three, { minCompatible: '0002' })])).problems).toEqual(
      [],
    );
  });

  it('is fine for a build that knows the one that declares it', () => {
    const strict = file('0003_three', { minCompatible: '0003' });
    expect(planOf([one, two, strict], database([row(one), row(two), row(strict)])).problems).toEqual([]);
  });
});

describe("plan › a database that is somebody else's", () => {
  const users = file('0001_one', { creates: ['users', 'groups'] });

  it('with tables of Kasm but no history is a problem that points to adopt', () => {
    for (const history of [undefined, []]) {
      const planned = planOf([users], database(history, { publicTables: ['users', 'notes'] }));
      expect(kinds(planned)).toEqual(['foreign']);
      expect(planned.problems[0]?.message).toContain('(users)');
      expect(planned.problems[0]?.hint).toContain('kasm-db adopt');
    }
  });

  it('with other tables is a warning', () => {
    const planned = planOf([users], database(undefined, { publicTables: ['notes'] }));
    expect(planned.problems).toEqual([]);
    expect(planned.warnings).toEqual(['schema public already has other tables: notes']);
  });

  it('names eight of many tables and counts the rest', () => {
    const publicTables = Array.from({ length: 20 }, (_, i) => `t${i}`);
    expect(planOf([users], database(undefined, { publicTables })).warnings[0]).toMatch(/t7 and 12 more$/);
  });

  it('does not matter once there is a history', () => {
    const planned = planOf([users, two], database([row(users)], { publicTables: ['users', 'notes'] }));
    expect(planned).toMatchObject({ problems: [], warnings: [] });
  });
});

describe("plan › Kasm's own upgrade", () => {
  const kasm = file('0002_two', { vendorVersion: 'aaa111' });
  const applied = [row(one), row(kasm)];

  it('is a problem when alembic_version is not the one this build wrote', () => {
    const planned = planOf([one, kasm, three], database(applied, { vendorVersion: 'bbb222' }));
    expect(kinds(planned)).toEqual(['vendor-upgraded']);
    expect(planned.problems[0]?.message).toMatch(/bbb222.*aaa111/);
  });

  it.each([
    ['the version is ours', applied, 'aaa111'],
    ['the version was not looked up', applied, undefined],
    ['we have not written one yet', [row(one)], 'bbb222'],
    ['a newer kasm-db is ahead of us', [...applied, row(four, { appVersion: NEWER })], 'bbb222'],
  ])('is none when %s', (_, history, vendorVersion) => {
    expect(planOf([one, kasm], database(history, { vendorVersion })).problems).toEqual([]);
  });

  it('is measured by the newest migration that wrote a version', () => {
    const next = file('0003_three', { vendorVersion: 'ccc333' });
    const history = [...applied, row(next)];
    expect(planOf([one, kasm, next], database(history, { vendorVersion: 'ccc333' })).problems).toEqual([]);
    expect(kinds(planOf([one, kasm, next], database(history, { vendorVersion: 'aaa111' })))).toEqual([
      'vendor-upgraded',
    ]);
  });
});

/** Folders of 1 to 12 migrations with gaps in their numbers. */
const folders = fc
  .uniqueArray(fc.integer({ min: 1, max: 40 }), { minLength: 1, maxLength: 12 })
  .map((numbers) => numbers.sort((a, b) => a - b).map((n) => String(n).padStart(4, '0')))
  .chain((numbers) =>
    fc.tuple(
      ...numbers.map((number) =>
        fc.record({ outOfOrder: fc.boolean(), transaction: fc.boolean(), strict: fc.boolean() }).map((choice) =>
          file(`${number}_m`, {
            outOfOrder: choice.outOfOrder,
            transaction: choice.transaction,
            ...(choice.strict ? { minCompatible: number } : {}),
          }),
        ),
      ),
    ),
  )
  .map((files) => files as MigrationHeader[]);

/** A history that such a folder may meet: any rows of it, some changed, some half done, and rows of files it does not have. */
const histories = (files: MigrationHeader[]) =>
  fc
    .tuple(
      fc.array(
        fc.record({
          state: fc.constantFrom('absent', 'applied', 'applied', 'applied', 'changed', 'half'),
          appVersion: fc.constantFrom(OLDER, VERSION, NEWER),
        }),
        { minLength: files.length, maxLength: files.length },
      ),
      fc.uniqueArray(
        fc.record({
          number: fc.integer({ min: 1, max: 45 }),
          minCompatible: fc.option(fc.integer({ min: 1, max: 45 })),
          appVersion: fc.constantFrom(OLDER, VERSION, NEWER),
        }),
        { selector: (r) => r.number, maxLength: 3 },
      ),
    )
    .map(([states, strangers]): HistoryRow[] => [
      ...files.flatMap((f, i) => {
        const { state, appVersion } = states[i] as (typeof states)[number];
        if (state === 'absent') return [];
        if (state === 'changed') return [row(f, { appVersion, checksum: 'another' })];
        if (state === 'half' && !f.transaction) return [row(f, { appVersion, statementsDone: 1 })];
        return [row(f, { appVersion })];
      }),
      ...strangers.map(({ number, minCompatible, appVersion }) =>
        row(file(`${String(number).padStart(4, '0')}_stranger`), {
          appVersion,
          minCompatible: minCompatible === null ? null : String(minCompatible).padStart(4, '0'),
        }),
      ),
    ]);

const worlds = folders.chain((files) => fc.tuple(fc.constant(files), histories(files)));
const shuffled = <T>(items: T[]) =>
  fc.shuffledSubarray(items, { minLength: items.length, maxLength: items.length }) as fc.Arbitrary<T[]>;

const deepFreeze = <T>(value: T): T => {
  if (value && typeof value === 'object') {
    Object.values(value).forEach(deepFreeze);
    Object.freeze(value);
  }
  return value;
};

/** What migrate does with a pending migration, as far as the history is concerned. */
const apply = (history: HistoryRow[], m: MigrationHeader) => [...history.filter((r) => r.name !== m.name), row(m)];

describe('plan › for any files and any history', () => {
  it('is the same each time, whatever the order of the rows, and changes nothing it was given', () => {
    const cases = worlds.chain(([files, history]) =>
      fc.tuple(fc.constant(files), fc.constant(history), shuffled(history)),
    );
    fc.assert(
      fc.property(cases, ([files, history, other]) => {
        const planned = planOf(deepFreeze(files), deepFreeze(database(history)));
        expect(planOf(files, database(history))).toEqual(planned);
        expect(planOf(files, database(other))).toEqual(planned);
      }),
    );
  });

  it('has each file either applied or pending, both in order, and all else unknown', () => {
    fc.assert(
      fc.property(worlds, ([files, history]) => {
        const planned = planOf(files, database(history));
        expect([...planned.applied, ...names(planned)].sort()).toEqual(files.map((f) => f.name));
        expect(planned.applied).toEqual([...planned.applied].sort());
        expect(names(planned)).toEqual(names(planned).sort());
        const known = new Set(files.map((f) => f.name));
        const strangers = history.map((r) => r.name).filter((name) => !known.has(name));
        expect(planned.unknown).toEqual(strangers.sort());
        expect(planned.ahead).toBe(strangers.length > 0);
      }),
    );
  });

  it('applying what is pending, in order, ends with nothing pending and never meets a problem on the way', () => {
    fc.assert(
      fc.property(worlds, ([files, start]) => {
        fc.pre(planOf(files, database(start)).problems.length === 0);
        let history = start;
        for (let step = 0; step <= files.length; step++) {
          const planned = planOf(files, database(history));
          expect(planned.problems).toEqual([]);
          const next = planned.pending[0];
          if (!next) return;
          history = apply(history, next);
          expect(names(planOf(files, database(history)))).toEqual(names(planned).slice(1));
        }
        throw new Error('it never came to an end');
      }),
    );
  });

  it('--to stops at the one it names, and going on from there applies the rest', () => {
    const cases = worlds.chain(([files, history]) =>
      fc.tuple(fc.constant(files), fc.constant(history), fc.constantFrom(...files)),
    );
    fc.assert(
      fc.property(cases, ([files, history, last]) => {
        const all = planOf(files, database(history));
        fc.pre(all.problems.length === 0);
        const part = planOf(files, database(history), last.name);
        expect(part.problems).toEqual([]);
        expect(names(part)).toEqual(names(all).filter((name) => name <= last.name));
        const rest = planOf(files, database(part.pending.reduce(apply, history)));
        expect([...names(part), ...names(rest)]).toEqual(names(all));
      }),
    );
  });

  it('any changed checksum is a problem that names its file', () => {
    fc.assert(
      fc.property(worlds, ([files, history]) => {
        const sums = new Map(files.map((f) => [f.name, f.checksum]));
        const changed = history.filter((r) => sums.has(r.name) && sums.get(r.name) !== r.checksum).map((r) => r.name);
        const said = planOf(files, database(history)).problems.filter((p) => p.kind === 'changed');
        expect(said.map((p) => p.migration)).toEqual(changed.sort());
      }),
    );
  });

  it('a pending migration below the newest applied one is a problem unless it says out-of-order or had begun', () => {
    fc.assert(
      fc.property(worlds, ([files, history]) => {
        const planned = planOf(files, database(history));
        // Of files that have nothing to do with the database only that is said.
        if (planned.problems.some((p) => p.kind === 'wrong-folder')) return;
        const begun = new Set(history.map((r) => r.name));
        const late = planned.pending.filter(
          (m) => !m.outOfOrder && !begun.has(m.name) && planned.current !== undefined && m.name < planned.current,
        );
        // Of a folder that is another database's nothing else is said.
        if (planned.problems.some((p) => p.kind === 'wrong-folder')) return;
        const said = planned.problems.filter((p) => p.kind === 'out-of-order').map((p) => p.migration);
        expect(said).toEqual(late.map((m) => m.name));
      }),
    );
  });

  it('taking away the file of an applied migration that is not the newest is a problem', () => {
    const cases = folders
      .filter((files) => files.length > 1)
      .chain((files) => fc.tuple(fc.constant(files), fc.nat({ max: files.length - 2 })));
    fc.assert(
      fc.property(cases, ([files, at]) => {
        const gone = files[at] as MigrationHeader;
        const planned = planOf(
          files.filter((f) => f !== gone),
          database(files.map((f) => row(f, { minCompatible: null }))),
        );
        expect(kinds(planned)).toEqual([`missing ${gone.name}`]);
      }),
    );
  });

  it('a database made by a newer build passes for an older one, unless one of the new ones is incompatible', () => {
    const cases = folders.chain((files) =>
      fc.tuple(fc.constant(files), fc.integer({ min: 1, max: files.length }), shuffled(files)),
    );
    fc.assert(
      fc.property(cases, ([files, count, order]) => {
        const old = files.slice(0, count);
        const ends = old.at(-1) as MigrationHeader;
        const history = order.map((f) => row(f, { appVersion: NEWER }));
        const planned = planOf(old, database(history));
        expect(planned.pending).toEqual([]);
        const tooNew = files.slice(count).filter((f) => f.minCompatible !== undefined);
        expect(kinds(planned)).toEqual(tooNew.map((f) => `incompatible ${f.name}`));
        expect(tooNew.every((f) => (f.minCompatible as string) > ends.number)).toBe(true);
      }),
    );
  });

  it('check and migrate agree', () => {
    const cases = worlds.chain(([files, history]) =>
      fc.tuple(fc.constant(files), fc.constant(history), fc.constantFrom(undefined, 'ours', 'theirs')),
    );
    fc.assert(
      fc.property(cases, ([headers, history, vendorVersion]) => {
        const files = headers.map((f, i) => asMigration(i === 0 ? { ...f, vendorVersion: 'ours' } : f));
        const state = asState(history, vendorVersion);
        const gate = outcomeOf(() => evaluate(files, state));
        const migrator = outcomeOf(() => planFor(files, state, undefined));
        const planned = planOf(files, state);
        if (planned.problems.some((p) => p.kind !== 'vendor-upgraded')) {
          expect([gate, migrator.outcome]).toMatchObject([{ outcome: 'integrity' }, 'integrity']);
          expect(migrator.message).toContain(gate.message);
        } else {
          expect(gate.outcome).toBe(planned.pending.length > 0 ? 'pending' : 'ok');
          // The one difference: after Kasm's own upgrade nothing may be migrated, but what is there is good enough.
          expect(migrator.outcome).toBe(planned.problems.length > 0 ? 'integrity' : 'ok');
        }
      }),
    );
  });
});

function asMigration(header: MigrationHeader): Migration {
  const path = `migrations/${header.name}.sql`;
  return { ...header, path, downPath: path, sql: async () => '', downSql: async () => undefined };
}

function asState(history: HistoryRow[], vendorVersion: string | undefined): MigrationState {
  return {
    history: history.map((r): HistoryEntry => ({ ...r, appliedAt: '2026-01-01T00:00:00Z', durationMs: 1 })),
    publicTables: [],
    vendorVersion,
    run: undefined,
    server: { host: 'db', port: 5432 },
    lockHeld: undefined,
    lockHolder: undefined,
    serverVersion: 160_000,
    standby: false,
    pooled: false,
    owner: { user: 'app', owner: 'app', ownerMayUse: true },
  };
}

function outcomeOf(work: () => unknown): { outcome: Outcome; message: string } {
  try {
    work();
    return { outcome: 'ok', message: '' };
  } catch (error) {
    if (!(error instanceof KasmDbError)) throw error;
    return { outcome: error.outcome, message: error.message };
  }
}
