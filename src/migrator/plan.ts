import { plural } from '../app/plural.js';
import { type DatabaseState, type HistoryRow, isDone, isUpgradedByVendor } from '../history/state.js';
import type { MigrationHeader } from '../migrations/directives.js';
import { describeHalf, type Found, findTables, halfDoneHint, isHalfDone, list } from './half-done.js';

export type { DatabaseState, HistoryRow } from '../history/state.js';

/** Something that makes it unsafe to go on. */
export interface Problem {
  kind: 'changed' | 'missing' | 'wrong-folder' | 'out-of-order' | 'incompatible' | 'foreign' | 'vendor-upgraded';
  message: string;
  hint: string;
  migration?: string;
}

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
  options: { to?: string | undefined; appVersion: string },
): Plan<M> {
  const newestFile = files.at(-1);
  const problems: Problem[] = [];
  const warnings: string[] = [];

  // One walk along both: there may be thousands, and a gate asks often.
  const rows = [...(state.history ?? [])].sort((a, b) => (a.name < b.name ? -1 : 1));
  const applied: M[] = [];
  const pending: M[] = [];
  const started = new Set<M>();
  const unknownRows: HistoryRow[] = [];
  let next = 0;
  for (const file of files) {
    let row = rows[next];
    for (; row && row.name < file.name; row = rows[++next]) unknownRows.push(row);
    if (row?.name === file.name) {
      next++;
      if (row.checksum !== file.checksum) problems.push(changed(file.name));
      if (isDone(row)) {
        applied.push(file);
        continue;
      }
      started.add(file);
    }
    if (options.to === undefined || file.name <= options.to) pending.push(file);
  }
  for (const row of rows.slice(next)) unknownRows.push(row);
  const newestDone = newer(applied.at(-1)?.name, unknownRows.at(-1)?.name);

  const elsewhere = unknownRows.length === rows.length ? wrongFolder(files, rows) : undefined;
  if (elsewhere) problems.push(elsewhere);
  for (const row of elsewhere ? [] : unknownRows) {
    if (newestFile && row.minCompatible && row.minCompatible > newestFile.number) {
      problems.push(incompatible(row, newestFile.name));
    } else if (newestFile && row.name < newestFile.name && !isNewer(row.appVersion, options.appVersion)) {
      problems.push(missing(row.name));
    }
  }
  for (const file of elsewhere ? [] : pending) {
    if (!started.has(file) && !file.outOfOrder && newestDone !== undefined && file.name < newestDone) {
      problems.push(outOfOrder(file.name, newestDone));
    }
  }
  const ahead = unknownRows.length > 0;
  if (state.history === undefined || state.history.length === 0) {
    const creates = new Set(files.flatMap((file) => file.creates));
    const taken = findTables(creates, state);
    const others = state.publicTables.filter((table) => !creates.has(table));
    if (taken.there.length > 0) problems.push(foreign(taken, isHalfDone(taken, state)));
    if (others.length > 0) warnings.push(`schema public already has other tables: ${list(others)}`);
  }
  const written = applied.findLast((file) => file.vendorVersion !== undefined)?.vendorVersion;
  const upgraded = !ahead && written !== undefined && isUpgradedByVendor(state, written);
  if (upgraded) problems.push(vendorUpgraded(written, state.vendorVersion as string));
  return {
    target: newer(pending.at(-1)?.name, newestDone),
    current: newestDone,
    applied: applied.map((file) => file.name),
    pending,
    unknown: unknownRows.map((row) => row.name),
    ahead,
    vendorUpgraded: upgraded,
    problems,
    warnings,
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

function changed(name: string): Problem {
  return {
    kind: 'changed',
    migration: name,
    message: `${name} was changed after it was applied (its checksum differs from the history's)`,
    hint: `restore the file and put the change into a new migration, or accept it with: kasm-db repair --checksums`,
  };
}

function missing(name: string): Problem {
  return {
    kind: 'missing',
    migration: name,
    message: `${name} is in the history, but its file is missing`,
    hint: `restore the file, or, if it never should have been recorded: kasm-db repair --pending ${name}`,
  };
}

/**
 * The files have nothing to do with this database: it has migrations, and none of them is there.
 * @param files in the order of their names
 * @param history in whichever order
 */
export function wrongFolder(files: readonly MigrationHeader[], history: readonly HistoryRow[]): Problem | undefined {
  const names = new Set(files.map(({ name }) => name));
  const newest = files.at(-1)?.number ?? '';
  const declared = history.some(({ minCompatible }) => minCompatible !== null && minCompatible > newest);
  if (history.length === 0 || files.length === 0 || declared || history.some(({ name }) => names.has(name)))
    return undefined;
  const rows = history.toSorted((a, b) => (a.name < b.name ? -1 : 1));
  const span = (list: readonly { name: string }[]) =>
    list.length === 1 ? list[0]?.name : `${list[0]?.name} to ${list.at(-1)?.name}`;
  return {
    kind: 'wrong-folder',
    message: `wrong folder? The database has ${plural(rows.length, 'migration')} (${span(rows)}), and none of them is among the files (${span(files)})`,
    hint: 'name the folder that has them with --migrations or KASM_DB_MIGRATIONS, or name none for those that ship with kasm-db; a folder of your own begins with a copy of these: kasm-db new NAME --copy-shipped --migrations NEW_FOLDER',
  };
}

function outOfOrder(name: string, newest: string): Problem {
  return {
    kind: 'out-of-order',
    migration: name,
    message: `${name} is out of order: ${newest} is already applied`,
    hint: 'give it a number after the newest, or put "-- kasm-db: out-of-order" at its top',
  };
}

function incompatible(row: HistoryRow, newest: string): Problem {
  return {
    kind: 'incompatible',
    migration: row.name,
    message: `the database has ${row.name}, which builds older than migration ${row.minCompatible} cannot work with; this build ends at ${newest}`,
    hint: `use a kasm-db that knows migration ${row.minCompatible} (that one was applied by kasm-db ${row.appVersion})`,
  };
}

function foreign(found: Found, halfDone: boolean): Problem {
  const message = `schema public already has tables of Kasm (${list(found.there)}), but kasm-db has no history here`;
  if (halfDone)
    return {
      kind: 'foreign',
      message: `${message}; ${describeHalf(found)}: an initialisation was left half-done`,
      hint: halfDoneHint(found),
    };
  return { kind: 'foreign', message, hint: 'if Kasm made this database: kasm-db adopt; else use an empty database' };
}

function vendorUpgraded(written: string, found: string): Problem {
  return {
    kind: 'vendor-upgraded',
    message: `alembic_version is ${found}, but kasm-db wrote ${written}: Kasm's own upgrade has changed this database`,
    hint: "use the kasm-db for that Kasm release; this one won't touch the schema",
  };
}
