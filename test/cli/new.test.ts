import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { migrate } from '../fixtures/kasm/observe.js';
import { cli, folder } from '../support/cli.js';
import { createDatabase } from '../support/database.js';

const one = { '0001_a.sql': 'SELECT 1;', '0001_a.down.sql': 'SELECT 1;' };
const SHIPPED = join(import.meta.dirname, '../../migrations');
const read = (...path: string[]) => readFileSync(join(...path), 'utf8');

describe('new › creates the next pair', () => {
  it('numbered after the newest, with a comment to fill in', async () => {
    const dir = folder({ ...one, '0012_b.sql': 'SELECT 1;' });
    const run = await cli(['new', 'add_users_locale', '--migrations', dir]);
    const up = join(dir, '0013_add_users_locale.sql');
    const down = join(dir, '0013_add_users_locale.down.sql');
    expect(run).toMatchObject({ code: 0, stdout: `Created ${up}\n        ${down}\n`, stderr: '' });
    expect(read(up)).toMatch(/^-- What add_users_locale does/);
    expect(read(down)).toBe('-- Undoes 0013_add_users_locale.sql.\n');
  });

  it('0001 in an empty folder, and makes the folder', async () => {
    const dir = join(folder({}), 'db', 'migrations');
    expect((await cli(['new', 'first', '--migrations', dir])).code).toBe(0);
    expect(readdirSync(dir).sort()).toEqual(['0001_first.down.sql', '0001_first.sql']);
  });

  it('in ./migrations when no folder is named', async () => {
    const cwd = folder({});
    expect((await cli(['new', 'first'], {}, { cwd })).code).toBe(0);
    expect(readdirSync(join(cwd, 'migrations'))).toContain('0001_first.sql');
  });

  it('one after another', async () => {
    const dir = folder(one);
    for (const name of ['b', 'c']) expect((await cli(['new', name, '--migrations', dir])).code).toBe(0);
    expect(
      readdirSync(dir)
        .filter((file) => !file.includes('down'))
        .sort(),
    ).toEqual(['0001_a.sql', '0002_b.sql', '0003_c.sql']);
  });

  it.each([
    ['Add users locale', 'add_users_locale'],
    ['add-users--locale', 'add_users_locale'],
    ['  ADD  ', 'add'],
    ['2fa', '2fa'],
    ['x'.repeat(60), 'x'.repeat(60)],
  ])('%j becomes %s', async (name, slug) => {
    const dir = folder({});
    expect((await cli(['new', name, '--migrations', dir])).code).toBe(0);
    expect(readdirSync(dir)).toContain(`0001_${slug}.sql`);
  });

  it('needs no database and no settings, and --json says no more than that it went well', async () => {
    const run = await cli(['new', 'a', '--json', '--migrations', folder(one)], { POSTGRES_PORT: 'nonsense' });
    expect(run.json()).toEqual({
      command: 'new',
      outcome: 'ok',
      exitCode: 0,
      version: expect.any(String),
      durationMs: expect.any(Number),
    });
  });
});

describe('new --copy-shipped › the author outside of a clone', () => {
  it('copies what ships with its snapshot: a database that has the shipped ones takes the next one, and goes back', async () => {
    const db = await createDatabase();
    await migrate(db);
    const cwd = folder({});
    const env = { ...db.env, KASM_DB_MIGRATIONS: 'mine' };
    const run = await cli(['new', 'locale', '--copy-shipped'], env, { cwd });
    expect(run).toMatchObject({ code: 0, stderr: '' });
    expect(run.stdout).toMatch(
      /^Copied \d+ migrations that ship with kasm-db into mine\nCreated mine\/\d{4}_locale\.sql\n/,
    );
    const shipped = readdirSync(SHIPPED);
    const copied = readdirSync(join(cwd, 'mine'));
    expect(copied.filter((file) => !file.includes('_locale.')).sort()).toEqual(shipped.sort());
    for (const file of shipped) expect(read(cwd, 'mine', file).trim(), file).toBe(read(SHIPPED, file).trim());
    const name = copied.find((file) => file.endsWith('_locale.sql')) as string;
    writeFileSync(join(cwd, 'mine', name), 'ALTER TABLE users ADD COLUMN locale varchar(16);\n');
    const applied = (await cli(['migrate', '--json'], env, { cwd })).json();
    expect(applied).toMatchObject({ exitCode: 0, applied: [{ name: name.replace('.sql', '') }] });
    expect((await cli(['check'], env, { cwd })).code).toBe(0);
    expect((await cli(['check'], db.env)).code, 'for the pods of the build itself').toBe(0);
  });

  it('never over migrations, nor over a file of theirs', async () => {
    const dir = folder(one);
    const run = await cli(['new', 'b', '--copy-shipped', '--json', '--migrations', dir]);
    expect(run.json()).toMatchObject({
      exitCode: 2,
      error: { message: expect.stringContaining('has migrations already') },
    });
    expect(readdirSync(dir)).toHaveLength(2);
    const taken = folder({ 'schema.snapshot.json': 'mine' });
    const refused = await cli(['new', 'b', '--copy-shipped', '--json', '--migrations', taken]);
    expect(refused.json()).toMatchObject({ exitCode: 2, error: { file: join(taken, 'schema.snapshot.json') } });
    expect(readdirSync(taken)).toEqual(['schema.snapshot.json']);
    expect(read(taken, 'schema.snapshot.json')).toBe('mine');
  });

  it('in an empty folder without it: says that this is a set of its own, and how to begin with a copy', async () => {
    const dir = join(folder({}), "it's mine");
    const run = await cli(['new', 'first', '--migrations', dir]);
    expect(run.code).toBe(0);
    expect(run.stderr).toContain('this begins a set of its own');
    expect(run.stderr).toContain(`kasm-db new NAME --copy-shipped --migrations '${dir.replace("'", "'\\''")}'`);
  });

  it('a folder that holds none of the applied migrations: three lines, and no call of repair', async () => {
    const db = await createDatabase();
    await migrate(db);
    const dir = folder(one);
    for (const call of [['migrate'], ['check'], ['plan'], ['verify'], ['seed'], ['rollback', '--steps', '1']]) {
      const run = await cli([...call, '--migrations', dir], db.env);
      expect(run, call[0]).toMatchObject({ code: 6, stdout: '' });
      expect(run.stderr.trim().split('\n').slice(-3), call[0]).toEqual([
        expect.stringMatching(/^integrity: wrong folder\? The database has \d+ migrations/),
        expect.stringMatching(/^next: name the folder that has them with --migrations/),
        'exit code 6 (integrity)',
      ]);
      expect(run.stderr).not.toContain('repair');
    }
    for (const call of ['status', 'repair']) {
      const run = await cli([call, '--migrations', dir], db.env);
      expect(run.stdout, call).toContain('wrong folder?');
      expect(run.stdout, call).not.toContain('--pending');
    }
  });
});

