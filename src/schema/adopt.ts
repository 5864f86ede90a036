import { escapeLiteral } from 'pg';
import { KasmDbError } from '../app/errors.js';
import { plural } from '../app/plural.js';
import { VERSION } from '../app/version.js';
import type { Context } from '../config/context.js';
import { recordSql } from '../history/record.js';
import { newRun } from '../history/run-row.js';
import type { MigrationState } from '../history/state.js';
import { ADOPT_TABLES, ensureHistory, RUN_TABLES } from '../history/tables.js';
import { type Migration, vendorVersionOf } from '../migrations/files.js';
import { describeHalf, findTables, isWithoutRows, RESTART_HINT, VENDOR_TABLE } from '../migrator/half-done.js';
import { notOwnedSql, notOwnedTables } from '../migrator/ownership.js';
import { planFor } from '../migrator/plan-for.js';
import { type MigrationLock, withMigrationLock } from '../migrator/with-lock.js';
import type { Session } from '../postgres/session.js';
import { toKasmDbError } from '../postgres/sqlstate.js';
import { acceptedSql, headDifference } from './accepted.js';
import { createAll } from './ddl/create.js';
import { type Difference, diff } from './diff.js';
import { changeWords } from './difference-words.js';
import { introspectHere } from './introspect.js';
import type { Schema } from './model.js';
import { requireSnapshot } from './snapshot.js';
import { tolerate } from './tolerance.js';

export interface AdoptOptions {
  /** Folder of migrations; undefined: those that ship with this build. */
  folder: string | undefined;
  dryRun: boolean;
  /** Accept differences that matter, too; they are stored, and `verify` does not report them. */
  allowDifferences: boolean;
  /** An alembic_version that this build does not know, of the same release of Kasm; it is stored, so that `check` and `verify` know it. */
  acceptHead: string | undefined;
  /** Make the indexes that are missing. Nothing else is ever added. */
  addMissing: boolean;
  /** How long to wait for another migrator, in milliseconds. */
  lockTimeoutMs: number;
}

export interface AdoptResult {
  state: MigrationState;
  /** It was adopted or migrated before: nothing was done. */
  already: boolean;
  /** Migrations that were recorded as adopted (or would be). */
  recorded: string[];
  /** Differences that matter, and were allowed. */
  allowed: Difference[];
  /** What Kasm's export leaves open. */
  tolerated: Difference[];
  /** Ids of the indexes that were made (or would be). */
  added: string[];
  /** What of it this login will not be able to migrate or to seed. */
  warnings: string[];
  /** Written as alembic_version (or would be), since Kasm's initialisation was left before that. */
  stamped?: string;
}

/** How long one statement may wait for someone who has a table. */
const TABLE_LOCK_TIMEOUT_MS = 10_000;

/**
 * Takes over a database that Kasm itself has made: compares it with the snapshot, then records every migration as adopted, in one
 * transaction under the migration lock. Runs no migration.
 * @throws KasmDbError integrity when it differs in what matters, or is of a release that this build doesn't know
 */
export async function adopt(ctx: Context, migrations: Migration[], options: AdoptOptions): Promise<AdoptResult> {
  const waiting = { waitMs: options.lockTimeoutMs, vendor: true, doing: 'adopting' };
  const { result } = await withMigrationLock(ctx, waiting, (lock) => adoptUnderLock(lock, migrations, options));
  return result;
}

async function adoptUnderLock(
  lock: MigrationLock,
  migrations: Migration[],
  options: AdoptOptions,
): Promise<AdoptResult> {
  const { session } = lock;
  await lock.begin('write', { lockTimeoutMs: TABLE_LOCK_TIMEOUT_MS });
  try {
    const state = await lock.reread();
    if ((state.history ?? []).length > 0) {
      refuseHalf(migrations, state);
      await session.rollback();
      return { state, already: true, recorded: [], allowed: [], tolerated: [], added: [], warnings: [] };
    }
    const version = refuseOther(migrations, state, options);
    const known = vendorVersionOf(migrations);
    const { acceptHead } = options;
    const head = acceptHead === undefined || acceptHead === known ? [] : [headDifference(known, acceptHead)];
    const snapshot = await requireSnapshot(options.folder, migrations.at(-1)?.name);
    if (version !== undefined) await stamp(session, snapshot.schema, state, version);
    const compareNow = async () => {
      const { schema } = snapshot;
      const actual = await introspectHere(session.client);
      const differences = diff(schema, actual);
      return { differences, ...tolerate(differences, schema, actual) };
    };
    let found = await compareNow();
    if (found.refused.length > 0 && !options.allowDifferences)
      throw new DifferenceError(found.refused, version === undefined ? undefined : RESTART_HINT);
    // An index changes nothing but speed.
    const missing = found.differences.filter(({ change, object }) => change === 'missing' && /^index /.test(object));
    const added = options.addMissing ? missing.map(({ object }) => object) : [];
    for (const sql of createAll(snapshot.schema, (id) => added.includes(id))) {
      await session.script(sql).catch((error) => {
        throw toKasmDbError(error, `making a missing index (${sql})`, {
          hint: 'adopt without --add-missing; an index can be made later',
        });
      });
    }
    if (added.length > 0) found = await compareNow();
    const warnings = await foreignTables(session, migrations);
    if (options.dryRun) await session.rollback();
    else await record(session, migrations, [...head, ...found.differences]);
    return {
      ...{ state, already: false, recorded: migrations.map(({ name }) => name), added, warnings },
      ...{ allowed: [...head, ...found.refused], tolerated: found.tolerated },
      ...(version ? { stamped: version } : {}),
    };
  } catch (error) {
    await session.rollback();
    throw error;
  }
}

