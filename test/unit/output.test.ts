import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { fitJson, writeTerminationLog } from '../../src/output/output.js';
import type { Result } from '../../src/output/result.js';
import { resultJsonSchema, resultSchema } from '../../src/output/schema.js';
import { folder } from '../support/folder.js';

const base: Result = { command: 'migrate', outcome: 'failed', exitCode: 7, version: '1.2.3', durationMs: 12 };
const bytes = (text: string) => Buffer.byteLength(text);
const fitted = (result: Result, max = 4096) => {
  const text = fitJson(result, max);
  expect(bytes(text)).toBeLessThanOrEqual(max);
  return resultSchema.parse(JSON.parse(text)) as Result;
};

const database = { host: 'db', port: 5432, name: 'kasm', user: 'app' };
const name = (i: number) => `${String(i).padStart(4, '0')}_migration`;
const many = Array.from({ length: 1000 }, (_, i) => name(i));

describe('fitJson › cut to what the kubelet reads, 4096 bytes, it stays valid', () => {
  it('is left as it is when it fits', () => {
    const result: Result = { ...base, database, applied: [{ name: name(1), ms: 3 }], pending: [name(2)] };
    expect(fitJson(result, 4096)).toBe(JSON.stringify(result));
  });

  it('is left as it is when it fits to the byte', () => {
    const result: Result = { ...base, warnings: ['x'] };
    const exact = bytes(JSON.stringify(result));
    expect(fitted(result, exact)).toEqual(result);
    expect(fitted(result, exact - 1)).not.toEqual(result);
  });

  it('the locks of what was applied go before its names', () => {
    const applied = many.slice(0, 19).map((one) => ({ name: one, ms: 1 }));
    const locks = many.slice(0, 70).map((relation) => ({ relation, mode: 'AccessExclusiveLock' }));
    const result: Result = { ...base, database, applied: applied.map((one) => ({ ...one, locks })) };
    expect(fitted(result)).toEqual({ ...base, database, applied });
  });

  it('then long lists go, and the error stays whole', () => {
    const error = {
      code: 'failed' as const,
      message: 'm'.repeat(900),
      hint: 'h'.repeat(900),
      statement: 's'.repeat(300),
    };
    const result: Result = {
      ...base,
      database,
      applied: many.map((m) => ({ name: m, ms: 1 })),
      pending: many,
      unknown: many,
      changed: many,
      warnings: many,
      error,
    };
    expect(fitted(result)).toEqual({ ...base, database, error });
  });

  it('then long texts are cut, and what is short stays', () => {
    const result: Result = {
      ...base,
      database,
      error: { code: 'failed', message: 'm'.repeat(9000), hint: 'h'.repeat(9000), sqlstate: '42601', line: 3 },
    };
    const cut = fitted(result);
    expect(cut).toMatchObject({ database, error: { code: 'failed', sqlstate: '42601', line: 3 } });
    expect(cut.error?.message).toMatch(/^m{100,}…$/);
  });

  it.each([
    ['multi-byte characters', 'größe€'],
    ['surrogate pairs', '😀'],
    ['control characters, six bytes each as JSON', '\u0001'],
    ['quotes and backslashes', '"\\'],
  ])('counts bytes: %s', (_, text) => {
    const long = text.repeat(5000);
    const cut = fitted({
      ...base,
      database: { ...database, host: long },
      run: { phase: 'failed', startedAt: long, by: long, done: 1, total: 2, error: long },
      error: { code: 'failed', message: long, hint: long, migration: long, file: long, statement: long },
    });
    expect(cut.error?.message).toMatch(/…$/);
  });

  it('keeps what decides a retry even in the least space', () => {
    expect(fitted({ ...base, database, error: { code: 'failed', message: 'x' } }, 100)).toEqual(base);
  });

  it('for any result', () => {
    const text = fc
      .tuple(fc.string({ unit: 'binary', maxLength: 12 }), fc.nat({ max: 400 }))
      .map(([part, times]) => part.repeat(times));
    const result = fc.record(
      {
        target: text,
        current: text,
        applied: fc.array(fc.record({ name: text, ms: fc.nat() })),
        pending: fc.array(text),
        warnings: fc.array(text),
        lock: fc.record({ waitedMs: fc.nat() }),
        error: fc.record({ code: fc.constant('failed' as const), message: text, hint: text, statement: text }),
      },
      { requiredKeys: [] },
    );
    fc.assert(
      fc.property(result, (fields) => {
        const cut = fitted({ ...base, ...fields });
        expect(cut).toMatchObject(base);
        expect(cut.error === undefined).toBe(fields.error === undefined);
      }),
    );
  });
});

describe('writeTerminationLog', () => {
  it('writes one JSON object over what was there', () => {
    const path = join(folder({ log: 'x'.repeat(9999) }), 'log');
    expect(writeTerminationLog(path, base)).toBeUndefined();
    expect(JSON.parse(readFileSync(path, 'utf8'))).toEqual(base);
  });

  it('says what it could not write, and does not throw', () => {
    expect(writeTerminationLog('/nowhere/log', base)).toMatch(
      /^KASM_DB_TERMINATION_LOG: cannot write \/nowhere\/log \(ENOENT/,
    );
  });
});

describe('result.schema.json', () => {
  it('is a closed JSON Schema whose required fields every result has', () => {
    expect(resultJsonSchema()).toMatchObject({
      title: 'kasm-db result',
      type: 'object',
      additionalProperties: false,
      required: ['command', 'outcome', 'exitCode', 'version', 'durationMs'],
    });
  });
});
