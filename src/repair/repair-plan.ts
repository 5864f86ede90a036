import { escapeIdentifier, escapeLiteral } from 'pg';
import { KasmDbError } from '../app/errors.js';
import { plural } from '../app/plural.js';
import { VERSION } from '../app/version.js';
import { unrecordSql } from '../history/record.js';
import { type HistoryEntry, isDone, type MigrationState } from '../history/state.js';
import type { MigrationHeader } from '../migrations/directives.js';
import { requireName } from '../migrations/name.js';
import { describeHalf, findTables, halfDoneHint, isWithoutRows, VENDOR_TABLE } from '../migrator/half-done.js';
import { wrongFolder } from '../migrator/plan-problems.js';
import type { RepairInfo } from '../output/result.js';

/** What to repair: at most one of applied, pending and checksums. Invalid indexes go with any of them, and with none. */
export interface RepairRequest {
  /** Record this migration as applied, without running it. */
  applied?: string | undefined;
  /** Record this migration as not applied. */
  pending?: string | undefined;
  /** With `pending`, of a no-transaction migration: so many statements of it are done, and it goes on after them. */
  statementsDone?: number | undefined;
  /** Accept changed files as they are. */
  checksums?: boolean | undefined;
  /** Drop Kasm's tables that an initialisation left behind without rows. */
  restartEmpty?: boolean | undefined;
}

/** One change, in words and in SQL; its name is that of the migration or the index. */
export interface Repair extends RepairInfo {
  sql: string;
  /** Has to be done before the plan is made again under the lock. */
  lockSql?: string;
}

/** Number of statements of the no-transaction files. */
type Totals = ReadonlyMap<string, number>;

/**
 * What a repair changes. Pure.
 * @param invalidIndexes that nobody is building: quoted, qualified
 * @throws KasmDbError usage for a request that cannot be; integrity when it would make things worse
 */
export function planRepair(
  files: readonly MigrationHeader[],
  state: MigrationState,
  request: RepairRequest,
  totals: Totals,
  invalidIndexes: readonly { name: string; table: string }[],
): Repair[] {
  checkRequest(request);
  if (request.restartEmpty) return restartEmpty(files, state);
  const history = state.history ?? [];
  const repairs: Repair[] = [];
  if (request.applied !== undefined) repairs.push(...markApplied(files, history, request.applied, totals));
  if (request.pending !== undefined) repairs.push(...markPending(files, history, request, totals));
  if (request.checksums) repairs.push(...acceptChecksums(files, history, totals));
  for (const { name, table } of invalidIndexes) {
    const text = `drop the invalid index ${name} on ${table}, which a CREATE INDEX CONCURRENTLY left behind`;
    repairs.push({ what: 'index', name, text, sql: `DROP INDEX ${name}` });
  }
  return repairs;
}

/** Nothing but empty tables is dropped, and only where no migration is recorded. */
function restartEmpty(files: readonly MigrationHeader[], state: MigrationState): Repair[] {
  if (state.history?.length) {
    throw new KasmDbError(
      'integrity',
      "--restart-empty is for a database without a history; this one is kasm-db's own",
      { hint: 'kasm-db status shows where it stands; kasm-db rollback goes back' },
    );
  }
  const found = findTables(
    files.flatMap((file) => file.creates),
    state,
  );
  if (found.there.length === 0) return [];
  if (!isWithoutRows(found))
    throw new KasmDbError('integrity', `--restart-empty drops no rows: ${describeHalf(found)}`, {
      hint: halfDoneHint(found),
    });
  const tables = found.there.map((table) => `public.${escapeIdentifier(table)}`).join(', ');
  const stamp = found.there.includes(VENDOR_TABLE) ? ` and ${VENDOR_TABLE}` : '';
  const names = found.there.filter((table) => table !== VENDOR_TABLE);
  const text = `drop ${plural(names.length, 'table')} of Kasm, none of which has a row (${names.join(', ')})${stamp}`;
  const lockSql = `LOCK TABLE ${tables} IN ACCESS EXCLUSIVE MODE`;
  return [{ what: 'restart', name: 'public', text, sql: `DROP TABLE ${tables}`, lockSql }];
}

function checkRequest({ applied, pending, statementsDone, checksums, restartEmpty }: RepairRequest): void {
  const asked = [applied !== undefined, pending !== undefined, checksums === true, restartEmpty === true];
  if (asked.filter(Boolean).length > 1) {
    throw new KasmDbError('usage', '--applied, --pending, --checksums and --restart-empty do not go together', {
      hint: 'give one of them; kasm-db repair alone says what there is to repair',
    });
  }
  if (
    statementsDone !== undefined &&
    (pending === undefined || !Number.isInteger(statementsDone) || statementsDone < 0)
  ) {
    throw new KasmDbError('usage', '--statements-done is a whole number and goes with --pending NAME', {
      hint: 'such as: kasm-db repair --pending 0020_indexes --statements-done 2',
    });
  }
}

