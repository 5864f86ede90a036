import { KasmDbError, messageOf } from '../app/errors.js';
import { plural } from '../app/plural.js';
import { VERSION } from '../app/version.js';
import { localTime } from '../app/when.js';
import { writeFile } from '../app/write-file.js';
import { NO_DATABASE } from '../config/settings.js';
import { withSession } from '../postgres/session.js';
import { introspect } from '../schema/introspect.js';
import type { Schema } from '../schema/model.js';
import { readSnapshot } from '../schema/snapshot.js';
import { areasOf } from '../schema-docs/areas.js';
import { FORMATS } from '../schema-docs/formats.js';
import { htmlOf } from '../schema-docs/html.js';
import { markdownOf } from '../schema-docs/markdown.js';
import { mermaidOf } from '../schema-docs/mermaid.js';
import type { Answer, CommandContext } from './command.js';
import { describeTarget } from './database-info.js';

export interface DocsOptions {
  /** html (default), mermaid or markdown. */
  format?: string;
  /** File to write; without it the page goes to stdout. */
  out?: string;
}

/** The schema for people: of the database that the settings name, else of the snapshot that ships with the migrations. */
export async function docsCommand(ctx: CommandContext, options: DocsOptions): Promise<Answer> {
  const { format = 'html' } = options;
  // Nobody reads HTML on a terminal.
  const out = options.out ?? (ctx.onTerminal && format === 'html' ? 'schema.html' : undefined);
  if (!FORMATS.some((known) => known === format))
    throw new KasmDbError('usage', `--format ${format} is not known`, { hint: `one of ${FORMATS.join(', ')}` });
  const { schema, of, live } = await read(ctx);
  const title = `Schema of ${of}`;
  // Our own history is no part of it.
  const tables = schema.tables.filter((table) => table.schema !== 'kasm_db');
  const areas = areasOf({ ...schema, tables }, await ctx.migrations());
  const page =
    format === 'html'
      ? htmlOf(
          title,
          areas,
          await (await import('../schema-docs/diagram.js')).drawAll(areas, ctx.signal),
          foot(ctx, live),
        )
      : format === 'markdown'
        ? markdownOf(title, areas)
        : mermaidOf(areas);
  if (out === undefined) return { fields: { page }, text: () => page.trimEnd(), verbatim: true };
  try {
    writeFile(out, page);
  } catch (error) {
    throw new KasmDbError('usage', `cannot write ${out} (${messageOf(error)})`, { file: out, hint: 'correct --out' });
  }
  const count = areas.reduce((sum, { tables }) => sum + tables.length, 0);
  const text = `${out}: ${plural(count, 'table')} in ${plural(areas.length, 'area')}, ${Math.round(Buffer.byteLength(page) / 1000)} kB.`;
  return { fields: {}, text: (s) => `${s.green('Wrote')} ${text}` };
}

/** Which server, when, and by which version. */
function foot(ctx: CommandContext, live: boolean): string {
  const from = live ? `database ${describeTarget(ctx.resolve())}` : 'the migrations of this build';
  return `Read from ${from} on ${localTime(new Date().toISOString())} by kasm-db ${VERSION}.`;
}

async function read(ctx: CommandContext): Promise<{ schema: Schema; of: string; live: boolean }> {
  if (hasDatabase(ctx)) {
    const schema = await withSession(ctx, 'reading the catalog', introspect);
    return { schema, of: `database ${ctx.resolve().dbname}`, live: true };
  }
  const snapshot = await readSnapshot(ctx.folder);
  if (!snapshot)
    throw new KasmDbError('usage', 'these migrations have no schema.snapshot.json, and no database is given', {
      hint: 'write one with kasm-db capture, or name a database',
    });
  return { schema: snapshot.schema, of: ctx.folder ?? `Kasm Workspaces after ${snapshot.migration}`, live: false };
}

function hasDatabase(ctx: CommandContext): boolean {
  try {
    ctx.resolve();
    return true;
  } catch (error) {
    if (error instanceof KasmDbError && error.message === NO_DATABASE) return false;
    throw error;
  }
}
