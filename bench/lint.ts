// Our rules and squawk's on the same hazards and safe variants (test/fixtures/lint/cases.ts): how many of each have a finding.
import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Case, filesOf, HAZARDS, SAFE } from '../test/fixtures/lint/cases.js';

const CLI = join(process.cwd(), 'dist/kasm-db.mjs');
const SQUAWK = [join(process.cwd(), 'bench/node_modules/.bin/squawk'), 'squawk'].find((path) => {
  return path === 'squawk' ? spawnSync(path, ['--version']).status === 0 : existsSync(path);
});
/** Style rules of squawk's that say nothing of safety; our migrations have their own conventions. */
const STYLE =
  'prefer-text-field,prefer-bigint-over-int,prefer-bigint-over-smallint,prefer-identity,prefer-timestamptz,prefer-robust-stmts,require-timeout-settings,require-table-schema';

const scratch = mkdtempSync(join(tmpdir(), 'kasm-db-lint-'));
process.on('exit', () => rmSync(scratch, { recursive: true, force: true }));

function write(entry: Case, name: string): { path: string; alone: boolean } {
  const folder = join(scratch, name);
  mkdirSync(folder);
  for (const [file, text] of Object.entries(filesOf(entry))) writeFileSync(join(folder, file), text);
  return { path: join(folder, '0002_case.sql'), alone: entry.sql.startsWith('-- kasm-db: no-transaction') };
}

function ours(path: string): string[] {
  const { stdout } = spawnSync(process.execPath, [CLI, 'lint', '--json', path], { encoding: 'utf8' });
  return [...new Set((JSON.parse(stdout).findings as { rule: string }[]).map(({ rule }) => rule))];
}

function squawks(path: string, alone: boolean): string[] {
  const args = ['--reporter', 'json', '--exclude', STYLE, ...(alone ? [] : ['--assume-in-transaction']), path];
  const { stdout } = spawnSync(SQUAWK as string, args, { encoding: 'utf8' });
  return [...new Set((JSON.parse(stdout || '[]') as { rule_name: string }[]).map((found) => found.rule_name))];
}

if (!SQUAWK) console.log('SKIPPED: squawk-cli is not installed (npm ci --prefix bench), so only kasm-db is counted');
else console.log(`${execFileSync(SQUAWK, ['--version'], { encoding: 'utf8' }).trim()}, without its rules of style`);

const counts = { ours: [0, 0], squawk: [0, 0] };
for (const [kind, cases] of [HAZARDS, SAFE].entries()) {
  console.log(kind === 0 ? '\nhazards (planted rule: kasm-db | squawk)' : '\nsafe variants with a finding');
  for (const [i, entry] of cases.entries()) {
    const { path, alone } = write(entry, `${kind}-${i}`);
    const [a, b] = [ours(path), SQUAWK ? squawks(path, alone) : []];
    if (a.length > 0) counts.ours[kind] = (counts.ours[kind] as number) + 1;
    if (b.length > 0) counts.squawk[kind] = (counts.squawk[kind] as number) + 1;
    if (kind === 0 || a.length + b.length > 0)
      console.log(
        `  ${entry.rule.padEnd(30)} ${(a.join(', ') || '-').padEnd(34)} ${SQUAWK ? b.join(', ') || '-' : ''}`,
      );
  }
}
console.log(
  `\nkasm-db: ${counts.ours[0]} of ${HAZARDS.length} hazards, ${counts.ours[1]} of ${SAFE.length} safe variants`,
);
if (SQUAWK)
  console.log(
    `squawk:  ${counts.squawk[0]} of ${HAZARDS.length} hazards, ${counts.squawk[1]} of ${SAFE.length} safe variants`,
  );
