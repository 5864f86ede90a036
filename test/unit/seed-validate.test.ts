import { describe, expect, it } from 'vitest';
import { insertOrder } from '../../src/seed/catalog.js';
import { mergeOverlay } from '../../src/seed/document-rows.js';
import { parseSeed } from '../../src/seed/documents.js';
import { parseToken, tokensIn } from '../../src/seed/tokens.js';
import { danglingReferences, validateRows } from '../../src/seed/validate.js';
import { row, table } from '../fixtures/seed/values.js';

const ID = '00000000-0000-4000-8000-00000000000a';
const T = table('t', {
  id: 'uuid!=',
  flag: 'bool',
  small: 'int2',
  number: 'int4',
  big: 'int8',
  float: 'float8',
  name: 'varchar(5)',
  text: 'text',
  at: 'timestamp',
  day: 'date',
  time: 'time',
  json: 'jsonb',
  bytes: 'bytea',
  list: '_varchar',
  odd: 'inet',
});
const catalog = new Map([['t', T]]);
const problems = (cells: Record<string, unknown>) =>
  validateRows([row('t', cells)], catalog, () => false).then((found) => found.map(({ message }) => message));

describe('validateRows › values', () => {
  it.each<[string, unknown[]]>([
    ['id', [ID, ID.toUpperCase(), '${uuid:x}', '${uuid:x:1}', null]],
    ['flag', [true, false]],
    ['small', [-32768, 32767]],
    ['number', [0, -(2 ** 31), 2 ** 31 - 1]],
    ['big', [Number.MAX_SAFE_INTEGER]],
    ['float', [1, -0.5, 1e300]],
    ['name', ['', 'äöüßé', '🔑🔑🔑🔑🔑', '${uu']],
    ['text', ['${not a token', 'a ${uuid:x}', '${random_token:x}']],
    [
      'at',
      [
        '2024-02-29',
        '2024-01-01 23:59:59',
        '2024-01-01T00:00:00.123456Z',
        '2024-01-01 00:00:00+02:00',
        '${datetime:utcnow}',
      ],
    ],
    ['day', ['2024-12-31']],
    ['time', ['23:59', '00:00:00.5']],
    ['json', [{}, [], 'text', 1, true, { a: [null, '${uuid:x}'] }, '\\u0000 as text']],
    ['bytes', ['text', new Uint8Array([0, 255]), '${crypt:salt:1}']],
    ['list', [[], ['a', '']]],
    ['odd', ['127.0.0.1', 'whatever the server says']],
  ])('%s takes its own', async (name, values) => {
    for (const value of values) expect([value, await problems({ [name]: value })]).toEqual([value, []]);
  });

  it.each<[string, unknown, string]>([
    ['id', '68d557ac', 't.id is not a UUID'],
    ['id', 7, 't.id is not of type uuid'],
    ['flag', 'True', 't.flag is not of type bool'],
    ['small', 32768, 't.small is too large'],
    ['number', -(2 ** 31) - 1, 't.number is too small'],
    ['number', 1.5, 't.number is not a whole number'],
    ['number', '1', 't.number is not of type int4'],
    ['big', 2 ** 60, 't.big is too large'],
    ['float', Number.NaN, 't.float is not of type float8'],
    ['name', '123456', 't.name has 6 characters, more than 5'],
    ['name', 8, 't.name is not of type varchar'],
    ['name', 'a\0', 't.name holds a NUL character'],
    ['text', '\ud800', 't.text holds half of a surrogate pair'],
    ['text', '${uuid}', 't.text has an unknown token ${uuid}'],
    ['text', '${datetime:utcnow}', 't.text is of type text, which ${datetime:utcnow} does not make'],
    ['id', '${rsa:1:private}', 't.id is of type uuid, which ${rsa:1:private} does not make'],
    ['at', 'yesterday', 't.at is not a timestamp'],
    ['at', '2023-02-29', 't.at is not a day of the calendar'],
    ['at', '2024-01-01 24:30', 't.at is not a timestamp'],
    ['day', '2024-13-01', 't.day is not a day of the calendar'],
    ['time', '24:00', 't.time is not a time of day'],
    ['json', { a: 'x\0' }, 't.json holds a NUL or half a character'],
    ['json', { 'a\udfff': 1 }, 't.json holds a NUL or half a character'],
    ['json', { a: ['${nope}'] }, 't.json has an unknown token ${nope}'],
    ['json', new Uint8Array(1), 't.json is not of type jsonb'],
    ['bytes', 7, 't.bytes is not of type bytea'],
    ['list', 'a', 't.list is not of type _varchar'],
    ['list', [1], 't.list is not of type _varchar'],
    ['nope', 1, 'table "t" has no column "nope"'],
  ])('%s refuses %j', async (name, value, message) => {
    expect(await problems({ [name]: value })).toEqual([message]);
  });
});