describe('new › what it creates can be migrated', () => {
  it('as it is, with and without --no-transaction, and when it is filled in', async () => {
    const db = await createDatabase();
    const dir = folder({});
    await cli(['new', 'plain', '--migrations', dir]);
    await cli(['new', 'index', '--no-transaction', '--migrations', dir]);
    await cli(['new', 'filled', '--no-transaction', '--migrations', dir]);
    expect(read(dir, '0001_plain.sql')).not.toContain('kasm-db:');
    expect(read(dir, '0002_index.sql')).toMatch(/^-- kasm-db: no-transaction\n-- What index does/);
    const filled = join(dir, '0003_filled.sql');
    writeFileSync(filled, `${read(filled)}CREATE TABLE a (id int);\nCREATE INDEX CONCURRENTLY kasm_db_a ON a (id);\n`);
    const run = await cli(['migrate', '--json', '--migrations', dir], db.env);
    expect(run.json()).toMatchObject({
      outcome: 'ok',
      applied: [{ name: '0001_plain' }, { name: '0002_index' }, { name: '0003_filled' }],
    });
    expect((await cli(['check', '--migrations', dir], db.env)).code).toBe(0);
    expect(await db.query("SELECT indisvalid FROM pg_index WHERE indexrelid = 'kasm_db_a'::regclass")).toEqual([
      { indisvalid: true },
    ]);
  });
});

describe('new › is refused', () => {
  it.each([
    '',
    '  ',
    '?',
    '../escape',
    'a/b',
    'größe',
    'a.b',
    '_a',
    'a;b',
    'x'.repeat(61),
    'a\nb?',
  ])('the name %j', async (name) => {
    const dir = folder({});
    const run = await cli(['new', name, '--json', '--migrations', dir]);
    expect(run.json()).toMatchObject({
      outcome: 'usage',
      error: {
        message: `"${name}" does not fit as a migration's name`,
        hint: expect.stringContaining('add_users_locale'),
      },
    });
    expect(readdirSync(dir)).toEqual([]);
  });

  it('when the folder holds something that is no migration, which it would number wrongly', async () => {
    const dir = folder({ ...one, '2_b.sql': 'SELECT 1;' });
    const run = await cli(['new', 'c', '--json', '--migrations', dir]);
    expect(run.json()).toMatchObject({ outcome: 'usage', error: { file: join(dir, '2_b.sql') } });
    expect(readdirSync(dir)).toHaveLength(3);
  });

  it('when the last number is used', async () => {
    const run = await cli(['new', 'a', '--json', '--migrations', folder({ '9999_z.sql': 'SELECT 1;' })]);
    expect(run.json()).toMatchObject({
      outcome: 'usage',
      error: { message: expect.stringMatching(/has used its last number, 9999/) },
    });
  });

  it('when it cannot write there', async () => {
    const dir = join(folder({ file: '' }), 'file');
    const run = await cli(['new', 'a', '--json', '--migrations', dir]);
    expect(run.json()).toMatchObject({
      outcome: 'usage',
      error: { message: expect.stringMatching(/file is a file, not a folder/) },
    });
  });
});

describe('new › never overwrites', () => {
  it('a file of another that was made at the same moment', async () => {
    const dir = folder(one);
    const runs = await Promise.all(
      Array.from({ length: 6 }, () => cli(['new', 'same', '--json', '--migrations', dir])),
    );
    const files = readdirSync(dir).filter((file) => file.endsWith('_same.sql'));
    expect(runs.filter((run) => run.code === 0)).toHaveLength(files.length);
    for (const run of runs.filter(({ code }) => code !== 0)) expect(run.json().outcome).toBe('usage');
    for (const file of files) expect(read(dir, file)).toBe(`-- What same does, and why.\n`);
    for (const [file, text] of Object.entries(one)) expect(read(dir, file)).toBe(text);
  });

  it('a down script without its migration: it is named, and nothing is written', async () => {
    const dir = folder({ ...one, '0002_b.down.sql': '-- precious\n' });
    const run = await cli(['new', 'b', '--json', '--migrations', dir]);
    expect(run.json()).toMatchObject({ outcome: 'usage', error: { file: join(dir, '0002_b.down.sql') } });
    expect(read(dir, '0002_b.down.sql')).toBe('-- precious\n');
    expect(readdirSync(dir)).toHaveLength(3);
  });
});
