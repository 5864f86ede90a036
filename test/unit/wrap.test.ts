import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { columnsOf, cut, wrap } from '../../src/output/wrap.js';

const RED = '\u001b[31m';
const PLAIN = '\u001b[39m';

describe('wrap', () => {
  it('breaks a line at words, two further in than it began', () => {
    expect(wrap('the migration lock is held by somebody', 24)).toBe('the migration lock is\n  held by somebody');
    expect(wrap('  - the migration lock is held', 24)).toBe('  - the migration lock\n    is held');
  });

  it('goes on at a column that is named', () => {
    expect(wrap('ok  tls   the connection is encrypted', 26, 10)).toBe(
      'ok  tls   the connection\n          is encrypted',
    );
  });

  it('leaves alone what fits, what has no space, and all where there is no terminal', () => {
    const text = `fits\n${'x'.repeat(50)}\n`;
    expect(wrap(text, 40)).toBe(text);
    expect(wrap(`${'word '.repeat(99)}end`, Number.POSITIVE_INFINITY)).not.toContain('\n');
  });

  it('a colour takes no room', () => {
    expect(wrap(`${RED}failed:${PLAIN} 0003_zones has failed`, 29)).toBe(`${RED}failed:${PLAIN} 0003_zones has failed`);
  });

  it('a call of kasm-db stays whole, so that it can be copied', () => {
    expect(wrap('next: correct the file, then run: kasm-db repair --applied 0003_zones', 44)).toBe(
      'next: correct the file, then run:\n  kasm-db repair --applied 0003_zones',
    );
  });

  it('changes nothing but blanks, and no line is longer than it must be', () => {
    fc.assert(
      fc.property(
        fc.array(fc.string({ unit: 'binary-ascii', maxLength: 30 })),
        fc.integer({ min: 20 }),
        (words, width) => {
          const text = words.join(' ');
          const wrapped = wrap(text, width);
          expect(wrapped.replace(/\s+/g, '')).toBe(text.replace(/\s+/g, ''));
          for (const line of wrapped.split('\n'))
            expect(columnsOf(line) <= width || !/\S\s+\S/.test(line) || line.includes('kasm-db')).toBe(true);
        },
      ),
    );
  });
});

describe('cut', () => {
  it('shows that something is left out', () => {
    expect(cut('0003_zones (3 of 19)', 12)).toBe('0003_zones …');
    expect(cut('0003_zones', 12)).toBe('0003_zones');
  });
});