describe('validateRows › rows', () => {
  const ZONES = table('zones', { zone_id: 'uuid!=', zone_name: 'varchar!', secret: 'varchar!' });
  const zones = new Map([['zones', ZONES]]);
  it('a required column needs a value, unless a default or a credential gives one', async () => {
    expect(
      await validateRows([row('zones', { zone_id: null }, 3)], zones, (_row, _table, name) => name === 'secret'),
    ).toEqual([{ file: 'a.yaml', line: 3, message: 'zones.zone_name is required' }]);
  });

  it('a row twice: by id, by natural key, or by all its values', async () => {
    const same = async (a: Record<string, unknown>, b: Record<string, unknown>, name = 'zones') =>
      (await validateRows([row(name, a, 1), row(name, b, 2)], new Map([...zones, ['t', T]]), () => true)).map(
        ({ line, message }) => [line, message],
      );
    expect(await same({ zone_id: ID, zone_name: 'a' }, { zone_id: ID, zone_name: 'b' })).toEqual([
      [2, 'zones: the same row stands in a.yaml:1 (same zone_id)'],
    ]);
    expect(await same({ zone_name: 'a' }, { zone_name: 'a' })).toEqual([
      [2, 'zones: the same row stands in a.yaml:1 (same zone_name)'],
    ]);
    expect(await same({ text: 'a' }, { text: 'a' }, 't')).toEqual([
      [2, 't: the same row stands in a.yaml:1 (same values)'],
    ]);
    expect(await same({ text: 'a' }, { text: 'b' }, 't')).toEqual([]);
  });
});

describe('danglingReferences', () => {
  const A = table('a', { id: 'uuid!', b: 'uuid' }, [['b', 'b', 'id']]);
  const B = table('b', { id: 'uuid!' });
  const tables = new Map([
    ['a', A],
    ['b', B],
  ]);
  const found = (value: unknown, others = [row('b', { id: ID.toUpperCase() }), row('b', { id: '${uuid:b:1}' })]) =>
    danglingReferences(
      [row('a', { b: value }, 9), ...others],
      tables,
      (name, column, text) => `${name}.${column}.${text}` === 'b.id.there',
    );
  it.each(['there', ID, '${uuid:b:1}', null])('%j leads somewhere', (value) => {
    expect(found(value)).toEqual([]);
  });
  it('an id that leads nowhere is shown, with its place; what may be secret is not', () => {
    expect(found('${uuid:b:2}')).toEqual([
      {
        file: 'a.yaml',
        line: 9,
        message: 'a.b refers to ${uuid:b:2}, and neither a document nor the database has that row of b',
      },
    ]);
    expect(found('hunter2')[0]?.message).not.toContain('hunter2');
  });
});

describe('insertOrder', () => {
  const order = (...tables: Parameters<typeof insertOrder>[0][number][]) => insertOrder(tables).map(({ name }) => name);
  const of = (name: string, required: string[], optional: string[] = []) =>
    table(
      name,
      Object.fromEntries([
        ['id', 'uuid!'],
        ...required.map((to) => [`r_${to}`, 'uuid!']),
        ...optional.map((to) => [`o_${to}`, 'uuid']),
      ]),
      [
        ...required.map((to) => [`r_${to}`, to, 'id'] as [string, string, string]),
        ...optional.map((to) => [`o_${to}`, to, 'id'] as [string, string, string]),
      ],
    );
  it('whoever is required comes first, however the circle is entered', () => {
    expect(order(of('zones', [], ['managers']), of('managers', ['zones']))).toEqual(['zones', 'managers']);
    expect(order(of('managers', ['zones']), of('zones', [], ['managers']))).toEqual(['zones', 'managers']);
  });
  it('nullable references too, where they can', () => {
    expect(order(of('a', [], ['b']), of('b', [], ['c']), of('c', []))).toEqual(['c', 'b', 'a']);
    expect(order(of('a', ['b'], ['c']), of('b', [], ['c']), of('c', []))).toEqual(['c', 'b', 'a']);
  });
  it('takes a table that refers to itself or to none of these', () => {
    expect(order(of('a', ['a'], ['a', 'elsewhere']))).toEqual(['a']);
  });
  it('gives every table once, also when some require each other', () => {
    expect(order(of('a', ['b']), of('b', ['a']), of('c', [])).sort()).toEqual(['a', 'b', 'c']);
  });
});

