import { KasmDbError } from '../app/errors.js';
import { plural } from '../app/plural.js';
import type { Context } from '../config/context.js';
import { readState } from '../history/read-state.js';
import type { MigrationState } from '../history/state.js';
import { type Migration, vendorVersionOf, writesVendorVersion } from '../migrations/files.js';
import type { Plan } from '../migrator/plan.js';
import { planFor } from '../migrator/plan-for.js';
import { requireSupported } from '../migrator/with-lock.js';
import { withSession } from '../postgres/session.js';
import { acceptedHead, readAccepted, withoutAccepted } from './accepted.js';
import { diffExport } from './against.js';
import { type Difference, diff } from './diff.js';
import { readExport } from './export.js';
import { introspect } from './introspect.js';
import type { Schema } from './model.js';
import { notOurs, type Ownership, readOwnership, withoutDefaultGrants } from './ownership.js';
import { requireSnapshot } from './snapshot.js';

export interface VerifyResult {
  state: MigrationState;
  /** undefined: compared with a file, whatever the history says. */
  plan?: Plan<Migration>;
  differences: Difference[];
  /** Differences that adopt has stored. */
  accepted: Difference[];
  /** Tables and optional columns that an export does not list: no drift. */
  leftOver: Difference[];
  /** What is not ours: no drift either, unless `strict`. */
  others: Difference[];
  /** Privileges that an administrator gives to every new object: `SELECT on every table for readers`. */
  defaultGrants: string[];
  /** undefined: compared with an export, which cannot say enough to make statements. */
  expected?: Schema;
  actual: Schema;
}

/**
 * Compares the live catalog with the snapshot of the migrations, or with Kasm's own export. Never writes.
 * @param folder of migrations; undefined: those that ship with this build
 * @param against Export Schema file; strict: what is not ours is drift, too
 * @throws KasmDbError pending when migrations are missing, integrity when the database is ahead of this build
 */
export async function verify(
  ctx: Context,
  migrations: Migration[],
  folder: string | undefined,
  { against, strict = false }: { against?: string | undefined; strict?: boolean | undefined } = {},
): Promise<VerifyResult> {
  const exported = against === undefined ? undefined : await readExport(against, ctx.signal);
  return withSession(ctx, 'verifying', async (session) => {
    const state = await readState(session, { vendor: exported !== undefined || writesVendorVersion(migrations) });
    if (exported) {
      requireSupported(state);
      const actual = await introspect(session);
      const { differences, leftOver } = diffExport(exported, actual, state.vendorVersion);
      const head = acceptedHead(state, vendorVersionOf(migrations));
      const { open, accepted } = withoutAccepted(
        differences,
        head && head.expected === exported.alembicVersion ? [head] : [],
      );
      return { state, differences: open, leftOver, accepted, others: [], defaultGrants: [], actual };
    }
    const plan = planFor(migrations, state);
    refuseOther(plan);
    const snapshot = await requireSnapshot(folder, migrations.at(-1)?.name);
    const found = await introspect(session);
    const expected = snapshot.schema;
    const [stored, ownership] = await session.reading(async () => [
      await readAccepted(session),
      await readOwnership(session),
    ]);
    const { ours, accepted: known, ...rest } = compare(found, expected, { ownership, stored, strict });
    const head = acceptedHead(state, vendorVersionOf(migrations));
    const accepted = [...(head ? [head] : []), ...known];
    return { state, plan, differences: ours, accepted, leftOver: [], expected, ...rest };
  });
}

/**
 * Holds a catalog against a snapshot; pure.
 * @param stored differences that were accepted; strict: what is not ours is drift, too
 */
export function compare(
  found: Schema,
  expected: Schema,
  { ownership, stored, strict = false }: { ownership: Ownership; stored: readonly Difference[]; strict?: boolean },
) {
  const { schema: actual, found: defaultGrants } = strict
    ? { schema: found, found: [] }
    : withoutDefaultGrants(found, expected, ownership);
  const { open, accepted } = withoutAccepted(diff(expected, actual), stored);
  const { ours, others } = strict ? { ours: open, others: [] } : notOurs(open, expected, actual, ownership);
  return { ours, others, accepted, defaultGrants, actual };
}

/** The snapshot is that of this build's newest migration: it says nothing of a database before or after it. */
function refuseOther({ pending, unknown }: Plan<Migration>): void {
  if (pending.length > 0) {
    throw new KasmDbError(
      'pending',
      `${plural(pending.length, 'migration is', 'migrations are')} not applied yet (the first is ${pending[0]?.name}), so the snapshot is not this database's`,
      { hint: 'run: kasm-db migrate, then verify again' },
    );
  }
  if (unknown.length > 0) {
    throw new KasmDbError(
      'integrity',
      `the database is ahead of this build: it has ${unknown.join(', ')}, which the snapshot of this build doesn't know`,
      { hint: 'verify it with the kasm-db that has migrated it' },
    );
  }
}
