import { describe, expect, it } from 'vitest';
import type { Table } from '../../src/seed/catalog.js';
import { planWrites } from '../../src/seed/plan-writes.js';
import { fingerprint, type SeedRecord } from '../../src/seed/records.js';
import type { ResolvedRow } from '../../src/seed/resolve-rows.js';
import { docKeyOf, rowKeyOf, type Texts } from '../../src/seed/row-keys.js';
import { column, recorded, resolved, row, table } from '../fixtures/seed/values.js';

const ZONES = table(
  'zones',
  { zone_id: 'uuid!', zone_name: 'varchar!', proxy_port: 'int4', primary_manager_id: 'uuid' },
  [['primary_manager_id', 'managers', 'manager_id']],
);
const MANAGERS = table('managers', { manager_id: 'uuid!', zone_id: 'uuid!', manager_hostname: 'varchar' }, [
  ['zone_id', 'zones', 'zone_id'],
]);
const PAIRS = table('user_server_assignments', { user_id: 'uuid!', note: 'varchar' }, [], []);

function run(
  rows: [ResolvedRow, Texts][],
  database: { records?: SeedRecord[]; current?: Record<string, Texts[]>; adopting?: boolean } = {},
) {
  const tables: Record<string, Table> = { zones: ZONES, managers: MANAGERS, user_server_assignments: PAIRS };
  const current = new Map(
    Object.entries(database.current ?? {}).map(([name, list]) => [
      name,
      new Map(list.map((texts) => [rowKeyOf(tables[name] as Table, texts), texts])),
    ]),
  );
  return planWrites(
    rows.map(([first]) => first),
    new Map(rows),
    { records: database.records ?? [], current, adopting: database.adopting ?? false },
  );
}

describe('planWrites › a row that nobody knows', () => {
  it('is inserted, and remembered with the fingerprint of every value', async () => {
    const result = await run([resolved(ZONES, { zone_id: 'z1', zone_name: 'one' })]);
    expect(result.writes).toEqual([{ kind: 'insert', table: 'zones', values: { zone_id: 'z1', zone_name: 'one' } }]);
    expect(result.counts).toEqual({ inserted: 1, updated: 0, unchanged: 0, kept: 0 });
    const [entry] = result.records as [SeedRecord];
    expect(entry).toMatchObject({ table: 'zones', rowKey: 'z1', docKey: '["one"]' });
    expect(entry.columns.zone_name?.print).toBe(fingerprint(entry.salt, 'one'));
  });

  it('is matched by its id, then by its natural key; only equal values count as written by a seed', async () => {
    const current = { zones: [{ zone_id: 'theirs', zone_name: 'one', proxy_port: '8443' }] };
    const result = await run([resolved(ZONES, { zone_id: 'z1', zone_name: 'one', proxy_port: '443' })], { current });
    expect(result.writes).toEqual([]);
    expect(result.counts.kept).toBe(1);
    const [entry] = result.records as [SeedRecord];
    expect(entry.rowKey).toBe('theirs');
    expect(entry.columns.proxy_port?.print).toBeNull();
    expect(entry.columns.zone_name?.print).toBe(fingerprint(entry.salt, 'one'));
  });

  it('is not inserted into an adopted database, and never will be', async () => {
    const result = await run([resolved(ZONES, { zone_id: 'z1', zone_name: 'one' })], { adopting: true });
    expect(result.writes).toEqual([]);
    const again = await run([resolved(ZONES, { zone_id: 'z2', zone_name: 'one' })], { records: result.records });
    expect([again.writes, again.counts.kept]).toEqual([[], 1]);
  });
});

