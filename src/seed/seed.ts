import { createHash, randomUUID } from 'node:crypto';
import { KasmDbError, messageOf } from '../app/errors.js';
import { plural } from '../app/plural.js';
import { type Breathe, breather } from '../app/time.js';
import { VERSION } from '../app/version.js';
import type { Context } from '../config/context.js';
import { readState } from '../history/read-state.js';
import { newRun, SEEDED_BY_PROGRAM } from '../history/run-row.js';
import type { MigrationState } from '../history/state.js';
import { ensureHistory, findHistoryTable, SEED_TABLES } from '../history/tables.js';
import { type Migration, vendorVersionOf } from '../migrations/files.js';
import { isReadyToSeed } from '../migrator/plan-for.js';
import { LockTaken, type MigrationLock, sessionOptions, withMigrationLock } from '../migrator/with-lock.js';
import { type Session, withSession } from '../postgres/session.js';
import { hasRows, unpopulated, withPlace } from './adopted.js';
import { type Assignment, assignCredentials, CREDENTIAL_COLUMNS, credentialValues } from './assign.js';
import { readCatalog, type Table } from './catalog.js';
import type { Credentials } from './credentials.js';
import { hasUsers, knownTokens, readCurrent, valuesIn } from './current.js';
import type { SeedDocument, SeedRow } from './document.js';
import { mayBeEncrypted } from './encrypted.js';
import { findEncrypted } from './find-encrypted.js';
import { GeneratedSecrets } from './generated-secrets.js';
import { newPlainText, warningsOf } from './notes.js';
import { mergeOverlay } from './overlay.js';
import { docKeyOf, type PlannedWrites, planWrites, type ResolvedRow, type Texts } from './plan-writes.js';
import { refuse } from './problems.js';
import { renameTokens } from './renamed-tokens.js';
import { applyCredentials, type CredentialReport } from './rotate.js';
import {
  canonical,
  DOCUMENTS,
  forget,
  type Remembered,
  readRemembered,
  remember,
  sendRows,
  writeRows,
} from './store.js';
import { looksLikeToken } from './tokens.js';
import { danglingReferences, validateRows } from './validate.js';

export interface SeedOptions {
  documents: SeedDocument[];
  credentials: Credentials;
  lockTimeoutMs: number;
  dryRun: boolean;
  /** Secret keys to apply although they were seeded before. */
  rotate: string[] | 'all';
  /** Also overwrite settings that kasm-db did not write. */
  force: boolean;
}

export interface SeedResult {
  state: MigrationState;
  /** The database is ahead of this build: nothing was done. */
  skipped: boolean;
  counts: PlannedWrites['counts'];
  credentials: CredentialReport[];
  /** Columns into which it writes plain text for the first time, where a genuine Kasm API may expect what only its code can encrypt. */
  plainText: string[];
  /** Columns in which values look encrypted by Kasm; looked for where somebody else has written rows. */
  encrypted: string[];
  /** Rows of settings that are there afterwards. */
  settings: number;
  warnings: string[];
}

/** How long a statement may wait for someone who has a table or a row. */
const TABLE_LOCK_TIMEOUT_MS = 10_000;

/**
 * Writes the default rows and the credentials, in one transaction under the migration lock. Safe to repeat: what someone has changed,
 * renamed or deleted since stays so.
 * @throws KasmDbError seed when a document or a Secret is wrong (nothing is written); pending when migrations are missing
 */
export async function seed(ctx: Context, migrations: Migration[], options: SeedOptions): Promise<SeedResult> {
  const rows = checkDocuments(options.documents, migrations);
  if (options.dryRun) return dryRun(ctx, migrations, rows, options);
  const waiting = { waitMs: options.lockTimeoutMs, vendor: true, doing: 'seeding' };
  const { result } = await withMigrationLock(ctx, waiting, (lock) =>
    seedUnderLock(ctx, lock, migrations, rows, options),
  );
  return result;
}

/** Which documents a build or a customer brings, as one short text; `check --seed` compares it. */
export function seedDigest(documents: readonly SeedDocument[]): string {
  const rows = mergeOverlay(documents).map((row) => [
    row.table,
    [...row.cells].map(([name, { value }]) => [name, value]),
  ]);
  return createHash('sha256').update(JSON.stringify(rows)).digest('hex').slice(0, 32);
}