function markApplied(
  files: readonly MigrationHeader[],
  history: readonly HistoryEntry[],
  given: string,
  totals: Totals,
): Repair[] {
  const names = files.map((file) => file.name);
  const name = requireName('--applied', given, names);
  const file = files[names.indexOf(name)] as MigrationHeader;
  if (history.some((row) => row.name === name && isDone(row))) return [];
  const recorded = new Set(history.map((row) => row.name));
  const before = files.filter((entry) => entry.name < name && !entry.outOfOrder && !recorded.has(entry.name));
  if (before[0])
    throw new KasmDbError(
      'integrity',
      `${before[0].name} is not applied and comes before ${name}: migrate would then refuse it as out of order`,
      {
        hint: `kasm-db migrate --to ${before.at(-1)?.name}, or repair --applied for it first`,
        migration: before[0].name,
      },
    );
  const total = file.transaction ? 'NULL' : String(totals.get(name) ?? 0);
  const sql = `INSERT INTO kasm_db.migrations (name, checksum, duration_ms, applied_by, app_version, kind, min_compatible, statements_done, statements_total)
VALUES (${escapeLiteral(name)}, '${file.checksum}', 0, session_user, ${escapeLiteral(VERSION)}, 'repaired', ${nullable(file.minCompatible)}, ${total}, ${total})
ON CONFLICT (name) DO UPDATE SET checksum = excluded.checksum, applied_at = now(), duration_ms = 0, applied_by = excluded.applied_by,
  app_version = excluded.app_version, kind = excluded.kind, min_compatible = excluded.min_compatible, statements_done = excluded.statements_done,
  statements_total = excluded.statements_total;
UPDATE kasm_db.run SET phase = 'done', current = NULL, error = NULL WHERE phase = 'failed' AND current = ${escapeLiteral(name)}`;
  return [{ what: 'applied', name, text: `record ${name} as applied, without running it`, sql }];
}

function markPending(
  files: readonly MigrationHeader[],
  history: readonly HistoryEntry[],
  { pending = '', statementsDone }: RepairRequest,
  totals: Totals,
): Repair[] {
  const known = [...new Set([...files, ...history].map((entry) => entry.name))].sort();
  const name = requireName('--pending', pending, known);
  const row = history.find((entry) => entry.name === name);
  const file = files.find((entry) => entry.name === name);
  if (statementsDone !== undefined) return [resumeAt(row, file, name, statementsDone, totals.get(name))];
  if (!row) return [];
  const newer = history.filter((entry) => entry.name > name).at(-1);
  const note = !file
    ? ', whose file is missing'
    : newer && !file.outOfOrder
      ? `; as ${newer.name} is applied, migrate takes it only with "-- kasm-db: out-of-order" at its top`
      : '; the next migrate runs it from its start';
  return [{ what: 'pending', name, text: `record ${name} as not applied${note}`, sql: unrecordSql(name) }];
}

function resumeAt(
  row: HistoryEntry | undefined,
  file: MigrationHeader | undefined,
  name: string,
  done: number,
  total: number | undefined,
): Repair {
  if (!row || row.statementsTotal === null || !file || file.transaction || total === undefined) {
    throw new KasmDbError('usage', `--statements-done: ${name} is not a no-transaction migration that was started`, {
      hint: 'leave --statements-done out; kasm-db status shows what is half-done',
    });
  }
  if (done > total)
    throw new KasmDbError('usage', `--statements-done ${done}: ${name} has only ${total} statements`, {
      hint: `from 0 to ${total}`,
    });
  const sql = `UPDATE kasm_db.migrations SET statements_done = ${done}, statements_total = ${total}, duration_ms = 0, checksum = '${file.checksum}', kind = 'repaired' WHERE name = ${escapeLiteral(name)}`;
  const next = done < total ? `; the next migrate goes on at statement ${done + 1}` : '';
  return { what: 'pending', name, text: `record ${done} of ${total} statements of ${name} as done${next}`, sql };
}

function acceptChecksums(
  files: readonly MigrationHeader[],
  history: readonly HistoryEntry[],
  totals: Totals,
): Repair[] {
  const elsewhere = wrongFolder(files, history);
  if (elsewhere) throw new KasmDbError('integrity', elsewhere.message, { hint: elsewhere.hint });
  return files.flatMap((file): Repair[] => {
    const row = history.find((entry) => entry.name === file.name);
    if (!row || row.checksum === file.checksum) return [];
    const counts = statementCounts(row, file, totals.get(file.name));
    // Whether a database was adopted is asked later (its rows count as seeded).
    const sql = `UPDATE kasm_db.migrations SET checksum = '${file.checksum}', min_compatible = ${nullable(file.minCompatible)},
  kind = CASE kind WHEN 'adopted' THEN kind ELSE 'repaired' END${counts} WHERE name = ${escapeLiteral(file.name)}`;
    const text = `accept ${file.name} as it is now (checksum ${row.checksum.slice(0, 12)} becomes ${file.checksum.slice(0, 12)})`;
    const rest = isDone(row)
      ? ''
      : `; its first ${row.statementsDone} statements stay done, migrate goes on after them`;
    return [{ what: 'checksum', name: file.name, text: text + rest, sql }];
  });
}

function statementCounts(row: HistoryEntry, file: MigrationHeader, total: number | undefined): string {
  if (row.statementsTotal === null) return '';
  if (isDone(row)) return total === undefined ? '' : `, statements_done = ${total}, statements_total = ${total}`;
  if (total === undefined || file.transaction || (row.statementsDone ?? 0) > total)
    throw new KasmDbError(
      'integrity',
      `${file.name} is half-done (${row.statementsDone} of ${row.statementsTotal} statements), and the file now ${file.transaction ? 'runs in one transaction' : `has ${total}`}`,
      { hint: `undo what it did by hand, then: kasm-db repair --pending ${file.name}`, migration: file.name },
    );
  return `, statements_total = ${total}`;
}

function nullable(value: string | undefined): string {
  return value === undefined ? 'NULL' : escapeLiteral(value);
}
