import { type DatabaseState, type HistoryRow, isDone, isUpgradedByVendor } from '../history/state.js';
import type { MigrationHeader } from '../migrations/directives.js';
import { findTables, isHalfDone, list } from './half-done.js';
import {
  changed,
  foreign,
  incompatible,
  missing,
  outOfOrder,
  type Problem,
  vendorUpgraded,
  wrongFolder,
} from './plan-problems.js';

export interface Plan<M extends MigrationHeader = MigrationHeader> {
  /** Newest migration that would be applied afterwards. */
  target: string | undefined;
  /** Newest applied one. */
  current: string | undefined;
  /** Known and applied, in order. */
  applied: string[];
  /** To be applied, in order; a no-transaction migration that was interrupted is among them. */
  pending: M[];
  /** Applied by a newer build; this one does not know them. */
  unknown: string[];
  /** The database has migrations that this build does not know. */
  ahead: boolean;
  /** Kasm's own upgrade has changed the database since; also a problem. */
  vendorUpgraded: boolean;
  problems: Problem[];
  warnings: string[];
}

/**
 * What has to be done to bring a database to what the files say: the one planner behind check, plan, status and migrate.
 * Pure; the same files and state always give the same plan.
 * @param files in the order of their names
 * @param to last migration to apply (must be one of the files)
 */
export function plan<M extends MigrationHeader>(
  files: readonly M[],
  state: DatabaseState,
  { to, appVersion }: { to?: string | undefined; appVersion: string },
): Plan<M> {
  const matched = matchFiles(files, state.history ?? [], to);
  const { applied, pending, unknown } = matched;
  const newestDone = newer(applied.at(-1)?.name, unknown.at(-1)?.name);
  const ahead = unknown.length > 0;
  const found = findOthersTables(files, state);
  const written = applied.findLast((file) => file.vendorVersion !== undefined)?.vendorVersion;
  const upgraded = !ahead && written !== undefined && isUpgradedByVendor(state, written);
  const elsewhere = unknown.length === state.history?.length ? wrongFolder(files, unknown) : undefined;
  return {
    target: newer(pending.at(-1)?.name, newestDone),
    current: newestDone,
    applied: applied.map((file) => file.name),
    pending,
    unknown: unknown.map((row) => row.name),
    ahead,
    vendorUpgraded: upgraded,
    problems: [
      ...matched.changed.map(changed),
      ...(elsewhere
        ? [elsewhere]
        : [...unknownProblems(unknown, files.at(-1), appVersion), ...orderProblems(matched, newestDone)]),
      ...found.problems,
      ...(upgraded ? [vendorUpgraded(written, state.vendorVersion as string)] : []),
    ],
    warnings: found.warnings,
  };
}

/** Files beside the rows of the history. */
interface Matched<M> {
  applied: M[];
  pending: M[];
  /** Of the pending ones, those that were begun: no-transaction files. */
  started: Set<M>;
  /** Rows without a file. */
  unknown: HistoryRow[];
  /** Names of files whose text is not the one that was run. */
  changed: string[];
}

/** One walk along both: there may be thousands, and a gate asks often. */
function matchFiles<M extends MigrationHeader>(
  files: readonly M[],
  history: readonly HistoryRow[],
  to: string | undefined,
): Matched<M> {
  const rows = history.toSorted((a, b) => (a.name < b.name ? -1 : 1));
  const matched: Matched<M> = { applied: [], pending: [], started: new Set(), unknown: [], changed: [] };
  let next = 0;
  for (const file of files) {
    let row = rows[next];
    for (; row && row.name < file.name; row = rows[++next]) matched.unknown.push(row);
    if (row?.name === file.name) {
      next++;
      if (row.checksum !== file.checksum) matched.changed.push(file.name);
      if (isDone(row)) {
        matched.applied.push(file);
        continue;
      }
      matched.started.add(file);
    }
    if (to === undefined || file.name <= to) matched.pending.push(file);
  }
  matched.unknown.push(...rows.slice(next));
  return matched;
}

/** Rows of a newer build are fine, unless they say otherwise; what an older build applied has to have its file. */
function unknownProblems(
  unknown: readonly HistoryRow[],
  newestFile: MigrationHeader | undefined,
  appVersion: string,
): Problem[] {
  if (!newestFile) return [];
  return unknown.flatMap((row) => {
    if (row.minCompatible && row.minCompatible > newestFile.number) return [incompatible(row, newestFile.name)];
    return row.name < newestFile.name && !isNewer(row.appVersion, appVersion) ? [missing(row.name)] : [];
  });
}

function orderProblems<M extends MigrationHeader>(
  { pending, started }: Matched<M>,
  newestDone: string | undefined,
): Problem[] {
  return pending.flatMap((file) => {
    const isLate = newestDone !== undefined && file.name < newestDone;
    return isLate && !started.has(file) && !file.outOfOrder ? [outOfOrder(file.name, newestDone)] : [];
  });
}

/** Where nothing was ever recorded: what somebody else has made. */
function findOthersTables(files: readonly MigrationHeader[], state: DatabaseState) {
  if (state.history?.length) return { problems: [], warnings: [] };
  const creates = new Set(files.flatMap((file) => file.creates));
  const taken = findTables(creates, state);
  const others = state.publicTables.filter((table) => !creates.has(table));
  return {
    problems: taken.there.length > 0 ? [foreign(taken, isHalfDone(taken, state))] : [],
    warnings: others.length > 0 ? [`schema public already has other tables: ${list(others)}`] : [],
  };
}

function newer(a: string | undefined, b: string | undefined): string | undefined {
  return a !== undefined && b !== undefined && a > b ? a : (b ?? a);
}

/** Compares release numbers; what is not of the form X.Y.Z is never newer. */
export function isNewer(version: string, than: string): boolean {
  const parts = (text: string) => /^(\d+)\.(\d+)\.(\d+)/.exec(text)?.slice(1).map(Number);
  const [a, b] = [parts(version), parts(than)];
  if (!a || !b) return false;
  for (let i = 0; i < 3; i++) {
    if (a[i] !== b[i]) return (a[i] as number) > (b[i] as number);
  }
  return false;
}