/** The rows of all documents. @throws KasmDbError seed where one is of another Kasm release than the migrations */
export function checkDocuments(documents: readonly SeedDocument[], migrations: Migration[]): SeedRow[] {
  const expected = vendorVersionOf(migrations);
  for (const { file, alembicVersion, overlay } of documents) {
    if (expected === undefined || (overlay && alembicVersion === undefined)) continue;
    if (alembicVersion?.value !== expected) {
      throw new KasmDbError(
        'seed',
        `${file} is for alembic_version ${alembicVersion?.value ?? '(none is given)'}, but this kasm-db makes ${expected}`,
        {
          file,
          line: alembicVersion?.line ?? 1,
          hint: `use documents of the same Kasm release; one of another build of it (an image with a rolling tag) is taken with ${expected} as its alembic_version`,
        },
      );
    }
  }
  return mergeOverlay(documents);
}

async function dryRun(
  ctx: Context,
  migrations: Migration[],
  rows: SeedRow[],
  options: SeedOptions,
): Promise<SeedResult> {
  return withSession(ctx.resolve, { ...sessionOptions(ctx), doing: 'seeding' }, async (session) => {
    const state = await readState(session, { vendor: true });
    if (!isReadyToSeed(state, migrations)) return skipped(state);
    // Not read-only: what is sent for comparison stands in temporary tables.
    await session.begin('write', { lockTimeoutMs: TABLE_LOCK_TIMEOUT_MS });
    await session.script(QUIET);
    const result = await write(ctx, session, rows, options, state);
    await session.rollback();
    return { state, skipped: false, ...result };
  });
}

async function seedUnderLock(
  ctx: Context,
  lock: MigrationLock,
  migrations: Migration[],
  rows: SeedRow[],
  options: SeedOptions,
): Promise<SeedResult> {
  const { session, state: before } = lock;
  if (!isReadyToSeed(before, migrations)) return skipped(before);
  const bounds = { lockTimeoutMs: Math.min(TABLE_LOCK_TIMEOUT_MS, options.lockTimeoutMs) };
  const run = newRun();
  const start = run.start(migrations.length, 'seed');
  await lock.begin('write', bounds);
  await ensureHistory(session, SEED_TABLES);
  await session.commit('writing the run row (kasm_db.run)', start);
  try {
    await lock.begin('write', bounds);
    // Behind a pooler another migrator may have had the lock since.
    const state = await lock.reread();
    if (!isReadyToSeed(state, migrations)) {
      await session.rollback();
      return skipped(state);
    }
    await session.script(QUIET);
    const result = await write(ctx, session, rows, options, state);
    // Once more: whoever found us busy may have put its own name into the run row.
    await session.commit('seeding', `${start}; ${run.seeded(`${VERSION}:${seedDigest(options.documents)}`)}`);
    return { state, skipped: false, ...result };
  } catch (error) {
    await session.rollback();
    if (!(error instanceof LockTaken)) {
      const told = ctx.signal.aborted ? ctx.signal.reason : error;
      await session.writeUninterrupted(run.fail(messageOf(told))).catch(() => session.rollback());
    }
    throw error;
  }
}

/** A customer's trigger must not send us its rows as notices. */
const QUIET = "SET LOCAL client_min_messages = 'error'";

/** Counts of a seed that did not come about. */
export const NOTHING_SEEDED = { inserted: 0, updated: 0, unchanged: 0, kept: 0 };

const NOTHING_WRITTEN = {
  counts: NOTHING_SEEDED,
  credentials: [],
  plainText: [],
  encrypted: [],
  settings: 0,
  warnings: [],
};

function skipped(state: MigrationState): SeedResult {
  return { state, skipped: true, ...NOTHING_WRITTEN };
}

