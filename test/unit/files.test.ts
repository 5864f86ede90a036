import { chmodSync, linkSync, mkdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { KasmDbError } from '../../src/app/errors.js';
import { normalize } from '../../src/migrations/checksum.js';
import { readMigrations, readSql, shippedMigrations } from '../../src/migrations/files.js';
import { folder } from '../support/folder.js';

const isRoot = process.getuid?.() === 0;

function refusal(work: () => unknown): KasmDbError {
  try {
    work();
  } catch (error) {
    if (error instanceof KasmDbError) return error;
    throw error;
  }
  throw new Error('it was accepted');
}

/** What is in use on the heap, in MB. */
function heapMegabytes(): number {
  setFlagsFromString('--expose-gc');
  runInNewContext('gc')();
  return process.memoryUsage().heapUsed / 2 ** 20;
}

describe('files › a folder of migrations', () => {
  it('keeps 64 MB of its texts; what is beyond is read again, and must be as it was', async () => {
    const dir = folder({ '0001_a.sql': `SELECT 1;\n${`-- ${'x'.repeat(996)}\n`.repeat(40_000)}` });
    for (const name of ['0002_b', '0003_c']) linkSync(join(dir, '0001_a.sql'), join(dir, `${name}.sql`));
    const before = heapMegabytes();
    const [first, , last] = readMigrations(dir);
    expect(heapMegabytes() - before).toBeLessThan(64);
    expect((await last?.sql())?.length).toBeGreaterThan(39_000_000);
    writeFileSync(join(dir, '0001_a.sql'), 'SELECT 2;\n');
    expect(await first?.sql()).toMatch(/^SELECT 1;/);
    await expect(last?.sql()).rejects.toThrow(/0003_c\.sql was changed while/);
  });

  it('is read in the order of the names, with the way to each SQL', async () => {
    const dir = folder({
      '0010_c.sql': 'SELECT 10;\n',
      '0002_b.down.sql': 'SELECT -2;\n',
      '0002_b.sql': 'SELECT 2;\n',
      '0001_a.sql': '-- kasm-db: no-transaction\nSELECT 1;\n',
    });
    const migrations = readMigrations(dir);
    expect(migrations.map((m) => m.name)).toEqual(['0001_a', '0002_b', '0010_c']);
    expect(migrations.map((m) => m.hasDown)).toEqual([false, true, false]);
    expect(migrations.map((m) => m.transaction)).toEqual([false, true, true]);
    expect(migrations[1]?.path).toBe(join(dir, '0002_b.sql'));
    expect(await Promise.all(migrations.map((m) => m.sql()))).toEqual([
      '-- kasm-db: no-transaction\nSELECT 1;',
      'SELECT 2;',
      'SELECT 10;',
    ]);
    expect(await Promise.all(migrations.map((m) => m.downSql()))).toEqual([undefined, 'SELECT -2;', undefined]);
  });

  it('may hold other things: a README, hidden files, and what Kubernetes puts beside a mounted ConfigMap', () => {
    const dir = folder({
      'README.md': '# no migration',
      '.0002_draft.sql': 'SELECT',
      '..2026_01_01/0001_a.sql': 'SELECT 1;',
    });
    symlinkSync('..2026_01_01', join(dir, '..data'));
    symlinkSync('..data/0001_a.sql', join(dir, '0001_a.sql'));
    expect(readMigrations(dir).map((m) => m.name)).toEqual(['0001_a']);
  });

  it('is sorted by the names, not by the files', () => {
    const names = ['0001_a', '0002_b', '0002_b-c', '0002_bc'];
    const error = refusal(() =>
      readMigrations(folder(Object.fromEntries(names.map((n) => [`${n}.sql`, 'SELECT 1;'])))),
    );
    expect(error.message).toMatch(/0002_b\.sql and .*0002_b-c\.sql have the same number/);
  });

  it('gives the same checksum with BOM and CRLF, and SQL without them', async () => {
    const [dos] = readMigrations(folder({ '0001_a.sql': '\ufeffSELECT 1;\r\nSELECT 2;\r\n' }));
    const [unix] = readMigrations(folder({ '0001_a.sql': 'SELECT 1;\nSELECT 2;\n' }));
    expect(dos?.checksum).toBe(unix?.checksum);
    expect(await dos?.sql()).toBe('SELECT 1;\nSELECT 2;');
  });
});

describe('files › a folder that is refused, as a usage error that names the file', () => {
  it.each<[string, Record<string, string | Buffer>, RegExp, string | undefined]>([
    [
      'two files with one number',
      { '0001_a.sql': 'SELECT 1;', '0001_b.sql': 'SELECT 1;' },
      /0001_a\.sql and .*0001_b\.sql have the same number/,
      '0001_b.sql',
    ],
    ['a name without a number', { 'users.sql': 'SELECT 1;' }, /users\.sql: the name does not fit/, 'users.sql'],
    ['a short number', { '001_a.sql': 'SELECT 1;' }, /the name does not fit/, '001_a.sql'],
    ['a long number', { '00001_a.sql': 'SELECT 1;' }, /the name does not fit/, '00001_a.sql'],
    ['no name after the number', { '0001.sql': 'SELECT 1;' }, /the name does not fit/, '0001.sql'],
    ['nothing after the underscore', { '0001_.sql': 'SELECT 1;' }, /the name does not fit/, '0001_.sql'],
    ['a name with a blank', { '0001_a b.sql': 'SELECT 1;' }, /the name does not fit/, '0001_a b.sql'],
    [
      'an ending in capitals, before all else',
      { '0001_a b.sql': 'SELECT 1;', '0002_b.SQL': 'SELECT 1;' },
      /0002_b\.SQL: the ending is not \.sql in small letters/,
      '0002_b.SQL',
    ],
    ['a name with a dot', { '0001_a.up.sql': 'SELECT 1;' }, /the name does not fit/, '0001_a.up.sql'],
    [
      'a name with a letter of another script',
      { '0001_größe.sql': 'SELECT 1;' },
      /the name does not fit/,
      '0001_größe.sql',
    ],
    [
      'down without up',
      { '0001_a.sql': 'SELECT 1;', '0002_b.down.sql': 'SELECT 1;' },
      /0002_b\.down\.sql has no 0002_b\.sql beside it/,
      '0002_b.down.sql',
    ],
    [
      'not UTF-8',
      { '0001_a.sql': Buffer.from("SELECT 'gr\xfcn';", 'latin1') },
      /0001_a\.sql is not UTF-8/,
      '0001_a.sql',
    ],
    ['UTF-16', { '0001_a.sql': Buffer.from('\ufeffSELECT 1;', 'utf16le') }, /0001_a\.sql is UTF-16/, '0001_a.sql'],
    [
      'UTF-16 without a byte order mark',
      { '0001_a.sql': Buffer.from('SELECT 1; SELECT 2;', 'utf16le') },
      /0001_a\.sql is UTF-16/,
      '0001_a.sql',
    ],
    ['empty', { '0001_a.sql': '' }, /0001_a\.sql is empty/, '0001_a.sql'],
    ['only blanks', { '0001_a.sql': ' \n\t\r\n' }, /0001_a\.sql is empty/, '0001_a.sql'],
    ['only a BOM', { '0001_a.sql': '\ufeff' }, /0001_a\.sql is empty/, '0001_a.sql'],
    [
      'a folder named like a migration',
      { '0001_a.sql/b': '' },
      /cannot read .*0001_a\.sql \(.*it is a folder/,
      '0001_a.sql',
    ],
    ['no migrations', { 'README.md': '' }, /holds no migration/, undefined],
    ['only a down script', { '0001_a.down.sql': 'SELECT 1;' }, /holds no migration/, undefined],
  ])('%s', (_, files, message, file) => {
    const dir = folder(files);
    const error = refusal(() => readMigrations(dir));
    expect(error.outcome).toBe('usage');
    expect(error.message).toMatch(message);
    expect(error.details.file).toBe(file === undefined ? undefined : join(dir, file));
  });

  it('NUL, with its line', () => {
    const dir = folder({ '0001_a.sql': 'SELECT 1;\nSELECT 2;\nSELECT\u0000 3;\n' });
    expect(refusal(() => readMigrations(dir))).toMatchObject({
      outcome: 'usage',
      message: `${join(dir, '0001_a.sql')} holds a NUL byte; it is not text`,
      details: { line: 3 },
    });
  });

  it('an empty folder', () => {
    expect(refusal(() => readMigrations(folder({}))).message).toMatch(/holds no migration/);
  });

  it.each([
    ['a folder that is not there', '/nowhere/at/all', /cannot read the migrations folder \/nowhere\/at\/all \(ENOENT/],
    ['a file instead of a folder', join(folder({ f: '' }), 'f'), /cannot read the migrations folder .*ENOTDIR/],
  ])('%s', (_, dir, message) => {
    const error = refusal(() => readMigrations(dir));
    expect(error).toMatchObject({ outcome: 'usage', details: { hint: 'correct --migrations or KASM_DB_MIGRATIONS' } });
    expect(error.message).toMatch(message);
  });

  it('a link to nothing', () => {
    const dir = folder({});
    symlinkSync('nowhere', join(dir, '0001_a.sql'));
    expect(refusal(() => readMigrations(dir)).message).toMatch(/cannot read .*0001_a\.sql \(ENOENT/);
  });

  it.skipIf(isRoot)('an unreadable file or folder (root reads them all)', () => {
    const dir = folder({ '0001_a.sql': 'SELECT 1;' });
    chmodSync(join(dir, '0001_a.sql'), 0);
    expect(refusal(() => readMigrations(dir)).message).toMatch(/EACCES/);
    mkdirSync(join(dir, 'closed'), { mode: 0 });
    expect(refusal(() => readMigrations(join(dir, 'closed'))).message).toMatch(/EACCES/);
  });
});

describe('files › a text is read by its bytes', () => {
  const path = join(folder({}), '0001_a.sql');
  /** What the bytes say, read as strictly as can be. */
  const strictly = (bytes: Buffer) => {
    if (bytes.includes(0)) return /NUL/;
    try {
      const text = new TextDecoder('utf-8', { fatal: true }).decode(bytes);
      return text.trim() === '' ? /is empty/ : normalize(text);
    } catch {
      return /is not UTF-8/;
    }
  };

  it('whatever they are', () => {
    const pieces = ['S', ' ', '\n', '\r\n', '\r', '\t', 'é', '€', '😀', '\u00a0', '\u0085', '\ufeff', '\ufffd', '\0'];
    // Half a character, a surrogate, a character written too long, one beyond Unicode's end.
    const noText = ['ff', 'c3', 'e282', '80', 'eda080', 'c0af', 'f4908080'];
    const piece = fc.oneof(
      { weight: 9, arbitrary: fc.constantFrom(...pieces).map((text) => Buffer.from(text)) },
      { weight: 1, arbitrary: fc.constantFrom(...noText).map((hex) => Buffer.from(hex, 'hex')) },
    );
    const seen = new Set<string>();
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 8 }), (list) => {
        const bytes = Buffer.concat(list);
        writeFileSync(path, bytes);
        const expected = strictly(bytes);
        seen.add(typeof expected === 'string' ? 'text' : expected.source);
        if (typeof expected === 'string') expect(readSql(path)).toBe(expected);
        else expect(refusal(() => readSql(path)).message).toMatch(expected);
      }),
      { numRuns: 2000, examples: [[[Buffer.from('\ufeff\ufeffS')]]] },
    );
    expect(seen).toEqual(new Set(['text', 'NUL', 'is empty', 'is not UTF-8']));
  });
});

describe('files › a large file', () => {
  it('of 50 MB is read', () => {
    const line = `INSERT INTO a VALUES ('${'x'.repeat(970)}');\n`;
    const dir = folder({ '0001_a.sql': line.repeat(50_000) });
    expect(readSql(join(dir, '0001_a.sql'))).toHaveLength(line.length * 50_000 - 1);
    rmSync(dir, { recursive: true });
  });
});

describe('files › what ships with kasm-db', () => {
  it('is the folder migrations/ as it is, each with a down migration', async () => {
    const shipped = await shippedMigrations();
    const read = readMigrations('migrations');
    const plain = ({ sql: _s, downSql: _d, ...header }: (typeof read)[number]) => header;
    expect(shipped.map(plain)).toEqual(read.map(plain));
    expect(shipped.every((m) => m.hasDown)).toBe(true);
    for (const [i, m] of shipped.entries()) {
      expect(await m.sql()).toBe(await read[i]?.sql());
      expect(await m.downSql()).toBe(await read[i]?.downSql());
    }
  });
});
