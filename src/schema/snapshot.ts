import { join } from 'node:path';
import { KasmDbError, messageOf } from '../app/errors.js';
import { readFile } from '../app/read-file.js';
import type { Schema } from './model.js';

/** The catalog as a folder of migrations makes it: `schema.snapshot.json` beside them. */
export interface Snapshot {
  /** Raised when what is written changes its meaning. */
  format: number;
  /** The newest migration it was taken after. */
  migration: string;
  schema: Schema;
}

const SNAPSHOT_FILE = 'schema.snapshot.json';
const FORMAT = 1;

/** The text of a snapshot: the same catalog always gives the same text, a line for each column and the like. */
export function snapshotText(migration: string, schema: Schema): string {
  return `${spread({ format: FORMAT, migration, schema } satisfies Snapshot, 0)}\n`;
}

/** JSON with what is large on lines of its own. */
function spread(value: unknown, depth: number): string {
  const pad = '  '.repeat(depth + 1);
  const end = '  '.repeat(depth);
  const flat = JSON.stringify(value);
  if (value === null || typeof value !== 'object' || flat.length <= 120) return flat;
  if (Array.isArray(value)) return `[\n${value.map((item) => pad + spread(item, depth + 1)).join(',\n')}\n${end}]`;
  const entries = Object.entries(value).filter(([, item]) => item !== undefined);
  return `{\n${entries.map(([key, item]) => `${pad}${JSON.stringify(key)}: ${spread(item, depth + 1)}`).join(',\n')}\n${end}}`;
}

/**
 * The snapshot of a folder of migrations, or the one that ships with this build.
 * @returns undefined when the folder has none
 * @throws KasmDbError usage
 */
export async function readSnapshot(folder: string | undefined): Promise<Snapshot | undefined> {
  if (folder === undefined) return (await import('kasm-db:snapshot')).snapshot;
  const path = join(folder, SNAPSHOT_FILE);
  let text: string;
  try {
    text = readFile(path, 'snapshot').bytes.toString('utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw fault(
      path,
      `cannot read ${path} (${messageOf(error)})`,
      'give the account that runs kasm-db the right to read it',
    );
  }
  return parseSnapshot(text, path);
}

/** @throws KasmDbError usage */
export function parseSnapshot(text: string, path: string): Snapshot {
  const hint = `write it anew from a database that these migrations have made: kasm-db capture --out ${path}`;
  let value: Partial<Snapshot>;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw fault(path, `${path} is not JSON (${messageOf(error)})`, hint);
  }
  if (value?.format !== FORMAT || !Array.isArray(value.schema?.tables) || typeof value.migration !== 'string')
    throw fault(path, `${path} is not a snapshot of this kasm-db (format ${FORMAT})`, hint);
  return value as Snapshot;
}

/** The same, where nothing can be said without one. @throws KasmDbError usage */
export async function requireSnapshot(folder: string | undefined, newest: string | undefined): Promise<Snapshot> {
  const snapshot = await readSnapshot(folder);
  const path = join(folder ?? 'migrations', SNAPSHOT_FILE);
  const hint = `after migrating, run: kasm-db capture --migrations ${folder ?? 'migrations'} --out ${path}`;
  if (!snapshot) throw new KasmDbError('usage', `${path} is missing: there is nothing to compare with`, { hint });
  if (snapshot.migration !== newest)
    throw fault(path, `${path} was taken after ${snapshot.migration}, but the newest migration is ${newest}`, hint);
  return snapshot;
}

const fault = (file: string, message: string, hint: string) => new KasmDbError('usage', message, { file, hint });
