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

interface Wanted {
  name: string;
  folder: string;
  before: readonly Migration[];
  files: (up: string, down: string) => NewFile[];
  options: NewOptions;
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
  if (options.copyShipped && own.length > 0) {
    throw new KasmDbError('usage', `${folder} has migrations already, so --copy-shipped copies nothing into it`, {
      hint: 'name a new folder with --migrations, or leave --copy-shipped out',
    });
  }
  const before = options.copyShipped ? await shippedMigrations() : own;
  const number = nextNumber(folder, before);
  const copies = options.copyShipped ? await shippedFiles(folder, before) : [];
  const made = await newFiles(folder, `${number}_${words}`, before, options);
  writeNewFiles(folder, [...copies, ...made.files]);
  const warnings = [...made.warnings, ...(before.length === 0 ? [await beginsFromNothing(ctx)] : [])];
  for (const warning of warnings) ctx.events.warning?.(warning);
  const copied =
    copies.length > 0 ? `Copied ${plural(before.length, 'migration')} that ship with kasm-db into ${folder}\n` : '';
  return {
    fields: { warnings },
    text: () => `${copied}Created ${made.files.map(([path]) => path).join('\n        ')}`,
  };
}

async function newFiles(
  folder: string,
  name: string,
  before: readonly Migration[],
  options: NewOptions,
): Promise<{ files: NewFile[]; warnings: string[] }> {
  const files = (up: string, down: string): NewFile[] => [
    [join(folder, `${name}.sql`), up],
    [join(folder, `${name}.down.sql`), down],
  ];
  if (options.fromExport !== undefined) {
    if (options.transaction === false)
      throw new KasmDbError('usage', '--no-transaction and --from-export exclude each other', {
        hint: 'leave --no-transaction out',
      });
    return fromExport(options.fromExport, { name, folder, before, files, options });
  }
  if (options.rename !== undefined)
    throw new KasmDbError('usage', '--rename goes with --from-export', {
      hint: 'in a migration of your own write ALTER TABLE … RENAME COLUMN',
    });
  const head = options.transaction === false ? '-- kasm-db: no-transaction\n' : '';
  return {
    files: files(`${head}-- What ${name.slice(5)} does, and why.\n`, `-- Undoes ${name}.sql.\n`),
    warnings: [],
  };
}

async function fromExport(
  file: string,
  { name, folder, before, files, options }: Wanted,
): Promise<{ files: NewFile[]; warnings: string[] }> {
  const { exportMigration } = await import('../schema/export-migration.js');
  const { withSuppressions } = await import('../lint/accept.js');
  const from = options.copyShipped ? undefined : folder;
  const written = await exportMigration({ name, file, folder: from, before, renames: options.rename ?? [] });
  const { up, count } = await withSuppressions(name, written, before);
  return {
    files: files(up, written.down),
    warnings: [
      ...written.likely.map(
        (rename) => `${rename.replace('=', ' looks renamed to ')}: --rename ${rename} keeps its values`,
      ),
      ...written.likelyTables.map(
        ({ from, to }) => `table ${from} looks renamed to ${to}: the file says how its rows are kept`,
      ),
      ...(count > 0
        ? [
            `${plural(count, 'statement')} may stop pods that run, or fail because of some rows (lint-ignore says why): read the file before you apply it`,
          ]
        : []),
    ],
  };
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
