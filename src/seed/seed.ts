import { createHash } from 'node:crypto';
import { KasmDbError, messageOf } from '../errors.js';
import { begin, rollback } from '../migrate/apply.js';
import type { Context } from '../migrate/context.js';
import type { Migration } from '../migrate/files.js';
import { ensureHistory, look } from '../migrate/history.js';
import { planFor } from '../migrate/run.js';
import { newRun } from '../migrate/run-row.js';
import type { Look } from '../migrate/state.js';
import { type Client, connect } from '../postgres/connect.js';
import { tryTransactionLock } from '../postgres/lock.js';
import { describeHolder, type LockHolder } from '../postgres/lock-holder.js';
import { cancellable, disconnect } from '../postgres/query.js';
import { sqlstateOf, toKasmDbError } from '../postgres/sqlstate.js';
import type { SessionOptions } from '../postgres/transaction.js';
import { jittered, now, sleep } from '../time.js';
import { VERSION } from '../version.js';
import { type Assignment, assignCredentials, CREDENTIAL_COLUMNS, credentialValues } from './assign.js';
import { readCatalog, type Table } from './catalog.js';
import type { Credentials } from './credentials.js';
import { type Decided, decide, docKeyOf, type ResolvedRow, type Texts } from './decide.js';
import type { Problem, SeedDocument, SeedRow } from './documents.js';
import { Material } from './material.js';
import { mergeOverlay } from './overlay.js';
import { applyCredentials, type CredentialReport } from './rotate.js';
import {
  canonical,
  currentRows,
  ensureSeeds,
  fingerprint,
  type Remembered,
  readRemembered,
  remember,
  sendRows,
  writeRows,
} from './store.js';
import { looksLikeToken } from './tokens.js';
import { validateRows } from './validate.js';

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
  look: Look;
  /** The database is ahead of this build: nothing was done. */
  skipped: boolean;
  counts: Decided['counts'];
  credentials: CredentialReport[];
}

const SESSION_LOCK_TIMEOUT_MS = 10_000;

/**
 * Writes the default rows and the credentials, in one transaction under the migration lock. Safe to repeat: what someone has changed,
 * renamed or deleted since stays so.
 * @throws KasmDbError seed when a document or a Secret is wrong (nothing is written); pending when migrations are missing
 */
export async function seed(ctx: Context, migrations: Migration[], options: SeedOptions): Promise<SeedResult> {
  const rows = checkDocuments(options.documents, migrations);
  const deadline = now() + options.lockTimeoutMs;
  for (let tries = 0; ; tries++) {
    const client = await connect(ctx.resolve, { signal: ctx.signal, onRetry: ctx.events.retryConnect });
    let holder: LockHolder | undefined;
    try {
      const result = await cancellable(client, ctx.signal, () => attempt(ctx, client, migrations, rows, options));
      if (!('busy' in result)) return result;
      holder = result.busy;
    } catch (error) {
      ctx.signal.throwIfAborted();
      throw toKasmDbError(error, 'seeding');
    } finally {
      await disconnect(client);
    }
    ctx.events.waitForLock?.(holder);
    const pause = jittered(Math.min(100 * 1.5 ** tries, 2000));
    if (now() + pause > deadline) {
      throw new KasmDbError(
        'locked',
        `another migrator held the migration lock all the time: ${describeHolder(holder)}`,
        {
          hint: 'wait for it and run again, or give more time with --lock-timeout',
        },
      );
    }
    await sleep(pause, ctx.signal);
  }
}

/** Which documents a build or a customer brings, as one short text; `check --seed` compares it. */
export function seedDigest(documents: readonly SeedDocument[]): string {
  const rows = mergeOverlay(documents).map((row) => [
    row.table,
    [...row.cells].map(([name, { value }]) => [name, value]),
  ]);
  return createHash('sha256').update(JSON.stringify(rows)).digest('hex').slice(0, 32);
}

function checkDocuments(documents: readonly SeedDocument[], migrations: Migration[]): SeedRow[] {
  const expected = migrations.findLast((migration) => migration.vendorVersion !== undefined)?.vendorVersion;
  for (const { file, alembicVersion, overlay } of documents) {
    if (expected === undefined || (overlay && alembicVersion === undefined)) continue;
    if (alembicVersion?.value !== expected) {
      throw new KasmDbError(
        'seed',
        `${file} is for alembic_version ${alembicVersion?.value ?? '(none is given)'}, but this kasm-db makes ${expected}`,
        {
          file,
          line: alembicVersion?.line ?? 1,
          hint: 'use documents of the same Kasm release',
        },
      );
    }
  }
  return mergeOverlay(documents);
}