async function write(
  ctx: Context,
  session: Session,
  documentRows: SeedRow[],
  options: SeedOptions,
  state: MigrationState,
) {
  const breathe = breather(ctx.signal);
  // A dry run on a database that was never seeded has none.
  const seeds = await findHistoryTable(session, 'kasm_db.seeds');
  const stored = seeds ? await readRemembered(session) : [];
  const catalog = await readCatalog(session, new Set([...documentRows, ...stored].map(({ table }) => table)));
  const everyRow = options.documents.flatMap((document) => document.rows);
  const { remembered, changes } = renameTokens(stored, everyRow, catalog);
  const byProgram = wasSeededByProgram(state);
  const adopted = byProgram || wasAdopted(state);
  const rows = withPlace(documentRows, catalog);
  const current = await readCurrent(session, rows, catalog);
  // A program that has come to its end meant to leave out what it left out.
  const lacking = byProgram ? [] : unpopulated(documentRows, current);
  const first = remembered.length === 0 && adopted && hasRows(documentRows, current);
  const adopting = first && lacking.length === 0;
  const known = knownTokens(remembered, current, catalog);
  refuse([
    ...(await validateRows(
      rows,
      catalog,
      adopting ? 'all' : CREDENTIAL_COLUMNS,
      breathe,
      new Set(remembered.map(({ table, docKey }) => `${table}\0${docKey}`)),
    )),
    ...danglingReferences(rows, catalog, valuesIn(current, known)),
  ]);
  const assignments = new Map(
    assignCredentials(rows, options.credentials).map((assignment) => [assignment.row, assignment]),
  );
  const resolvedRows = await resolveRows({
    rows,
    catalog,
    credentials: options.credentials,
    assignments,
    known,
    breathe,
  });
  const texts = await canonicalTexts(session, resolvedRows);
  const planned = await planWrites(resolvedRows, texts, { remembered, current, adopting }, breathe);
  refuse(planned.problems);
  const paired = resolvedRows.flatMap((resolved) => {
    const assignment = assignments.get(resolved.row);
    return assignment ? [{ assignment, resolved }] : [];
  });
  refuseMissing(paired, planned, options.credentials);
  const credentials = applyCredentials(paired, planned, {
    rotate: (key) => options.rotate === 'all' || options.rotate.includes(key),
    force: options.force,
    now: new Date().toISOString().replace('T', ' ').replace('Z', ''),
  });
  const encrypted =
    adopted || remembered.some((entry) => isSomebodyElses(entry, catalog))
      ? await findEncrypted(session, remembered)
      : [];
  const writes = [...planned.writes, ...planned.deferredUpdates, ...credentials.writes];
  await writeRows(session, writes, catalog);
  const notes = new Map(
    [...planned.remember, ...credentials.remember].map((row) => [`${row.table}\0${row.docKey}`, row]),
  );
  if (seeds) {
    await forget(
      session,
      changes.map(({ before }) => before),
    );
    const renamed = changes.map(({ after }) => after).filter(({ table, docKey }) => !notes.has(`${table}\0${docKey}`));
    await remember(session, [...renamed, ...notes.values()], VERSION);
  }
  const plainText = newPlainText(writes, remembered, catalog);
  const inserted = (table: string) =>
    planned.writes.filter((write) => write.kind === 'insert' && write.table === table);
  const newSettings = inserted('settings').length;
  const settings = newSettings + (current.get('settings')?.size ?? 0);
  const warnings = warningsOf({
    lacking: first ? lacking : [],
    plainText,
    encrypted,
    settings: newSettings > 0 ? settings : undefined,
    users: inserted('users').length > 0 || (current.get('users')?.size ?? 0) > 0 || (await hasUsers(session)),
  });
  return {
    counts: planned.counts,
    credentials: credentials.reports,
    plainText,
    encrypted: encrypted.map(({ name }) => name),
    settings,
    warnings,
  };
}

/** Kasm itself has made the tables, and perhaps its rows, with keys of its own. */
const wasAdopted = ({ history = [] }: MigrationState) => history.some(({ kind }) => kind === 'adopted');
/** The same, in a database that we have migrated. */
const wasSeededByProgram = ({ run }: MigrationState) => run?.seedDigest?.endsWith(`:${SEEDED_BY_PROGRAM}`) ?? false;

/** A value in a column that Kasm may encrypt is none of ours. */
function isSomebodyElses({ table, columns }: Remembered, catalog: ReadonlyMap<string, Table>): boolean {
  return Object.entries(columns).some(([name, { print }]) => {
    const column = catalog.get(table)?.columns.get(name);
    return print === null && column !== undefined && mayBeEncrypted(table, column);
  });
}

interface Unresolved {
  rows: readonly SeedRow[];
  catalog: ReadonlyMap<string, Table>;
  credentials: Credentials;
  assignments: ReadonlyMap<SeedRow, Assignment>;
  /** Values of tokens that have one. */
  known: ReadonlyMap<string, string>;
  breathe: Breathe;
}

