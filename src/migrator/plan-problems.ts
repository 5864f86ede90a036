import { plural } from '../app/plural.js';
import type { HistoryRow } from '../history/state.js';
import type { MigrationHeader } from '../migrations/directives.js';
import { describeHalf, type Found, halfDoneHint, list } from './half-done.js';

/** Something that makes it unsafe to go on. */
export interface Problem {
  kind: 'changed' | 'missing' | 'wrong-folder' | 'out-of-order' | 'incompatible' | 'foreign' | 'vendor-upgraded';
  message: string;
  hint: string;
  migration?: string;
}

export function changed(name: string): Problem {
  return {
    kind: 'changed',
    migration: name,
    message: `${name} was changed after it was applied (its checksum differs from the history's)`,
    hint: `restore the file and put the change into a new migration, or accept it with: kasm-db repair --checksums`,
  };
}

export function missing(name: string): Problem {
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

export function outOfOrder(name: string, newest: string): Problem {
  return {
    kind: 'out-of-order',
    migration: name,
    message: `${name} is out of order: ${newest} is already applied`,
    hint: 'give it a number after the newest, or put "-- kasm-db: out-of-order" at its top',
  };
}

export function incompatible(row: HistoryRow, newest: string): Problem {
  return {
    kind: 'incompatible',
    migration: row.name,
    message: `the database has ${row.name}, which builds older than migration ${row.minCompatible} cannot work with; this build ends at ${newest}`,
    hint: `use a kasm-db that knows migration ${row.minCompatible} (that one was applied by kasm-db ${row.appVersion})`,
  };
}

export function foreign(found: Found, halfDone: boolean): Problem {
  const message = `schema public already has tables of Kasm (${list(found.there)}), but kasm-db has no history here`;
  if (halfDone)
    return {
      kind: 'foreign',
      message: `${message}; ${describeHalf(found)}: an initialisation was left half-done`,
      hint: halfDoneHint(found),
    };
  return { kind: 'foreign', message, hint: 'if Kasm made this database: kasm-db adopt; else use an empty database' };
}

export function vendorUpgraded(written: string, found: string): Problem {
  return {
    kind: 'vendor-upgraded',
    message: `alembic_version is ${found}, but kasm-db wrote ${written}: Kasm's own upgrade has changed this database`,
    hint: "use the kasm-db for that Kasm release; this one won't touch the schema",
  };
}