/** A database that a superuser has restored is the superuser's. */
async function foreignTables(session: Session, migrations: readonly Migration[]): Promise<string[]> {
  const tables = migrations.flatMap(({ creates }) => [...creates]);
  const [found] = await session.query(`SELECT ${notOwnedSql('$1')} AS count, current_user AS "user"`, [tables]);
  if (found.count === 0) return [];
  const { text, fix } = notOwnedTables(found.count, found.user);
  return [`${text}, so it can neither migrate nor seed them: ${fix}`];
}

async function record(session: Session, migrations: Migration[], differences: readonly Difference[]): Promise<void> {
  await ensureHistory(session, differences.length > 0 ? ADOPT_TABLES : RUN_TABLES);
  const run = newRun();
  const rows = migrations.map(({ name, checksum, minCompatible }) =>
    recordSql({ name, checksum, minCompatible, durationMs: 0, appVersion: VERSION, kind: 'adopted' }),
  );
  const stored = differences.map(acceptedSql);
  await session.commit(
    'adopting',
    [run.start(migrations.length, 'migrate'), ...rows, ...stored, run.finish('done')].join('; '),
  );
}

const refusal = (message: string, hint: string) => new KasmDbError('integrity', message, { hint });

/** Nothing is adopted twice; what is pending in a database that kasm-db has made is migrate's. */
function refuseHalf(migrations: Migration[], state: MigrationState): void {
  const { pending } = planFor(migrations, state);
  if (pending.length === 0) return;
  const count = plural(pending.length, 'migration is', 'migrations are');
  throw refusal(`kasm-db manages this database already, and ${count} pending`, 'run: kasm-db migrate');
}

/** Writes what Kasm's initialisation writes last. */
async function stamp(session: Session, schema: Schema, state: MigrationState, version: string): Promise<void> {
  const make = state.publicTables.includes(VENDOR_TABLE)
    ? []
    : createAll(schema, (id) => id.slice(id.indexOf(' ') + 1).startsWith(`public.${VENDOR_TABLE}`));
  const doing = `writing ${VENDOR_TABLE}, which is missing`;
  for (const sql of [...make, `INSERT INTO public.${VENDOR_TABLE} (version_num) VALUES (${escapeLiteral(version)})`])
    await session.script(sql).catch((error) => {
      throw toKasmDbError(error, doing);
    });
}

/**
 * @returns the version to write, where an initialisation was left after all of its tables and before any row: whether they are the tables of this
 * release, the comparison says
 */
function refuseOther(
  migrations: Migration[],
  state: MigrationState,
  { allowDifferences, acceptHead }: AdoptOptions,
): string | undefined {
  const creates = migrations.flatMap((migration) => migration.creates);
  const found = findTables(creates, state);
  if (found.there.length === 0)
    throw refusal(
      'there is nothing to adopt: schema public has none of the tables of Kasm',
      'for an empty database: kasm-db migrate',
    );
  const known = vendorVersionOf(migrations);
  const version = state.vendorVersion;
  if (acceptHead !== undefined && acceptHead !== version)
    throw refusal(
      `--accept-head: the database's alembic_version is ${version ?? 'missing'}, not ${acceptHead}`,
      version === known || version === undefined
        ? 'leave --accept-head out'
        : 'look at both, and name the one that the database has',
    );
  if (known === undefined || version === known || (version !== undefined && version === acceptHead)) return undefined;
  if (version !== undefined)
    throw refusal(
      `the database is of another release of Kasm: its alembic_version is ${version}, this kasm-db knows ${known}`,
      `use the kasm-db of that release; if it is another build of the same release (a rolling tag of the image): kasm-db adopt --accept-head ${version}`,
    );
  // What may differ says nothing of the release.
  if (isWithoutRows(found) && !allowDifferences) return known;
  throw refusal(
    `the database has no alembic_version, so nobody knows which release of Kasm it is of; ${describeHalf(found)}: an initialisation was left half-done`,
    isWithoutRows(found)
      ? 'kasm-db adopt without --allow-differences takes over tables that are all as this release has them'
      : `Kasm does not go on with it: restore a backup, or use an empty database; who knows that it is of this release writes ${known} into alembic_version by hand, and adopts again`,
  );
}

/** Says in which ways a database is not the one that the migrations make. */
class DifferenceError extends KasmDbError {
  /** Goes into the result. */
  readonly fields: { differences: Difference[] };

  constructor(differences: Difference[], hint?: string) {
    const lines = differences.slice(0, 20).map(describe);
    if (differences.length > 20) lines.push(`and ${differences.length - 20} more`);
    super(
      'integrity',
      `the database differs from what the migrations make, so nothing was recorded: ${lines.join('; ')}`,
      { hint: hint ?? 'put them right by hand, or accept them as they are: kasm-db adopt --allow-differences' },
    );
    this.fields = { differences };
  }
}

function describe(difference: Difference): string {
  const { change, object } = difference;
  return change === 'changed' ? changeWords(object, difference) : `${change}: ${object}`;
}