describe('planWrites › a remembered row', () => {
  const before = { zone_id: 'z1', zone_name: 'one', proxy_port: '443' };
  const known = recorded(ZONES, 'z1', '["one"]', before);

  it.each<[string, Texts, Texts, Record<string, unknown> | undefined, string]>([
    ['as it was', before, before, undefined, 'unchanged'],
    ['new in the documents', before, { ...before, proxy_port: '8443' }, { proxy_port: '8443' }, 'updated'],
    [
      'new in the documents and in the database',
      { ...before, proxy_port: '1' },
      { ...before, proxy_port: '8443' },
      undefined,
      'kept',
    ],
    ['new in the database', { ...before, proxy_port: '1' }, before, undefined, 'kept'],
    [
      'changed by someone to what the documents now say',
      { ...before, proxy_port: '8443' },
      { ...before, proxy_port: '8443' },
      undefined,
      'unchanged',
    ],
    ['emptied by someone', { ...before, proxy_port: null }, before, undefined, 'kept'],
    ['emptied by the documents', before, { ...before, proxy_port: null }, { proxy_port: null }, 'updated'],
    ['renamed by someone', { ...before, zone_name: 'mine' }, before, undefined, 'kept'],
  ])('%s', async (_, now, wanted, changes, kind) => {
    const result = await run([resolved(ZONES, wanted)], { records: [known], current: { zones: [now] } });
    const update = { kind: 'update', table: 'zones', rowKey: 'z1', before: { proxy_port: '443' }, values: changes };
    expect(result.writes).toEqual(changes ? [update] : []);
    expect(result.counts).toEqual({ inserted: 0, updated: 0, unchanged: 0, kept: 0, [kind]: 1 });
  });

  it('is remembered anew where it was updated, so that the next documents update it again', async () => {
    const next = { ...before, proxy_port: '8443' };
    const { records } = await run([resolved(ZONES, next)], { records: [known], current: { zones: [before] } });
    const result = await run([resolved(ZONES, { ...next, proxy_port: '9000' })], {
      records,
      current: { zones: [next] },
    });
    expect(result.writes[0]?.values).toEqual({ proxy_port: '9000' });
  });

  it('that was deleted stays away, with what needs it; what does not, does without', async () => {
    const zone = resolved(ZONES, { zone_id: 'z1', zone_name: 'one' });
    const manager = resolved(MANAGERS, { manager_id: 'm1', zone_id: 'z1' });
    const result = await run([zone, manager], { records: [known] });
    expect(result.writes).toEqual([]);
    expect(result.counts.kept).toBe(2);
    const gone = recorded(MANAGERS, 'm1', '["m1"]', { manager_id: 'm1' });
    const led = resolved(ZONES, { zone_id: 'z2', zone_name: 'two', primary_manager_id: 'm1' });
    const without = await run([led, resolved(MANAGERS, { manager_id: 'm1', zone_id: 'z2' })], { records: [gone] });
    expect(without.writes).toEqual([{ kind: 'insert', table: 'zones', values: { zone_id: 'z2', zone_name: 'two' } }]);
  });

  it('is known by the token of its id when its name is new, and by its id where an export has one', async () => {
    const token = '${uuid:z:1}';
    const entry = recorded(ZONES, 'z1', '["one"]', before, { zone_id: token });
    const renamed = resolved(ZONES, { ...before, zone_name: 'uno' }, { ...before, zone_id: token, zone_name: 'uno' });
    const database = { records: [entry], current: { zones: [before] } };
    expect((await run([renamed], database)).writes).toEqual([
      { kind: 'update', table: 'zones', rowKey: 'z1', before: { zone_name: 'one' }, values: { zone_name: 'uno' } },
    ]);
    const exported = resolved(ZONES, { ...before, zone_name: 'uno' });
    expect((await run([exported], database)).counts.updated).toBe(1);
  });

  it('keeps its keys, what credentials fill and what tokens made', async () => {
    const made = resolved(
      ZONES,
      { ...before, zone_name: 'x', proxy_port: '1' },
      { ...before, zone_name: '${random_token:x}' },
    );
    made[0].credentialColumns.add('proxy_port');
    made[0].docKey = '["one"]';
    const result = await run([made], { records: [known], current: { zones: [before] } });
    expect(result.counts.unchanged).toBe(1);
  });
});

