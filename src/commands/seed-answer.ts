import { plural } from '../app/plural.js';
import { type Style, table } from '../output/terminal.js';
import type { SeedResult } from '../seed/seed.js';
import { unlessEmpty } from './database-info.js';

/** The `seed` of a result. */
export function seedFields(result: SeedResult) {
  const warnings = result.skipped ? ['the database is newer than this build, so seeding was skipped'] : result.warnings;
  return {
    warnings,
    plainText: unlessEmpty(result.plainText),
    encrypted: unlessEmpty(result.encrypted),
    // The role's password is changed even then.
    seed: result.skipped && result.credentials.length === 0 ? undefined : seedOf(result),
  };
}

/** The part of it that says what was written. */
export const seedOf = ({ counts, credentials }: Pick<SeedResult, 'counts' | 'credentials'>) => ({
  ...counts,
  credentials,
});

/** The same for people. */
export function seedText(result: SeedResult, dryRun: boolean, s: Style): string {
  const { skipped, counts, credentials, encrypted } = result;
  const { inserted, updated, unchanged, kept } = counts;
  const head = dryRun ? 'Would seed' : s.green('Seeded');
  const lines = [
    skipped
      ? `${s.yellow('Seeding was skipped:')} the database is newer than this build.`
      : `${head}: ${plural(inserted, 'row')} inserted, ${updated} updated, ${unchanged} unchanged${kept > 0 ? `, ${kept} left as somebody has changed ${kept === 1 ? 'it' : 'them'}` : ''}.`,
  ];
  if (encrypted.length > 0)
    lines.push(`Looks encrypted by Kasm, and is overwritten by --rotate with --force only: ${encrypted.join(', ')}.`);
  if (credentials.length > 0)
    lines.push(
      '',
      table(
        ['CREDENTIAL', 'STATE'],
        credentials.map(({ key, action }) => [key, (dryRun ? WOULD_BE[action] : undefined) ?? STATES[action]]),
        s,
      ),
    );
  const changed = credentials.filter(({ action }) => action === 'changed').map(({ key }) => key);
  if (changed.length > 0)
    lines.push('', `To apply a Secret that has changed: kasm-db seed --rotate ${changed.join(',')}`);
  return lines.join('\n');
}

const STATES = {
  set: 'set',
  unchanged: 'unchanged',
  changed: 'the Secret has changed since, and is not applied',
  kept: 'was changed in the database, and stays so',
  rotated: 'rotated',
  absent: 'there is no row to set it in',
};

/** The same in a dry run. */
const WOULD_BE: Partial<typeof STATES> = { set: 'would be set', rotated: 'would be rotated' };
