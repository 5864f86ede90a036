import { KasmDbError } from '../app/errors.js';
import { type Migration, vendorVersionOf } from '../migrations/files.js';
import { comment } from './ddl/names.js';
import { readExport } from './export.js';
import { stepsTo } from './from-export.js';
import { EMPTY_SCHEMA } from './model.js';
import { checkRenames, parseRenames, renameText, type TableRename } from './renames.js';
import { requireSnapshot } from './snapshot.js';

export interface ExportMigrationOptions {
  /** Of the new migration. */
  name: string;
  /** Kasm's Export Schema file. */
  file: string;
  /** Folder of the migrations before it; undefined: those that ship with this build. */
  folder: string | undefined;
  /** Its migrations. */
  before: readonly Migration[];
  /** `TABLE.OLD=NEW` each. */
  renames: readonly string[];
}

/**
 * The two files of a migration that leads from the newest snapshot of a folder to what Kasm's export lists; from nothing where the folder has no
 * migration yet.
 * @returns `likely`: what looks like a rename of a column and was not named, as --rename takes it; `likelyTables`: of a table
 * @throws KasmDbError usage
 */
export async function exportMigration({
  name,
  file,
  folder,
  before,
  renames: texts,
}: ExportMigrationOptions): Promise<{ up: string; down: string; likely: string[]; likelyTables: TableRename[] }> {
  const renames = parseRenames(texts);
  const exported = await readExport(file);
  const newest = before.at(-1);
  const base = newest ? (await requireSnapshot(folder, newest.name)).schema : EMPTY_SCHEMA;
  checkRenames(renames, base, exported);
  const previous = vendorVersionOf(before);
  const { up, down, likely, likelyTables } = stepsTo(exported, base, previous, renames);
  if (up.length === 0) {
    throw new KasmDbError('usage', `${file} lists nothing that the newest snapshot (${newest?.name}) has not got`, {
      hint: 'there is nothing to migrate',
    });
  }
  const release = exported.alembicVersion
    ? `the release of Kasm with alembic_version ${exported.alembicVersion}`
    : file;
  const head = [
    ...(newest ? ['-- kasm-db: lock-timeout 500ms'] : []),
    // Pods of the release before look for the old name: their gates must not pass.
    ...(renames.length > 0 ? [`-- kasm-db: min-compatible ${name.slice(0, 4)}`] : []),
    comment(
      `Leads from ${newest?.name ?? 'an empty database'} to ${release}. Made by kasm-db new --from-export: read it, and decide what stands`,
    ),
    '-- in comments. The export lists no defaults, indexes and other keys; see docs/ASSUMPTIONS.md.',
    '',
  ];
  const note = down.some((line) => line.includes('SET NOT NULL'))
    ? ['-- SET NOT NULL fails where a row has no value by now.', '']
    : [];
  return {
    up: `${[...head, ...up].join('\n')}\n`,
    down: `${[`-- Undoes ${name}.sql. What was commented out there is not undone here.`, '', ...note, ...down].join('\n')}\n`,
    likely: likely.map(renameText),
    likelyTables,
  };
}