describe('parseToken', () => {
  it.each([
    ['${uuid:zone}', { kind: 'uuid', name: 'zone' }],
    ['${uuid:zone:1}', { kind: 'uuid', name: 'zone:1' }],
    ['${uuid:any string, really}', { kind: 'uuid', name: 'any string, really' }],
    ['${crypt:password:2}', { kind: 'crypt', name: '2' }],
    ['${crypt:salt:2}', { kind: 'crypt', name: '2' }],
    ['${rsa:1:private}', { kind: 'rsa', name: '1' }],
    ['${rsa:1:public}', { kind: 'rsa', name: '1' }],
    ['${ec:1:public}', { kind: 'ec', name: '1' }],
    ['${signing:1:certificate}', { kind: 'signing', name: '1' }],
    ['${random_token:manager_token}', { kind: 'random_token', name: 'manager_token' }],
    ['${datetime:utcnow}', { kind: 'datetime', name: 'utcnow' }],
  ])('%s', (text, token) => {
    expect(parseToken(text)).toMatchObject(token);
  });
  it.each([
    '${}',
    '${uuid}',
    '${uuid:}',
    '${crypt:1:password}',
    '${crypt:hash:1}',
    '${crypt:password}',
    '${rsa:private:1}',
    '${rsa:1:certificate}',
    '${rsa:1:private:more}',
    '${signing:1:public}',
    '${random_token}',
    '${datetime:now}',
    '${env:HOME}',
  ])('%s is none', (text) => {
    expect(parseToken(text)).toBeUndefined();
  });
  it('tokens are found inside lists and maps, not inside texts, keys or bytes', () => {
    expect(
      tokensIn({ a: ['${uuid:1}', { b: '${uuid:2}' }], '${uuid:3}': 'x ${uuid:4}', c: new Uint8Array([36, 123]) }),
    ).toEqual(['${uuid:1}', '${uuid:2}']);
  });
});

describe('mergeOverlay', () => {
  const documentOf = (file: string, body: string) => parseSeed(file, body);
  const merged = async (base: string, custom: string) =>
    mergeOverlay([await documentOf('seeds/a.yaml', base), await documentOf('x/custom_properties.yaml', custom)]).map(
      ({ table: name, cells }) => [name, Object.fromEntries([...cells].map(([key, { value }]) => [key, value]))],
    );
  it('a list replaces a list; an empty one or none does not', async () => {
    const base = 'zones: [{zone_name: a}, {zone_name: b}]\ngroups: [{name: g}]';
    expect(await merged(base, 'zones: [{zone_name: c}]')).toEqual([
      ['groups', { name: 'g' }],
      ['zones', { zone_name: 'c' }],
    ]);
    expect(await merged(base, 'zones: []\ngroups:')).toHaveLength(3);
  });
  it('settings by name and category: the values that are given, over the row that is there', async () => {
    const base =
      'settings: [{setting_id: 1, category: c, name: a, value: x, title: T}, {category: d, name: a, value: y}]';
    expect(
      await merged(base, 'settings: [{category: c, name: a, value: z}, {category: e, name: a, value: n}]'),
    ).toEqual([
      ['settings', { setting_id: 1, category: 'c', name: 'a', value: 'z', title: 'T' }],
      ['settings', { category: 'd', name: 'a', value: 'y' }],
      ['settings', { category: 'e', name: 'a', value: 'n' }],
    ]);
  });
  it('group settings: the defaults, and the custom rows', async () => {
    const base = 'group_settings: [{name: a, group_id: null}, {name: b}, {name: a, group_id: g}]';
    expect((await merged(base, 'group_settings: [{name: a, group_id: h}]')).map(([, cells]) => cells)).toEqual([
      { name: 'a', group_id: null },
      { name: 'b' },
      { name: 'a', group_id: 'h' },
    ]);
  });
  it('the place of a merged value is where it stands', async () => {
    const [merged] = mergeOverlay([
      await documentOf('a.yaml', 'settings:\n  - category: c\n    name: a\n    title: t\n'),
      await documentOf('custom_properties.yaml', 'settings:\n  - category: c\n    name: a\n\n    value: 1\n'),
    ]);
    expect([merged?.file, merged?.line, merged?.cells.get('value')?.line]).toEqual(['custom_properties.yaml', 2, 5]);
  });
});
