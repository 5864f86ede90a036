import { KasmDbError, messageOf } from '../app/errors.js';
import { plural } from '../app/plural.js';
import { writeFile } from '../app/write-file.js';
import { readState } from '../history/read-state.js';
import { writesVendorVersion } from '../migrations/files.js';
import { wrongFolder } from '../migrator/plan-problems.js';
import { withSession } from '../postgres/session.js';
import { capture } from '../schema/capture.js';
import { introspect } from '../schema/introspect.js';
import { snapshotText } from '../schema/snapshot.js';
import type { Answer, CommandContext } from './command.js';

export interface CaptureOptions {
  /** Where to; a name that ends in .json gets the snapshot that `verify` reads, any other one a migration. */
  out?: string;
}

/** Writes a migration that reproduces the live database's catalog. Never overwrites a migration. */
export async function captureCommand(ctx: CommandContext, { out }: CaptureOptions): Promise<Answer> {
  if (!out) throw new KasmDbError('usage', '--out is missing', { hint: 'such as --out migrations/0001_baseline.sql' });
  const snapshot = out.endsWith('.json');
  const migrations = await ctx.migrations();
  const vendor = writesVendorVersion(migrations);
  const { state, schema } = await withSession(ctx, 'capturing', async (session) => ({
    state: await readState(session, { vendor, rows: false }),
    schema: await introspect(session),
  }));
  if (snapshot) {
    const newest = migrations.at(-1)?.name as string;
    const elsewhere = wrongFolder(migrations, state.history ?? []);
    if (elsewhere) throw new KasmDbError('integrity', elsewhere.message, { hint: elsewhere.hint });
    if (!state.history?.some(({ name }) => name === newest))
      throw new KasmDbError(
        'pending',
        `${newest}, the newest migration, is not applied to the database, so a snapshot of it would be wrong`,
        { hint: 'run kasm-db migrate first' },
      );
    write(out, snapshotText(newest, schema), false);
  }
  const captured = snapshot ? undefined : capture(schema, `database ${ctx.resolve().dbname}`);
  if (captured) write(out, captured.sql, true);
  const warnings = [
    ...schema.others.map(({ kind, name }) => `${kind} ${name} is not captured`),
    ...(captured?.leftOut ?? []).map(({ object, needs }) => `${object} is not captured, as it needs ${needs}`),
  ];
  for (const warning of warnings) ctx.events.warning?.(warning);
  return {
    state,
    fields: { warnings },
    text: (s) =>
      `${s.green('Wrote')} ${out}: ${plural(schema.tables.length, 'table')}, ${plural(schema.views.length, 'view')}.`,
  };
}

function write(path: string, text: string, fresh: boolean): void {
  try {
    writeFile(path, text, { fresh });
  } catch (error) {
    const exists = (error as NodeJS.ErrnoException).code === 'EEXIST';
    throw new KasmDbError('usage', exists ? `${path} is there already` : `cannot write ${path} (${messageOf(error)})`, {
      file: path,
      hint: exists ? 'name a new file; an applied migration must not change' : 'correct --out',
    });
  }
}
