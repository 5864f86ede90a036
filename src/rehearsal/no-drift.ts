import { KasmDbError } from '../app/errors.js';
import { plural } from '../app/plural.js';
import type { Context } from '../config/context.js';
import { readState } from '../history/read-state.js';
import { type Migration, writesVendorVersion } from '../migrations/files.js';
import { planFor } from '../migrator/plan-for.js';
import { withSession } from '../postgres/session.js';
import type { Difference } from '../schema/diff.js';
import { requireSnapshot } from '../schema/snapshot.js';
import { verify } from '../schema/verify.js';
import { rehearse } from './rehearse.js';

/**
 * Stops `migrate --verify` before anything is applied. The snapshot is that of the newest migration: where some are pending, what they make of this
 * schema is found out by a rehearsal. A database that is empty or ahead of this build has nothing to compare.
 * @param folder of migrations; undefined: those that ship with this build
 * @throws KasmDbError integrity with the differences; and what a rehearsal throws
 */
export async function requireNoDrift(ctx: Context, migrations: Migration[], folder: string | undefined): Promise<void> {
  await requireSnapshot(folder, migrations.at(-1)?.name);
  const state = await withSession(ctx, 'verifying', (session) =>
    readState(session, { vendor: writesVendorVersion(migrations) }),
  );
  const { pending, ahead } = planFor(migrations, state);
  if (!state.history?.length || ahead) return;
  const { differences } =
    pending.length > 0 ? await rehearse(ctx, migrations, { folder }) : await verify(ctx, migrations, folder);
  if (differences.length > 0) throw new DriftError(differences, pending.length);
}

class DriftError extends KasmDbError {
  /** Goes into the result. */
  readonly fields: { differences: Difference[] };

  constructor(differences: Difference[], pending: number) {
    const n = differences.length;
    const shown = differences.slice(0, 5).map(({ change, object }) => `${change} ${object}`);
    const more = n > shown.length ? ` and ${n - shown.length} more` : '';
    super(
      'integrity',
      `${pending > 0 ? 'what the pending migrations make of this database' : 'this database'} has ${plural(n, 'difference')} from the snapshot (${shown.join(', ')}${more}): nothing was applied`,
      {
        hint:
          pending > 0
            ? 'put them right by hand, or leave --verify out; kasm-db plan --rehearse shows all of them'
            : 'put them right by hand, or leave --verify out; kasm-db verify --fix-sql prints the statements',
      },
    );
    this.fields = { differences };
  }
}
