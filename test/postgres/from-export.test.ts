import { copyFileSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { EMPTY_SCHEMA } from '../../src/schema/model.js';
import { check, migrate, shippedAnd } from '../fixtures/kasm/observe.js';
import { introspected } from '../fixtures/schema/introspected.js';
import { nextRelease } from '../fixtures/schema/next-release.js';
import { newSecrets, seeded } from '../fixtures/seed/seeding.js';
import { cli, folder } from '../support/cli.js';
import { createDatabase } from '../support/database.js';
import { EXPORT, KASM, NEXT_NUMBER } from '../support/release.js';

const SNAPSHOT = join(import.meta.dirname, '../../migrations/schema.snapshot.json');

function withSnapshot(): string {
  const dir = shippedAnd({});
  copyFileSync(SNAPSHOT, join(dir, 'schema.snapshot.json'));
  return dir;
}

describe(`new --from-export › from ${KASM} to a later release`, () => {
  it('5 tables, 30 columns, 4 types, 2 columns less, keys in a circle: applies to a seeded database; verify --against passes', async () => {
    const db = await createDatabase();
    const dir = withSnapshot();
    expect((await migrate(db, dir)).json().error).toBeUndefined();
    expect((await seeded(db, { secrets: newSecrets() })).counts.inserted).toBeGreaterThan(100);
    const { yaml, added, retyped, removed } = nextRelease();
    expect([added.length, retyped.length, removed.length]).toEqual([30, 4, 2]);
    const file = join(folder({ 'next.yaml': yaml }), 'next.yaml');
    const run = await cli(['new', 'Next release', '--from-export', file, '--migrations', dir]);
    expect(run.code, run.stderr).toBe(0);
    const up = readFileSync(join(dir, `${NEXT_NUMBER}_next_release.sql`), 'utf8');
    const down = readFileSync(join(dir, `${NEXT_NUMBER}_next_release.down.sql`), 'utf8');
    expect(up.match(/^CREATE TABLE /gm)).toHaveLength(5);
    expect(up.match(/^ALTER TABLE .* ADD COLUMN /gm)).toHaveLength(30);
    expect(up.match(/^ALTER TABLE .* TYPE /gm)).toHaveLength(4);
    expect(up.match(/^-- ALTER TABLE .* DROP COLUMN /gm)).toHaveLength(2);
    expect(up).not.toMatch(/^(DROP|ALTER TABLE .* DROP COLUMN)/m);
    expect((await cli(['lint', join(dir, '0020_next_release.sql')])).stdout).toMatch(/^No finding/);

    const before = await introspected(db);
    const applied = await migrate(db, dir);
    expect(applied.json(), up).toMatchObject({ exitCode: 0, current: `${NEXT_NUMBER}_next_release` });
    expect((await check(db, dir)).code).toBe(0);
    const verified = (await cli(['verify', '--json', '--against', file], db.env)).json();
    expect(verified).toMatchObject({ exitCode: 0, differences: [] });
    expect(verified.warnings).toEqual(
      [...removed].sort().map((column) => expect.stringContaining(`column public.${column}`)),
    );
    expect((await cli(['verify', '--json', '--against', EXPORT], db.env)).json().exitCode, 'not the old one').toBe(6);
    expect(await db.query('SELECT version_num FROM alembic_version')).toEqual([{ version_num: 'aa00bb11cc22' }]);

    // The way back: the same catalog, but for what the seed's rows have got.
    await db.query(`BEGIN; ${down} COMMIT`);
    expect(await introspected(db)).toEqual(before);

    // Whoever decides to drop what disappeared takes the comments away.
    await db.query(`BEGIN; ${up.replace(/^-- (ALTER TABLE .* DROP COLUMN .*;)$/gm, '$1')} COMMIT`);
    const dropped = (await cli(['verify', '--json', '--against', file], db.env)).json();
    expect(dropped).toMatchObject({ exitCode: 0, differences: [] });
    expect(dropped.warnings).toBeUndefined();
  });

  it('a stale snapshot, none, and nothing to do: exit 2, nothing is written', async () => {
    const dir = withSnapshot();
    const listed = readdirSync(dir).length;
    const same = await cli(['new', 'same', '--json', '--from-export', EXPORT, '--migrations', dir]);
    expect(same.json()).toMatchObject({ exitCode: 2, error: { message: expect.stringContaining('lists nothing') } });
    writeFileSync(join(dir, `${NEXT_NUMBER}_more.sql`), 'SELECT 1;');
    const stale = await cli(['new', 'x', '--json', '--from-export', EXPORT, '--migrations', dir]);
    expect(stale.json()).toMatchObject({ exitCode: 2, error: { hint: expect.stringContaining('kasm-db capture') } });
    expect(readdirSync(dir)).toHaveLength(listed + 1);
  });
});

describe('new --from-export --rename › columns with a new name', () => {
  const table = (columns: string) =>
    `S alembic_version %\nT images\n  image_id UUID\n${columns}T picks\n  pick_id UUID\n`;
  const OLD = table(
    '  memory BIGINT!\n  uncompressed_size_mb INTEGER\n  friendly VARCHAR(50)\n  hash UUID\n  zone JSON\n',
  ).replace('%', 'old');
  const NEW = table(
    '  memory_bytes BIGINT!\n  uncompressed_size_bytes BIGINT\n  friendly_name VARCHAR\n  hash JSONB\n  zone INTEGER\n',
  ).replace('%', 'new');
  const RENAMES = [
    '--rename',
    'images.memory=memory_bytes',
    '--rename',
    'images.uncompressed_size_mb=uncompressed_size_bytes,images.friendly=friendly_name',
  ];

  /** A database that the old export made, with a row, and its folder with a snapshot. */
  async function old() {
    const dir = folder({});
    const files = folder({ 'old.txt': OLD, 'new.txt': NEW });
    const made = await cli(['new', 'old', '--from-export', join(files, 'old.txt'), '--migrations', dir]);
    expect(made.code, made.stderr).toBe(0);
    const db = await createDatabase();
    expect((await migrate(db, dir)).json().error).toBeUndefined();
    const snapshot = join(dir, 'schema.snapshot.json');
    expect((await cli(['capture', '--out', snapshot, '--migrations', dir], db.env)).code).toBe(0);
    await db.query(`INSERT INTO images (memory, uncompressed_size_mb, friendly) VALUES (2147483648, 3, 'Desktop')`);
    return { db, dir, file: join(files, 'new.txt') };
  }

  it('values stay, verify --against passes, and the way back brings them back', async () => {
    const { db, dir, file } = await old();
    const run = await cli(['new', 'next', '--from-export', file, ...RENAMES, '--migrations', dir]);
    expect(run.code, run.stderr).toBe(0);
    const up = readFileSync(join(dir, '0002_next.sql'), 'utf8');
    expect(up, 'pods that know the old names wait').toMatch(/^-- kasm-db: min-compatible 0002$/m);
    expect(up).toMatch(/^-- UPDATE images SET uncompressed_size_bytes = uncompressed_size_bytes \* 1048576 /m);
    expect(up).toMatch(/^-- ALTER TABLE images ALTER COLUMN zone TYPE integer USING \(… zone …\);/m);
    expect(up, 'what has no conversion').not.toMatch(/^ALTER TABLE images ALTER COLUMN (zone|hash)/m);
    expect((await cli(['lint', join(dir, '0002_next.sql')])).stdout).toMatch(/^No finding/);
    const filled = up
      .replace(/^-- (ALTER TABLE .*) USING \(… (\w+) …\);$/gm, (_, alter: string) => `${alter} USING NULL;`)
      .replace(/^-- (UPDATE images)/m, '$1');
    writeFileSync(join(dir, '0002_next.sql'), filled);
    expect((await migrate(db, dir)).json().error, filled).toBeUndefined();
    expect(await db.query('SELECT memory_bytes, uncompressed_size_bytes, friendly_name FROM images')).toEqual([
      { memory_bytes: '2147483648', uncompressed_size_bytes: String(3 * 1024 ** 2), friendly_name: 'Desktop' },
    ]);
    expect((await cli(['verify', '--json', '--against', file], db.env)).json()).toMatchObject({
      exitCode: 0,
      differences: [],
    });
    await db.query(`BEGIN; ${readFileSync(join(dir, '0002_next.down.sql'), 'utf8')} COMMIT`);
    expect(await db.query('SELECT memory, friendly FROM images')).toEqual([
      { memory: '2147483648', friendly: 'Desktop' },
    ]);
  });

  it('what looks like a rename is said, and stands in comments with the flag to use', async () => {
    const { dir, file } = await old();
    const run = (await cli(['new', 'next', '--json', '--from-export', file, '--migrations', dir])).json();
    expect(run.warnings).toEqual(
      expect.arrayContaining([expect.stringContaining('--rename images.memory=memory_bytes keeps its values')]),
    );
    const up = readFileSync(join(dir, '0002_next.sql'), 'utf8');
    expect(up).toMatch(/^-- .*--rename images\.uncompressed_size_mb=uncompressed_size_bytes/m);
    expect(up).toMatch(/^-- ALTER TABLE images RENAME COLUMN friendly TO friendly_name;$/m);
  });

  it('a table with a new name is said, and the statement that keeps its rows stands in comments', async () => {
    const dir = folder({ '0001_old.sql': 'SELECT 1;', 'schema.snapshot.json': SCHEMA_OF_OLD });
    const file = join(
      folder({ 'new.txt': 'T pictures\nimage_id UUID\nmemory BIGINT\nfriendly TEXT\nowner UUID\n' }),
      'new.txt',
    );
    const call = ['new', 'next', '--json', '--from-export', file, '--migrations', dir];
    expect((await cli([...call, '--rename', 'images=pictures'])).json().error?.hint).toContain(
      'ALTER TABLE images RENAME TO pictures;',
    );
    expect((await cli(call)).json().warnings).toContainEqual(
      'table images looks renamed to pictures: the file says how its rows are kept',
    );
    expect(readFileSync(join(dir, '0002_next.sql'), 'utf8')).toMatch(/^-- ALTER TABLE images RENAME TO pictures;$/m);
  });

  it.each([
    ['no table', 'picture.a=b', 'the newest snapshot has no table picture'],
    ['no such column', 'images.cpu=memory_bytes', 'table images has no column cpu'],
    ['no such new column', 'images.memory=ram', 'lists no column ram of images'],
    ['one that stays', 'images.hash=memory_bytes', 'still lists images.hash'],
    ['one that is there', 'images.memory=hash', 'has a column hash already'],
    [
      'two to one',
      'images.memory=memory_bytes,images.friendly=memory_bytes',
      'two columns would become images.memory_bytes',
    ],
    ['one to two', 'images.memory=memory_bytes,images.memory=friendly_name', 'images.memory would get two names'],
    ['another form', 'images.memory', 'is not of the form TABLE.OLD=NEW'],
    ['a table', 'images=pictures', 'is not of the form TABLE.OLD=NEW'],
    [
      'a name that is passed on',
      'images.memory=hash,images.hash=memory_bytes',
      'the name of images.memory or of images.hash goes from one column to another',
    ],
  ])('%s: exit 2, and nothing is written', async (_, rename, message) => {
    const dir = folder({ '0001_old.sql': 'SELECT 1;', 'schema.snapshot.json': SCHEMA_OF_OLD });
    const file = join(folder({ 'new.txt': NEW }), 'new.txt');
    const run = await cli(['new', 'next', '--json', '--from-export', file, '--rename', rename, '--migrations', dir]);
    expect(run.json()).toMatchObject({ exitCode: 2, error: { message: expect.stringContaining(message) } });
    expect(readdirSync(dir)).toHaveLength(2);
  });
});

const column = (name: string, type = 'bigint') => ({ name, type, notNull: false });
/** What the bad calls are held against: as little as it takes. */
const SCHEMA_OF_OLD = JSON.stringify({
  format: 1,
  migration: '0001_old',
  schema: {
    ...EMPTY_SCHEMA,
    tables: [
      {
        ...{
          schema: 'public',
          name: 'images',
          kind: 'table',
          constraints: [],
          indexes: [],
          triggers: [],
          policies: [],
          attachments: [],
        },
        columns: [column('image_id', 'uuid'), column('memory'), column('friendly', 'text'), column('hash', 'uuid')],
      },
    ],
  },
});

describe('new --from-export › from nothing', () => {
  it("the 1.19.0 export gives a schema that verify --against accepts, and that kasm-db's own migrations agree with", async () => {
    const db = await createDatabase();
    const dir = folder({});
    expect((await cli(['new', 'kasm', '--from-export', EXPORT, '--migrations', dir])).code).toBe(0);
    const run = await migrate(db, dir);
    expect(run.json()).toMatchObject({ exitCode: 0, current: '0001_kasm' });
    expect((await cli(['verify', '--json', '--against', EXPORT], db.env)).json()).toMatchObject({
      exitCode: 0,
      differences: [],
    });
    await db.query(`BEGIN; ${readFileSync(join(dir, '0001_kasm.down.sql'), 'utf8')} COMMIT`);
    expect((await introspected(db)).tables).toEqual([]);
  });
});

describe('verify --against › Kasm’s own migrations', () => {
  it('agree with the export in both forms; each kind of drift is told', async () => {
    const db = await createDatabase();
    await migrate(db);
    expect((await cli(['verify', '--json', '--against', EXPORT], db.env)).json()).toMatchObject({
      exitCode: 0,
      differences: [],
    });
    await db.query(`ALTER TABLE users ALTER username TYPE text; ALTER TABLE zones DROP zone_name; DROP TABLE used_refresh_tokens;
      ALTER TABLE user_groups DROP CONSTRAINT user_groups_user_id_fkey; ALTER TABLE api_configs ALTER name DROP NOT NULL;
      UPDATE alembic_version SET version_num = 'other'`);
    const { differences = [], exitCode } = (await cli(['verify', '--json', '--against', EXPORT], db.env)).json();
    expect(exitCode).toBe(6);
    const told = differences.map(({ change, object, property = '' }) => `${change} ${object} ${property}`.trim());
    expect(told).toEqual(
      expect.arrayContaining([
        'changed alembic_version version_num',
        'missing table public.used_refresh_tokens',
        'changed column public.users.username type',
        'missing column public.zones.zone_name',
        'changed column public.user_groups.user_id foreign_key',
        'changed column public.api_configs.name required',
      ]),
    );
    expect(told).toHaveLength(6);
  });

  it.each([
    ['not YAML', 'a: [', 'not YAML'],
    ['a list', '- a', 'map of tables'],
    ['an unknown type', 'users:\n  a: {type: WORM, required: false}\n', 'e.yaml:2: users.a: unknown type "WORM"'],
    ['a reference to nothing', 'users:\n  a: {type: UUID, required: false, foreign_key: users.b}\n', 'is not there'],
    ['no table', 'alembic_version: x\n', 'no table'],
    ['a column before a table', 'S a b\nuser_id UUID\n', 'before the first table'],
  ])('%s: exit 2, with file and line', async (_, text, message) => {
    const file = join(folder({ 'e.yaml': text }), 'e.yaml');
    const run = await cli(['new', 'a', '--json', '--from-export', file, '--migrations', folder({})]);
    expect(run.json()).toMatchObject({ exitCode: 2, error: { message: expect.stringContaining(message) } });
  });
});