async function attempt(
  ctx: Context,
  client: Client,
  migrations: Migration[],
  rows: SeedRow[],
  options: SeedOptions,
): Promise<SeedResult | { busy: LockHolder | undefined }> {
  const state = await look(client, { vendor: true });
  const planned = planFor(migrations, state, undefined);
  const nothing = { inserted: 0, updated: 0, unchanged: 0, kept: 0 };
  if (planned.ahead) return { look: state, skipped: true, counts: nothing, credentials: [] };
  if (planned.pending.length > 0) {
    throw new KasmDbError(
      'pending',
      `${planned.pending.length} migrations are not applied yet, so there is nothing to seed into`,
      {
        hint: 'run: kasm-db migrate --seed',
      },
    );
  }
  if (state.standby)
    throw new KasmDbError('environment', 'this server is a standby; it takes no writes', {
      hint: 'connect to the primary',
    });
  const session: SessionOptions = {
    lockTimeoutMs: SESSION_LOCK_TIMEOUT_MS,
    role: ctx.resolve().role,
    serverVersion: state.serverVersion,
  };
  const run = newRun();
  if (!options.dryRun) {
    await begin(client, session);
    const lock = await tryTransactionLock(client);
    if (!lock.locked) {
      await rollback(client);
      return { busy: lock.holder };
    }
    await ensureHistory(client);
    await ensureSeeds(client);
    await client.query(`${run.start(migrations.length, 'seed')}; COMMIT`);
  }
  try {
    await begin(client, session);
    const lock = await tryTransactionLock(client);
    if (!lock.locked) {
      await rollback(client);
      return { busy: lock.holder };
    }
    const result = await write(client, rows, options, state, options.dryRun);
    if (options.dryRun) await rollback(client);
    else await client.query(`${run.seeded(`${VERSION}:${seedDigest(options.documents)}`)}; COMMIT`);
    return { look: state, skipped: false, ...result };
  } catch (error) {
    await rollback(client);
    if (!options.dryRun && !ctx.signal.aborted) {
      await begin(client, session)
        .then(() => client.query(`${run.fail(messageOf(error), sqlstateOf(error) !== undefined)}; COMMIT`))
        .catch(() => rollback(client));
    }
    throw error;
  }
}

async function write(client: Client, rows: SeedRow[], options: SeedOptions, state: Look, dryRun: boolean) {
  const catalog = await readCatalog(client);
  refuse(validateRows(rows, catalog, CREDENTIAL_COLUMNS));
  const there = dryRun
    ? (await client.query("SELECT to_regclass('kasm_db.seeds') IS NOT NULL AS there")).rows[0].there
    : true;
  const remembered = there ? await readRemembered(client) : [];
  const current = await readCurrent(client, rows, catalog);
  const assignments = new Map(
    assignCredentials(rows, options.credentials).map((assignment) => [assignment.row, assignment]),
  );
  const resolvedRows = await resolveRows(
    rows,
    catalog,
    options.credentials,
    assignments,
    knownTokens(remembered, current, catalog),
  );
  const texts = await canonicalTexts(client, resolvedRows);
  const adopting = remembered.length === 0 && (state.history ?? []).some((row) => row.kind === 'adopted');
  const decided = decide(resolvedRows, texts, { remembered, current, adopting });
  refuse(decided.problems);
  const paired = resolvedRows.flatMap((resolved) => {
    const assignment = assignments.get(resolved.row);
    return assignment ? [{ assignment, resolved }] : [];
  });
  refuseMissing(paired, decided, options.credentials);
  refuseUnknownRotation(options.rotate, paired);
  const credentials = applyCredentials(paired, decided, {
    rotate: (key) => options.rotate === 'all' || options.rotate.includes(key),
    force: options.force,
    now: new Date().toISOString().replace('T', ' ').replace('Z', ''),
  });
  await writeRows(client, [...decided.writes, ...decided.late, ...credentials.writes], catalog);
  const notes = new Map(
    [...decided.remember, ...credentials.remember].map((row) => [`${row.table}\0${row.docKey}`, row]),
  );
  if (there) await remember(client, [...notes.values()], VERSION);
  return { counts: decided.counts, credentials: credentials.reports };
}

/** One error that lists everything that is wrong. */
function refuse(problems: readonly Problem[]): void {
  if (problems.length === 0) return;
  const [first] = problems as [Problem];
  const shown = problems.slice(0, 50).map(({ file, line, message }) => `${file}:${line}: ${message}`);
  const more = problems.length > 50 ? [`and ${problems.length - 50} more`] : [];
  throw new KasmDbError(
    'seed',
    `${problems.length} problem${problems.length === 1 ? '' : 's'} in the seed documents, nothing was written:\n${[...shown, ...more].join('\n')}`,
    {
      file: first.file,
      line: first.line,
      hint: 'correct the documents and run the command again',
    },
  );
}

async function readCurrent(
  client: Client,
  rows: readonly SeedRow[],
  catalog: ReadonlyMap<string, Table>,
): Promise<Map<string, Map<string, Texts>>> {
  const names = new Set(rows.map((row) => row.table));
  for (const name of [...names]) for (const key of catalog.get(name)?.foreignKeys ?? []) names.add(key.table);
  const current = new Map<string, Map<string, Texts>>();
  for (const name of names) {
    const table = catalog.get(name);
    if (table) current.set(name, await currentRows(client, table));
  }
  return current;
}

