import fc from 'fast-check';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { keepSecret } from '../../src/app/secrets.js';
import { Progress, printable, printableLines, style, table, wantsColor, widthOf } from '../../src/output/terminal.js';

const ESC = '\u001b';

describe('printable › text of a server or a file cannot steer the terminal', () => {
  it.each([
    ['an escape sequence', `${ESC}[31mred`, '\ufffd[31mred'],
    ['a title', `${ESC}]0;x\u0007`, '\ufffd]0;x\ufffd'],
    ['carriage return and backspace', 'good\rbad\b', 'good\ufffdbad\ufffd'],
    ['the one-character CSI', '\u009b31m', '\ufffd31m'],
    ['NUL and DEL', '\0\u007f', '\ufffd\ufffd'],
    ['changes of the writing direction', 'a\u202eb\u200fc\u061cd', 'a\ufffdb\ufffdc\ufffdd'],
  ])('%s', (_, text, safe) => {
    expect(printable(text)).toBe(safe);
  });

  it.each(['a\tc', 'größe € 😀 漢字', ''])('leaves %j as it is', (text) => {
    expect(printable(text)).toBe(text);
  });

  it('a message stays on one line: what it quotes cannot look like another one', () => {
    expect(printable('relation "a\nReady.\u2028All is well" is missing')).toBe(
      'relation "a Ready. All is well" is missing',
    );
    expect(printableLines('SELECT 1,\n  2')).toBe('SELECT 1,\n  2');
  });

  it('a secret that is known is not shown, whoever repeats it', () => {
    keepSecret('hunter2/%');
    keepSecret('abc');
    expect(printable("unknown command 'AUTH', with 'hunter2/%' or hunter2%2F%25, abc")).toBe(
      "unknown command 'AUTH', with '***' or ***, abc",
    );
  });

  it('nor is the beginning of a long one, which whoever repeats it may cut, nor a line of a key', () => {
    keepSecret(`long-${'secret'.repeat(40)}`);
    keepSecret(`-----BEGIN X-----\n${'TUlJRXZ'.repeat(8)}\nzz\n-----END X-----\n`);
    expect(printable(`'long-${'secret'.repeat(20)}se`)).toBe("'***");
    expect(printable(`long-secrets of ${'TUlJRXZ'.repeat(8)}, zz`)).toBe('*** of ***, zz');
    expect(printable('a long-secret')).toBe('a long-secret');
  });

  it('leaves no control character of any text but tab and newline, and no other character out', () => {
    fc.assert(
      fc.property(
        fc.string({ unit: fc.integer({ max: 0x2ff, min: 0 }).map((code) => String.fromCharCode(code)) }),
        (text) => {
          const safe = printable(text);
          expect(/(?![\t\n])\p{Cc}/u.test(safe)).toBe(false);
          expect(safe).toHaveLength(text.length);
        },
      ),
    );
  });
});

describe('wantsColor', () => {
  afterEach(() => vi.unstubAllEnvs());
  const stream = (isTTY: boolean) => ({ isTTY }) as NodeJS.WriteStream;

  it.each([
    ['on a terminal', true, true, {}, true],
    ['not in a pipe or file', false, true, {}, false],
    ['not with --no-color', true, false, {}, false],
    ['not with NO_COLOR', true, true, { NO_COLOR: '1' }, false],
    ['with an empty NO_COLOR, as no-color.org says', true, true, { NO_COLOR: '' }, true],
    ['not on a dumb terminal', true, true, { TERM: 'dumb' }, false],
    ['with FORCE_COLOR, in a pipe too', false, true, { FORCE_COLOR: '1' }, true],
    ['not with FORCE_COLOR=0', true, true, { FORCE_COLOR: '0' }, false],
    ['not with FORCE_COLOR and --no-color', false, false, { FORCE_COLOR: '1' }, false],
    ['not with FORCE_COLOR and NO_COLOR', true, true, { FORCE_COLOR: '1', NO_COLOR: '1' }, false],
  ])('%s', (_, tty, flag, env, wanted) => {
    vi.stubEnv('NO_COLOR', '');
    vi.stubEnv('FORCE_COLOR', '');
    vi.stubEnv('TERM', 'xterm');
    for (const [key, value] of Object.entries(env)) vi.stubEnv(key, value);
    expect(wantsColor(stream(tty), flag)).toBe(wanted);
  });

  it.each([
    ['of a terminal, all but the last column', true, 120, 119],
    ['of a terminal that does not say, those of 80', true, 0, 79],
    ['elsewhere no line is broken', false, undefined, Number.POSITIVE_INFINITY],
  ])('the width %s', (_, isTTY, columns, width) => {
    expect(widthOf({ isTTY, columns })).toBe(width);
  });

  it('style paints or does not', () => {
    expect(style(true).red('x')).toBe(`${ESC}[31mx${ESC}[39m`);
    expect(style(false).red('x')).toBe('x');
  });
});