describe('planWrites › references', () => {
  it('follow rows to the ids that they have, also forward in a circle', async () => {
    const rows = [
      resolved(MANAGERS, { manager_id: 'm1', zone_id: 'made' }),
      resolved(ZONES, { zone_id: 'made', zone_name: 'one' }),
    ];
    const result = await run(rows, { current: { zones: [{ zone_id: 'theirs', zone_name: 'one' }] } });
    expect(result.writes).toEqual([
      { kind: 'insert', table: 'managers', values: { manager_id: 'm1', zone_id: 'theirs' } },
    ]);
  });

  it('that point forward are made when all rows are there', async () => {
    const result = await run([
      resolved(ZONES, { zone_id: 'z1', zone_name: 'one', primary_manager_id: 'm1' }),
      resolved(MANAGERS, { manager_id: 'm1', zone_id: 'z1' }),
    ]);
    expect(result.writes.map(({ table: name, values }) => [name, values])).toEqual([
      ['zones', { zone_id: 'z1', zone_name: 'one' }],
      ['managers', { manager_id: 'm1', zone_id: 'z1' }],
    ]);
    expect(result.deferredUpdates).toEqual([
      { kind: 'update', table: 'zones', rowKey: 'z1', values: { primary_manager_id: 'm1' } },
    ]);
  });

  it('are compared: led elsewhere by the documents, they are updated', async () => {
    const token = '${uuid:z:2}';
    const known = recorded(MANAGERS, 'm1', '["m1"]', { manager_id: 'm1', zone_id: 'z1' }, { zone_id: '${uuid:z:1}' });
    const result = await run(
      [resolved(MANAGERS, { manager_id: 'm1', zone_id: 'z2' }, { manager_id: 'm1', zone_id: token })],
      {
        records: [known],
        current: { managers: [{ manager_id: 'm1', zone_id: 'z1' }] },
      },
    );
    expect(result.writes).toEqual([
      { kind: 'update', table: 'managers', rowKey: 'm1', before: { zone_id: 'z1' }, values: { zone_id: 'z2' } },
    ]);
    expect(result.records[0]?.columns.zone_id?.token).toBe(token);
  });

  it('tables that require each other are a problem with its place', async () => {
    const required = { ...ZONES, columns: new Map(ZONES.columns) };
    required.columns.set('primary_manager_id', column('primary_manager_id', 'uuid!'));
    const result = await run([
      resolved(required, { zone_id: 'z1', zone_name: 'one', primary_manager_id: 'm1' }),
      resolved(MANAGERS, { manager_id: 'm1', zone_id: 'z1' }),
    ]);
    expect(result.problems).toEqual([{ file: 'a.yaml', line: 1, message: 'zones and managers require each other' }]);
  });
});

describe('planWrites › rows that are one', () => {
  it("two documents' rows for one row of the database are a problem", async () => {
    const result = await run(
      [resolved(ZONES, { zone_id: 'z1', zone_name: 'other' }), resolved(ZONES, { zone_id: 'z2', zone_name: 'one' })],
      { current: { zones: [{ zone_id: 'z1', zone_name: 'one' }] } },
    );
    expect(result.problems.map(({ message }) => message)).toEqual([
      'zones: this is the same row of the database as a.yaml:1',
    ]);
  });

  it('rows without any name are told apart', async () => {
    const groups = table('groups', { group_id: 'uuid!', name: 'varchar' });
    const result = await run([
      resolved(groups, { group_id: 'g1', name: null }),
      resolved(groups, { group_id: 'g2', name: null }),
    ]);
    expect([result.problems, result.counts.inserted]).toEqual([[], 2]);
  });
});

describe('keys', () => {
  it('the name of a row in the documents: natural key, else id, else all it says', async () => {
    expect(docKeyOf(row('zones', { zone_id: '${uuid:z:1}', zone_name: 'one' }), ZONES)).toBe('["one"]');
    expect(docKeyOf(row('managers', { manager_id: '${uuid:m:1}' }), MANAGERS)).toBe('["${uuid:m:1}"]');
    const [a, b, c] = [{ user_id: 'u' }, { user_id: 'u', note: null }, { user_id: 'u', note: 'secret' }].map((cells) =>
      docKeyOf(row('user_server_assignments', cells), PAIRS),
    );
    expect(a).toBe(b);
    expect(a).not.toBe(c);
    // A table without a key keeps its values to itself.
    expect(c).toMatch(/^[0-9a-f]{64}$/);
  });

  it('the key of a row in the database', async () => {
    const texts = { a: 'x', b: 'y' };
    const of = (primaryKey: string[]) => ({ ...table('t', { a: 'text', b: 'text' }), primaryKey });
    expect(rowKeyOf(of(['a']), texts)).toBe('x');
    expect(rowKeyOf(of(['none']), texts)).toBe('');
    expect(rowKeyOf(of(['a', 'b']), texts)).toBe('["x","y"]');
    expect(rowKeyOf(of([]), texts)).toMatch(/^[0-9a-f]{64}$/);
  });
});