/** Values that the database already has for tokens: a token has one value throughout a database's life. */
function knownTokens(
  remembered: readonly Remembered[],
  current: ReadonlyMap<string, ReadonlyMap<string, Texts>>,
  catalog: ReadonlyMap<string, Table>,
): Map<string, string> {
  const known = new Map<string, string>();
  for (const { table: name, rowKey, salt, columns } of remembered) {
    const table = catalog.get(name);
    for (const [column, { token, print }] of Object.entries(columns)) {
      if (!token || token.startsWith('${datetime:')) continue;
      if (table?.primaryKey.length === 1 && table.primaryKey[0] === column) {
        if (rowKey) known.set(token, rowKey);
        continue;
      }
      const text = current.get(name)?.get(rowKey)?.[column];
      if (!text || (print !== null && fingerprint(salt, text) !== print)) continue;
      known.set(
        token,
        table?.columns.get(column)?.type === 'bytea' ? Buffer.from(text.slice(2), 'hex').toString('utf8') : text,
      );
    }
  }
  return known;
}

async function resolveRows(
  rows: readonly SeedRow[],
  catalog: ReadonlyMap<string, Table>,
  credentials: Credentials,
  assignments: ReadonlyMap<SeedRow, Assignment>,
  known: ReadonlyMap<string, string>,
): Promise<ResolvedRow[]> {
  const material = new Material(known, (key) => credentials.get(key));
  const resolved: ResolvedRow[] = [];
  for (const row of rows) {
    const table = catalog.get(row.table) as Table;
    const values: Record<string, unknown> = {};
    for (const [name, { value }] of row.cells) {
      if (value === null) continue;
      const plain = await resolveTokens(value, material);
      values[name] =
        table.columns.get(name)?.type === 'bytea'
          ? `\\x${Buffer.from(plain as string | Uint8Array).toString('hex')}`
          : plain;
    }
    const assignment = assignments.get(row);
    const given = assignment
      ? credentialValues(assignment, credentials, typeof values.salt === 'string' ? values.salt : undefined)
      : {};
    Object.assign(values, given);
    const credentialColumns = new Set(Object.keys(given));
    if (assignment?.columns.hash) credentialColumns.add(assignment.columns.hash).add(assignment.columns.salt as string);
    resolved.push({ row, table, docKey: docKeyOf(row, table), values, credentialColumns });
  }
  return resolved;
}

/** Tokens may also stand inside lists and maps (JSON columns). */
async function resolveTokens(value: unknown, material: Material): Promise<unknown> {
  if (looksLikeToken(value)) return material.value(value);
  if (Array.isArray(value)) return Promise.all(value.map((item) => resolveTokens(item, material)));
  if (value && typeof value === 'object' && !(value instanceof Uint8Array)) {
    const entries = await Promise.all(
      Object.entries(value).map(async ([key, item]) => [key, await resolveTokens(item, material)] as const),
    );
    return Object.fromEntries(entries);
  }
  return value;
}

async function canonicalTexts(client: Client, rows: readonly ResolvedRow[]): Promise<Map<ResolvedRow, Texts>> {
  await sendRows(
    client,
    'kasm_db_documents',
    rows.map(({ table, values }, n) => ({ n, target: table.name, values })),
  );
  const columns = new Map<Table, Set<string>>();
  for (const { table, values } of rows) {
    const set = columns.get(table) ?? new Set();
    for (const name of Object.keys(values)) set.add(name);
    for (const key of table.primaryKey) set.add(key);
    columns.set(table, set);
  }
  const texts = await canonical(
    client,
    'kasm_db_documents',
    [...columns].map(([table, names]) => ({ table, columns: [...names] })),
  );
  return new Map(rows.map((row, n) => [row, texts.get(n) ?? {}]));
}

/** A row that has to be made and whose credential nobody gives. */
function refuseMissing(
  paired: readonly { assignment: Assignment; resolved: ResolvedRow }[],
  decided: Decided,
  credentials: Credentials,
): void {
  const missing = paired.filter(
    ({ assignment, resolved }) =>
      assignment.needed && assignment.secret === undefined && decided.located.get(resolved)?.inserted,
  );
  if (missing.length === 0) return;
  const lines = missing.map(
    ({ assignment }) => `  ${assignment.key} (looked for in ${credentials.places(assignment.key)})`,
  );
  throw new KasmDbError(
    'seed',
    `${missing.length} credential${missing.length === 1 ? ' is' : 's are'} missing, nothing was written:\n${lines.join('\n')}`,
    {
      hint: 'add the keys to the Secret that is mounted at --secrets (KASM_DB_SECRETS_DIR); kasm-db has no default credential',
    },
  );
}

function refuseUnknownRotation(rotate: string[] | 'all', paired: readonly { assignment: Assignment }[]): void {
  if (rotate === 'all') return;
  for (const key of rotate) {
    const found = paired.find(({ assignment }) => assignment.key === key);
    if (!found) {
      throw new KasmDbError('seed', `--rotate: no row of the seed documents takes the credential "${key}"`, {
        hint: `known are ${paired.map(({ assignment }) => assignment.key).join(', ')}`,
      });
    }
    if (found.assignment.secret === undefined) {
      throw new KasmDbError('seed', `--rotate: the credential "${key}" has no value`, {
        hint: 'add it to the mounted Secret',
      });
    }
  }
}
