import { basename, dirname, resolve } from 'node:path';
import { KasmDbError } from '../app/errors.js';
import { plural } from '../app/plural.js';
import { lint } from '../lint/lint.js';
import type { Finding } from '../lint/rule.js';
import { type Migration, readMigrations } from '../migrations/files.js';
import { requireName } from '../migrations/name.js';
import { printable, type Style } from '../output/terminal.js';
import type { Answer, CommandContext } from './command.js';

export interface LintOptions {
  /** Newest migration that databases have already; only what comes after is looked at. */
  applied?: string;
}

/**
 * Looks for what is unsafe in migrations, before they are applied. Needs no database.
 * @param paths files to look at; without them, all of the folder, taken as one first installation
 * @returns outcome integrity when there is a finding
 * @throws KasmDbError usage for a file that is no migration, or cannot be parsed
 */
export async function lintCommand(
  ctx: CommandContext,
  paths: readonly string[],
  options: LintOptions,
): Promise<Answer> {
  const { files, isPending } = paths.length > 0 ? named(paths, options) : await folderOf(ctx, options);
  const findings = await lint(files, isPending, ctx.signal);
  const count = files.filter(isPending).length;
  return {
    fields: { findings, outcome: findings.length > 0 ? 'integrity' : 'ok' },
    text: (s) => (findings.length > 0 ? report(findings, s) : s.green(`No finding in ${plural(count, 'migration')}.`)),
  };
}

function report(findings: readonly Finding[], s: Style): string {
  const lines = findings.map(
    ({ file, line, rule, message, why, safe }) =>
      `${printable(`${file}:${line}`)}: ${s.red(rule)}: ${printable(message)}\n    ${why}\n    ${s.green('safe:')} ${safe}`,
  );
  const n = findings.length;
  return `${lines.join('\n')}\n\n${s.red(`${plural(n, 'finding')}.`)} Write it the safe way, or put above the statement: -- kasm-db: lint-ignore RULE why it is safe here`;
}

async function folderOf(
  ctx: CommandContext,
  options: LintOptions,
): Promise<{ files: Migration[]; isPending: (file: Migration) => boolean }> {
  const files = await ctx.migrations();
  if (options.applied === undefined) return { files, isPending: () => true };
  const applied = requireName(
    '--applied',
    options.applied,
    files.map((file) => file.name),
  );
  return { files, isPending: (file) => file.name > applied };
}

/** Files by path: the others of their folder that come before them tell what is there. */
function named(paths: readonly string[], options: LintOptions) {
  const folders = [...new Set(paths.map((path) => resolve(dirname(path))))];
  if (folders.length > 1 || options.applied !== undefined)
    throw new KasmDbError(
      'usage',
      folders.length > 1 ? 'the files are not all in one folder' : '--applied goes with a folder, not with files',
      { hint: 'call kasm-db lint once for each folder' },
    );
  const files = readMigrations(dirname(paths[0] as string));
  const wanted = new Set(
    paths.filter((path) => !path.endsWith('.down.sql')).map((path) => basename(path).replace(/\.sql$/, '')),
  );
  for (const name of wanted) {
    if (!files.some((file) => file.name === name))
      throw new KasmDbError('usage', `${name}.sql is missing, or is not a migration`, {
        hint: 'a migration is called NNNN_name.sql',
      });
  }
  return { files, isPending: (file: Migration) => wanted.has(file.name) };
}
