import type { Client } from '../postgres/client.js';
import { type CopiedRow, queryWithCopies } from '../postgres/copy-out.js';
import { historyOf, historySql } from './history-columns.js';
import { type Context, contextSql, type LookOptions } from './look-context.js';
import type { FullHistoryRow, RunRow } from './state.js';

/** What the usual look reads. */
export interface Usual {
  context: Context;
  history: FullHistoryRow[];
  run: RunRow | undefined;
  vendor: string | undefined;
}

/** From about so many on, the driver takes longer to read single rows than the server to plan one that has them all. */
const MANY = 250;
const HISTORY = [
  'name',
  'checksum',
  'kind',
  'min_compatible',
  'statements_done',
  'statements_total',
  'app_version',
  'duration_ms',
];
const RUN = [
  'id',
  'run_id',
  'pid',
  'application_name',
  'client_addr',
  'app_version',
  'started_at',
  'phase',
  'current',
  'done',
  'total',
  'error',
  'seed_digest',
];

/** Where there is something that no kasm-db wrote; the careful way says what is wrong with it. */
class Strange extends Error {}

/**
 * The usual case: the tables are there, ours, and one's to read. One message, one snapshot: in a message of several statements SET
 * TRANSACTION holds to its end. Small tables are copied as they are, which a new session does at a tenth of what it takes to plan.
 * @returns undefined where there is no row yet, or something only the careful way reads
 * @throws as pg's query(); where a table is not there, or not ours to read
 */
export async function usualLook(
  client: Client,
  options: LookOptions & { version: number },
  vendorTable: 'read' | 'must-not-be-there' | 'ignore',
): Promise<Usual | undefined> {
  const inColumns = options.times === true || (options.expected ?? 0) > MANY;
  const [, , history, run, context, vendor] = await queryWithCopies(
    client,
    [
      'SET TRANSACTION ISOLATION LEVEL REPEATABLE READ',
      // Whatever the role prefers; started_at is read below.
      'SET LOCAL datestyle TO ISO',
      // First, so that a database without them costs nothing more.
      inColumns ? historySql(options.times ?? false) : `COPY kasm_db.migrations (${HISTORY}) TO STDOUT`,
      `COPY kasm_db.run (${RUN}) TO STDOUT`,
      `SELECT ${contextSql(options)}, pg_catalog.now() AS now, ${
        vendorTable === 'must-not-be-there' ? "pg_catalog.to_regclass('public.alembic_version') IS NOT NULL" : 'false'
      } AS strange`,
      ...(vendorTable === 'read' ? ['COPY public.alembic_version (version_num) TO STDOUT'] : []),
    ].join(';\n'),
  );
  try {
    const rows = inColumns ? historyOf(history?.rows[0]) : historyRows(history?.copied ?? []);
    const { now, strange, ...asked } = context?.rows[0] ?? {};
    if (!rows || strange) return undefined;
    return {
      context: asked,
      history: rows,
      run: runRow(run?.copied ?? [], now),
      vendor: onlyVersion(vendor?.copied ?? []),
    };
  } catch (error) {
    if (error instanceof Strange) return undefined;
    throw error;
  }
}

function onlyVersion([first, ...more]: CopiedRow[]): string | undefined {
  if (more.length > 0) throw new Strange();
  return first?.[0] ?? undefined;
}

function historyRows(copied: CopiedRow[]): FullHistoryRow[] | undefined {
  if (copied.length === 0) return undefined;
  return copied
    .map(
      ([name, checksum, kind, minCompatible, done, total, appVersion, durationMs]): FullHistoryRow => ({
        name: name as string,
        checksum: checksum as string,
        kind: kind as FullHistoryRow['kind'],
        minCompatible: minCompatible ?? null,
        statementsDone: whole(done),
        statementsTotal: whole(total),
        appVersion: appVersion as string,
        durationMs: whole(durationMs),
      }),
    )
    .sort((a, b) => (a.name < b.name ? -1 : 1));
}

function runRow(copied: CopiedRow[], now: Date): RunRow | undefined {
  const row = copied.find(([id]) => id === '1');
  if (!row) return undefined;
  const [
    ,
    runId,
    pid,
    applicationName,
    clientAddr,
    appVersion,
    started,
    phase,
    current,
    done,
    total,
    error,
    seedDigest,
  ] = row;
  const startedAt = moment(started as string);
  return {
    runId: runId as string,
    pid: whole(pid) as number,
    applicationName: applicationName as string,
    clientAddr: clientAddr ?? null,
    appVersion: appVersion as string,
    startedAt,
    ageMs: now.getTime() - Date.parse(startedAt),
    phase: phase as RunRow['phase'],
    current: current ?? null,
    done: whole(done) as number,
    total: whole(total) as number,
    error: error ?? null,
    seedDigest: seedDigest ?? null,
  };
}

function whole(text: string | null | undefined): number | null {
  if (text === null || text === undefined) return null;
  if (!/^-?\d+$/.test(text)) throw new Strange();
  return Number(text);
}

/** PostgreSQL's ISO style as its JSON writes it: 2026-01-02 03:04:05.6+05:30 with a T, and minutes in the offset; a year that Date reads. */
function moment(text: string): string {
  const parts = /^(\d{4}-\d\d-\d\d) (\d\d:\d\d:\d\d(?:\.\d+)?[+-]\d\d)(:\d\d)?$/.exec(text);
  if (!parts) throw new Strange();
  return `${parts[1]}T${parts[2]}${parts[3] ?? ':00'}`;
}