describe('table', () => {
  it('aligns its columns and leaves no blanks at the ends of lines', () => {
    expect(table(['NAME', 'TIME'], [['0001_a', '3 ms'], ['0002_longer', ''], ['3']], style(false))).toBe(
      ['NAME         TIME', '0001_a       3 ms', '0002_longer', '3'].join('\n'),
    );
  });

  it('on a narrow terminal the last column is wrapped in its column, or below its row', () => {
    const rows = [['0001_a', 'LOCK TABLE users, groups, zones IN ACCESS EXCLUSIVE MODE']];
    expect(table(['NAME', 'STATEMENT'], rows, style(false, 40))).toBe(
      ['NAME    STATEMENT', '0001_a  LOCK TABLE users, groups, zones', '        IN ACCESS EXCLUSIVE MODE'].join('\n'),
    );
    expect(table(['NAME', 'STATEMENT'], rows, style(false, 30))).toBe(
      [
        'NAME',
        '    STATEMENT',
        '0001_a',
        '    LOCK TABLE users, groups,',
        '    zones IN ACCESS EXCLUSIVE',
        '    MODE',
      ].join('\n'),
    );
  });

  it('without rows is its head', () => {
    expect(table(['NAME', 'TIME'], [], style(false))).toBe('NAME  TIME');
  });
});

describe('Progress', () => {
  function progress(isTTY: boolean, quiet = false, columns = 80) {
    let written = '';
    const stream = { isTTY, columns, write: (text: string) => (written += text) } as unknown as NodeJS.WriteStream;
    return { progress: new Progress(stream, style(false), quiet), written: () => written };
  }

  it('on a terminal names what is being run and how long it takes, in one line that is written over', async () => {
    const { progress: bar, written } = progress(true);
    bar.busy('0003_zones (3 of 19)');
    await vi.waitFor(() => expect(written()).toMatch(/ \(3 of 19\) ([1-9]\d\d m|[\d.]+ )s$/), { timeout: 60_000 });
    expect(written().replace(/[\d.]+ m?s/g, '?')).toContain(
      `\r${ESC}[K0003_zones (3 of 19) ?\r${ESC}[K0003_zones (3 of 19) ?`,
    );
    bar.log('applied 0003_zones');
    expect(written().endsWith(`s\r${ESC}[Kapplied 0003_zones\n`)).toBe(true);
    const before = written();
    await new Promise((resolve) => setTimeout(resolve, 250));
    expect(written()).toBe(before);
  });

  it('on a narrow terminal the live line stays in one row, and a message is wrapped at words', () => {
    const { progress: bar, written } = progress(true, false, 30);
    bar.busy('0007_servers_and_autoscale (7 of 19)');
    expect(written()).toHaveLength(4 + 29);
    expect(written().startsWith(`\r${ESC}[K0007_servers_and_auto`)).toBe(true);
    expect(written()).toMatch(/… \d+ ms$/);
    bar.log('waiting for the migration lock: it is held');
    expect(written()).toMatch(/waiting for the migration\n {2}lock: it is held\n$/);
  });

  it('elsewhere prints a line for each event and no control characters', () => {
    const { progress: lines, written } = progress(false);
    lines.busy('0003_zones (3 of 19)');
    lines.log('applied 0003_zones');
    lines.clear();
    expect(written()).toBe('applied 0003_zones\n');
  });

  it('prints nothing when it has to be quiet', () => {
    const { progress: silent, written } = progress(true, true);
    silent.busy('x');
    silent.log('y');
    silent.clear();
    expect(written()).toBe('');
  });
});
