import { join } from 'node:path';
import { KasmDbError } from '../app/errors.js';
import { plural } from '../app/plural.js';
import { type Migration, shippedMigrations } from '../migrations/files.js';
import { migrationsIn, type NewFile, nextNumber, wordsOf, writeNewFiles } from '../migrations/new-files.js';
import type { Answer, CommandContext } from './command.js';

export interface NewOptions {
  /** The file runs statement by statement (`--no-transaction`). */
  transaction?: boolean;
  /** First copies the migrations that ship with kasm-db, and their snapshot, into the folder. */
  copyShipped?: boolean;
  /** Kasm's Export Schema file of another release: the files lead from the snapshot to it. */
  fromExport?: string;
  /** With it, columns that have a new name, as TABLE.OLD=NEW: their values stay. */
  rename?: readonly string[];
}

/** The texts of a migration, and what its author should know. */
interface Written {
  up: string;
  down: string;
  warnings: string[];
}

/**
 * Creates the next migration and its down script, in `migrations` where no folder is named.
 * @param name words for the file's name
 * @throws KasmDbError usage
 */
export async function newCommand(ctx: CommandContext, name: string, options: NewOptions): Promise<Answer> {
  const folder = ctx.folder ?? 'migrations';
  const words = wordsOf(name);
  const own = migrationsIn(folder);
  if (options.copyShipped && own.length > 0)
    throw new KasmDbError('usage', `${folder} has migrations already, so --copy-shipped copies nothing into it`, {
      hint: 'name a new folder with --migrations, or leave --copy-shipped out',
    });
  const before = options.copyShipped ? await shippedMigrations() : own;
  const file = `${nextNumber(folder, before)}_${words}`;
  const { up, down, warnings } = await (options.fromExport === undefined
    ? emptyMigration(file, options)
    : fromExport(file, folder, before, options));
  const made: NewFile[] = [
    [join(folder, `${file}.sql`), up],
    [join(folder, `${file}.down.sql`), down],
  ];
  writeNewFiles(folder, [...(options.copyShipped ? await shippedFiles(folder, before) : []), ...made]);
  if (before.length === 0) warnings.push(await beginsFromNothing(ctx));
  for (const warning of warnings) ctx.events.warning?.(warning);
  const copied = options.copyShipped
    ? `Copied ${plural(before.length, 'migration')} that ship with kasm-db into ${folder}\n`
    : '';
  return {
    fields: { warnings },
    text: () => `${copied}Created ${made.map(([path]) => path).join('\n        ')}`,
  };
}

function emptyMigration(name: string, { rename, transaction = true }: NewOptions): Written {
  if (rename !== undefined)
    throw new KasmDbError('usage', '--rename goes with --from-export', {
      hint: 'in a migration of your own write ALTER TABLE … RENAME COLUMN',
    });
  return {
    up: `${transaction ? '' : '-- kasm-db: no-transaction\n'}-- What ${name.slice(5)} does, and why.\n`,
    down: `-- Undoes ${name}.sql.\n`,
    warnings: [],
  };
}

async function fromExport(
  name: string,
  folder: string,
  before: readonly Migration[],
  { fromExport: file = '', rename: renames = [], transaction = true, copyShipped }: NewOptions,
): Promise<Written> {
  if (!transaction)
    throw new KasmDbError('usage', '--no-transaction and --from-export exclude each other', {
      hint: 'leave --no-transaction out',
    });
  const { exportMigration } = await import('../schema/export-migration.js');
  const written = await exportMigration({ name, file, folder: copyShipped ? undefined : folder, before, renames });
  const { withSuppressions } = await import('../lint/accept.js');
  const { up, count } = await withSuppressions(name, written, before);
  const warnings = [
    ...written.likely.map(
      (rename) => `${rename.replace('=', ' looks renamed to ')}: --rename ${rename} keeps its values`,
    ),
    ...written.likelyTables.map(
      ({ from, to }) => `table ${from} looks renamed to ${to}: the file says how its rows are kept`,
    ),
  ];
  if (count > 0)
    warnings.push(
      `${plural(count, 'statement')} may stop pods that run, or fail because of some rows (lint-ignore says why): read the file before you apply it`,
    );
  return { up, down: written.down, warnings };
}

/** A database that kasm-db has migrated has the shipped ones: a folder that begins with 0001 cannot be applied to it. */
async function beginsFromNothing(ctx: CommandContext): Promise<string> {
  const shipped = await shippedMigrations();
  return `this begins a set of its own, for a database without Kasm's schema: where the ${shipped.length} migrations that ship with kasm-db are applied, begin with a copy of them: ${ctx.again('kasm-db new NAME --copy-shipped')}`;
}

async function shippedFiles(folder: string, migrations: readonly Migration[]): Promise<NewFile[]> {
  const { snapshotText } = await import('../schema/snapshot.js');
  const { snapshot } = await import('kasm-db:snapshot');
  const files: NewFile[] = [];
  for (const migration of migrations) {
    const down = await migration.downSql();
    files.push([join(folder, `${migration.name}.sql`), await migration.sql()]);
    if (down !== undefined) files.push([join(folder, `${migration.name}.down.sql`), down]);
  }
  return [...files, [join(folder, 'schema.snapshot.json'), snapshotText(snapshot.migration, snapshot.schema)]];
}
