import { readdirSync, readFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { SeedContent } from '../../src/seed/documents.js';
import { readPlain } from '../../src/seed/plain.js';
import { readYaml } from '../../src/seed/yaml.js';

const FILE = 'seeds/x.yaml';

/** What the parser of all YAML says, or that it refuses. */
function parsed(text: string): SeedContent | 'refused' {
  try {
    return readYaml(FILE, text);
  } catch {
    return 'refused';
  }
}

describe('readPlain', () => {
  it('reads the documents that ship with kasm-db, but those with lists or folded text', () => {
    const read = readdirSync('seeds').filter((file) => {
      const text = readFileSync(`seeds/${file}`, 'utf8');
      const content = readPlain(FILE, text);
      if (content) expect(content, file).toEqual(readYaml(FILE, text));
      return content !== undefined;
    });
    expect(read).toEqual(expect.arrayContaining(['users.yaml', 'zones.yaml', 'groups.yaml']));
  });

  it('knows values, places, comments, and any margin', () => {
    const text = [
      '# a comment',
      'alembic_version: bfc22f00ad19',
      'users:',
      '- username: a@b.example',
      "  salt: 'it''s: # so'",
      '  # between',
      '  first_name:',
      '  created: 2026-01-01 00:00:00',
      '  disabled: false ',
      '',
      'settings:',
      '    - setting_id: ${uuid:setting_id:1}',
      '      value: -12.5',
      '      title: Some words, and more (http://x.example/a?b=c)',
      '    - setting_id: 0f8fad5b-d9cb-469f-a165-70867728950e',
    ].join('\n');
    const content = readPlain(FILE, text) as SeedContent;
    expect(content).toEqual(readYaml(FILE, text));
    expect(content.rows.map(({ line }) => line)).toEqual([4, 12, 15]);
    expect(content.rows[0]?.cells.get('created')).toEqual({ value: '2026-01-01 00:00:00', line: 8 });
  });

  it.each([
    ['folded text', 'a:\n  - b: >-\n      c\n'],
    ['a value that goes on', 'a:\n  - b: c\n      d\n'],
    ['an anchor', 'a:\n  - b: &x c\n    d: *x\n'],
    ['flow style', 'a: [{b: 1}]\n'],
    ['a key given twice', 'a:\n  - b: 1\n    b: 2\n'],
    ['a table given twice', 'a:\n  - b: 1\na:\n  - b: 2\n'],
    ['an escape', 'a:\n  - b: "\\n"\n'],
    ['a comment behind a value', 'a:\n  - b: c # d\n'],
    ['a number in octal', 'a:\n  - b: 0o17\n'],
    ['a null in another case', 'a:\n  - b: NULL\n'],
    ['a tab', 'a:\n\t- b: 1\n'],
    ['Windows line ends', 'a:\r\n  - b: 1\r\n'],
    ['a nested list', 'a:\n  - b:\n    - c: 1\n'],
    ['no table', '# nothing\n'],
    ['a table without rows', 'a:\n'],
  ])('leaves to the parser: %s', (_, text) => {
    expect(readPlain(FILE, text)).toBeUndefined();
  });

  // Nothing that it reads may mean something else to YAML: pieces of documents, put together at random.
  it('never reads what the parser reads otherwise', () => {
    const value = fc.oneof(
      fc.string({ unit: fc.constantFrom(...'ab1 0.-:#\'"\\{}[]&*!|>%@`,?~$+eExn_/='), maxLength: 8 }),
      fc.constantFrom(
        'null',
        'Null',
        'true',
        'yes',
        '-0',
        '007',
        '1e3',
        '.5',
        '1_000',
        '0x1f',
        "''",
        "'a''b'",
        '""',
        '"a: b"',
      ),
      fc.constantFrom(
        '2026-01-01',
        '12:30',
        '${uuid:a:1}',
        '- a',
        'a: b',
        'a #b',
        'a:',
        '---',
        '...',
        '<<',
        '=',
        '[]',
        '{}',
      ),
      fc.string({ unit: 'grapheme', maxLength: 6 }).map((text) => `'${text.replaceAll("'", "''")}'`),
      fc.double({ noDefaultInfinity: true, noNaN: true }).map(String),
      fc.integer().map(String),
    );
    const key = fc.constantFrom('a', 'b_1', 'C', 'null', 'true', 'alembic_version', '<<');
    const line = fc.oneof(
      {
        weight: 6,
        arbitrary: fc
          .tuple(fc.constantFrom('  - ', '    ', '- ', '  '), key, value)
          .map(([start, name, text]) => `${start}${name}: ${text}`),
      },
      {
        weight: 2,
        arbitrary: fc.tuple(key, fc.oneof(fc.constant(''), value)).map(([name, text]) => `${name}: ${text}`),
      },
      {
        weight: 1,
        arbitrary: fc.constantFrom(
          '',
          '   ',
          '# c',
          '  # c',
          '  -',
          '   - a: 1',
          '    - a',
          '\ta: 1',
          'a',
          '? a',
          '%YAML 1.2',
        ),
      },
    );
    // Rows as they should be, with a line from anywhere among them.
    const rows = fc
      .array(fc.array(value, { minLength: 1, maxLength: 3 }), { minLength: 1, maxLength: 3 })
      .map((list) => list.flatMap((values) => values.map((text, i) => `${i === 0 ? '  - ' : '    '}c${i}: ${text}`)));
    const disturbance = fc.option(fc.tuple(fc.nat(), line), { freq: 1 });
    let read = 0;
    fc.assert(
      fc.property(rows, disturbance, (list, other) => {
        const lines = ['users:', ...list];
        if (other) lines.splice(other[0] % (lines.length + 1), 0, other[1]);
        const text = `${lines.join('\n')}\n`;
        const content = readPlain(FILE, text);
        if (!content) return;
        read++;
        expect(content).toEqual(parsed(text));
      }),
      { numRuns: process.env.KASM_DB_STRESS ? 200_000 : 10_000 },
    );
    expect(read).toBeGreaterThan(500);
  });
});
