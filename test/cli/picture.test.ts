import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { record } from '../../scripts/picture/record.js';
import { COLUMNS, screen, textOf } from '../../scripts/picture/screen.js';
import { createDatabase } from '../support/database.js';
import { SECRET_MARK } from '../support/global-setup.js';

const ROOT = join(import.meta.dirname, '../..');
const hasScript = spawnSync('script', ['--version']).status === 0;
if (!hasScript)
  console.warn('SKIPPED: util-linux script is not installed, so docs/terminal.svg is NOT held against a run');

/** What differs from run to run is times, process ids and how long a row gets by them. */
const lasting = (lines: string[]) =>
  lines
    .map((line) => (line.length === COLUMNS ? line : `${line}\n`))
    .join('')
    // Where a message goes on in the next row depends on them too.
    .replace(/\n {2}(?=\S)/g, ' ')
    .replace(/\d{4}-\d\d-\d\d \d\d:\d\d:\d\d/g, 'TIME')
    .replace(/kasm on \S+ as \S+/g, 'TARGET')
    .replace(/\((?:just now|\d+ s ago)\)/g, '(AGO)')
    .replace(/\b[\d.]+ m?s\b/g, 'DURATION')
    .replace(/PID \d+/g, 'PID')
    .split('\n')
    .map((line) => line.replace(/\s+/g, ' ').trim())
    .filter(Boolean);

describe('docs/terminal.svg', () => {
  it.runIf(hasScript)('shows what the commands print', async () => {
    const database = await createDatabase();
    const lines = record(join(ROOT, 'dist/kasm-db.mjs'), {
      ...database.env,
      DEFAULT_ADMIN_PASSWORD: `${SECRET_MARK}a`,
      DEFAULT_USER_PASSWORD: `${SECRET_MARK}b`,
      DEFAULT_MANAGER_TOKEN: `${SECRET_MARK}c`,
      DEFAULT_REGISTRATION_TOKEN: `${SECRET_MARK}d`,
    }).map((line) => textOf(line).replaceAll(database.name, 'kasm'));
    const picture = readFileSync(join(ROOT, 'docs/terminal.svg'), 'utf8');
    const drawn = [...picture.matchAll(/<text [^>]*>(.*?)<\/text>/g)].map(([, row = '']) =>
      row
        .replace(/<[^>]+>/g, '')
        .replaceAll('&lt;', '<')
        .replaceAll('&gt;', '>')
        .replaceAll('&amp;', '&'),
    );
    expect(lasting(drawn)).toEqual(lasting(lines));
  });
});

describe('the terminal of the picture', () => {
  const shown = (output: string) => screen(output).map(textOf);

  it('writes a line over, clears its rest and goes on in the next row', () => {
    expect(shown('at work 12 ms\r\u001b[K\u001b[32mdone\u001b[39m\r\n')).toEqual(['done']);
    expect(shown(`${'x'.repeat(COLUMNS)}yz\r\n`)).toEqual(['x'.repeat(COLUMNS), 'yz']);
    expect(screen('\u001b[32mok\u001b[39m 1')).toEqual([
      [
        { text: 'ok', style: 32 },
        { text: ' 1', style: 0 },
      ],
    ]);
  });

  it('refuses what it does not know', () => {
    expect(() => screen('\u001b[2J')).toThrow('does not know');
    expect(() => screen('\u0007')).toThrow('does not know');
  });
});