async function resolveRows(from: Unresolved): Promise<ResolvedRow[]> {
  const { rows, catalog, credentials, assignments, known, breathe } = from;
  const secrets = new GeneratedSecrets(known, (key) => credentials.get(key));
  const resolved: ResolvedRow[] = [];
  for (const [n, row] of rows.entries()) {
    await breathe();
    const table = catalog.get(row.table) as Table;
    const values: Record<string, unknown> = {};
    for (const [name, { value }] of row.cells) {
      // Null is a value like others; only where it can't be one, the column's default stands for it.
      if (value === null && table.columns.get(name)?.notNull) continue;
      const plain = await resolveTokens(value, secrets);
      values[name] =
        plain !== null && table.columns.get(name)?.type === 'bytea'
          ? `\\x${Buffer.from(plain as string | Uint8Array).toString('hex')}`
          : plain;
    }
    const assignment = assignments.get(row);
    const given = assignment
      ? credentialValues(assignment, credentials, typeof values.salt === 'string' ? values.salt : undefined)
      : {};
    Object.assign(values, given);
    // An id of our own making, so that the row is known by it afterwards.
    const [id = ''] = table.primaryKey;
    if (table.primaryKey.length === 1 && (values[id] ?? null) === null && table.columns.get(id)?.type === 'uuid')
      values[id] = randomUUID();
    const credentialColumns = new Set(Object.keys(given));
    if (assignment?.columns.hash) credentialColumns.add(assignment.columns.hash).add(assignment.columns.salt as string);
    resolved.push({ n, row, table, docKey: docKeyOf(row, table), values, credentialColumns });
  }
  return resolved;
}

/** Tokens may also stand inside lists and maps (JSON columns). */
async function resolveTokens(value: unknown, secrets: GeneratedSecrets): Promise<unknown> {
  if (looksLikeToken(value)) return secrets.value(value);
  if (Array.isArray(value)) return Promise.all(value.map((item) => resolveTokens(item, secrets)));
  if (value && typeof value === 'object' && !(value instanceof Uint8Array)) {
    const entries = await Promise.all(
      Object.entries(value).map(async ([key, item]) => [key, await resolveTokens(item, secrets)] as const),
    );
    return Object.fromEntries(entries);
  }
  return value;
}

async function canonicalTexts(session: Session, rows: readonly ResolvedRow[]): Promise<Map<ResolvedRow, Texts>> {
  await sendRows(
    session,
    DOCUMENTS,
    rows.map(({ n, table, values }) => ({ n, target: table.name, values })),
  );
  const columns = new Map<Table, Set<string>>();
  for (const { table, values } of rows) {
    const set = columns.get(table) ?? new Set();
    for (const name of Object.keys(values)) set.add(name);
    for (const key of table.primaryKey) set.add(key);
    columns.set(table, set);
  }
  const texts = await canonical(
    session,
    DOCUMENTS,
    [...columns].map(([table, names]) => ({ table, columns: [...names] })),
  );
  return new Map(rows.map((row) => [row, texts.get(row.n) ?? {}]));
}

/** A row that has to be made and whose credential nobody gives. */
function refuseMissing(
  paired: readonly { assignment: Assignment; resolved: ResolvedRow }[],
  planned: PlannedWrites,
  credentials: Credentials,
): void {
  const missing = paired.filter(
    ({ assignment, resolved }) =>
      assignment.needed && assignment.secret === undefined && planned.located.get(resolved)?.inserted,
  );
  if (missing.length === 0) return;
  const lines = missing.map(
    ({ assignment }) => `${assignment.key} (looked for in ${credentials.places(assignment.key)})`,
  );
  throw new KasmDbError(
    'seed',
    `${plural(missing.length, 'credential is', 'credentials are')} missing, so nothing was written: ${lines.join('; ')}`,
    {
      hint: 'add the keys to the Secret that is mounted at --secrets (KASM_DB_SECRETS_DIR); kasm-db has no default credential',
    },
  );
}

/** Before anything is changed, the role's own password too. @throws KasmDbError seed where a key to rotate has no row or no value */
export function requireRotatable(rotate: string[] | 'all', rows: readonly SeedRow[], credentials: Credentials): void {
  if (rotate === 'all') return;
  const assignments = assignCredentials(rows, credentials);
  for (const key of rotate) {
    const found = assignments.find((assignment) => assignment.key === key);
    if (!found) {
      throw new KasmDbError('seed', `--rotate: no row of the seed documents takes the credential "${key}"`, {
        hint: `known are ${assignments.map((assignment) => assignment.key).join(', ')}`,
      });
    }
    if (found.secret === undefined) {
      throw new KasmDbError('seed', `--rotate: the credential "${key}" has no value`, {
        hint: 'add it to the mounted Secret',
      });
    }
  }
}
