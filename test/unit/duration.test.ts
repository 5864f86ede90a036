import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { formatMs } from '../../src/app/when.js';
import { parseDuration } from '../../src/config/duration.js';

describe('parseDuration', () => {
  it.each([
    ['500ms', 500],
    ['30s', 30_000],
    ['10m', 600_000],
    ['1h', 3_600_000],
    ['1.5s', 1500],
    ['0s', 0],
    [' 2s ', 2000],
    ['24h', 86_400_000],
  ])('%j is %i ms', (text, ms) => {
    expect(parseDuration(text, '--wait')).toBe(ms);
  });

  it.each([
    '',
    '10',
    's',
    '10 s',
    '10S',
    '10sec',
    '-1s',
    '+1s',
    '1e3s',
    '1m30s',
    '.5s',
    '1.s',
    'Infinitys',
    '0x1s',
    '١s',
    '1d',
  ])('%j is refused, naming the setting', (text) => {
    expect(() => parseDuration(text, '--wait')).toThrow(
      expect.objectContaining({
        outcome: 'usage',
        message: `--wait: "${text}" is not a duration`,
        details: expect.objectContaining({ hint: expect.stringContaining('500ms, 30s, 10m or 1h') }),
      }),
    );
  });

  it('is refused where a timer would overflow and fire at once', () => {
    expect(parseDuration('2147483647ms', '--wait')).toBe(2 ** 31 - 1);
    expect(() => parseDuration('2147483648ms', '--wait')).toThrow(/not a duration/);
    expect(() => parseDuration('597h', '--wait')).toThrow(/not a duration/);
  });

  it('is always a whole number of milliseconds', () => {
    fc.assert(
      fc.property(fc.nat(10_000), fc.nat(999), fc.constantFrom('ms', 's', 'm'), (whole, part, unit) => {
        expect(parseDuration(`${whole}.${part}${unit}`, '--wait')).toSatisfy(Number.isSafeInteger);
      }),
    );
  });
});

describe('formatMs', () => {
  it.each([
    [0, '0 ms'],
    [999, '999 ms'],
    [1000, '1.0 s'],
    [3210, '3.2 s'],
    [60_000, '1 min'],
    [250_000, '4 min 10 s'],
    [999.7, '1.0 s'],
    [59_980, '1 min'],
    [119_700, '2 min'],
    [3_599_600, '1 h'],
    [7_500_000, '2 h 5 min'],
    [262_800_000, '3 days 1 h'],
  ])('%d ms is %j', (ms, text) => {
    expect(formatMs(ms)).toBe(text);
  });
});
