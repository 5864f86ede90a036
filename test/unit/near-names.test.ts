import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { nearest, unknownNames } from '../../src/config/near-names.js';
import { PARAMETERS } from '../../src/config/parameters.js';

const ROOT = join(import.meta.dirname, '../..');

describe('names that are no settings', () => {
  it.each([
    ['POSTGRES_HOSTNAME', 'POSTGRES_HOST'],
    ['POSTGRES_PASS', 'POSTGRES_PASSWORD'],
    ['POSTGRES_PASSWROD', 'POSTGRES_PASSWORD'],
    ['POSTGRES_DATABASE', 'POSTGRES_DB'],
    ['POSTGRES_DBNAME', 'POSTGRES_DB'],
    ['POSTGRES_USERNAME', 'POSTGRES_USER'],
    ['PGSSLMOED', 'PGSSLMODE'],
    ['PGSSLROOTCERTS', 'PGSSLROOTCERT'],
    ['PGHOSTNAME', 'PGHOST'],
    ['PGREQUIRE_AUTH', 'PGREQUIREAUTH'],
    ['KASM_DB_URI', 'KASM_DB_URL'],
    ['KASMDB_URL', 'KASM_DB_URL'],
    ['POSTGRE_HOST', 'POSTGRES_HOST'],
    ['DATABASE_URI', 'DATABASE_URL'],
    ['KASM_DB_SOMETHING', undefined],
  ])('%s: did you mean %s', (name, meant) => {
    expect(unknownNames({ [name]: 'x' })).toEqual([{ name, meant }]);
  });

  it('every variable of ours that the program reads is known here, and documented', () => {
    const read = readdirSync(join(ROOT, 'src'), { recursive: true, encoding: 'utf8' })
      .filter((file) => file.endsWith('.ts') && !file.includes('near-names'))
      .flatMap(
        (file) => readFileSync(join(ROOT, 'src', file), 'utf8').match(/(?<=env\.|env, ')KASM_DB_[A-Z_]+/g) ?? [],
      );
    const pages = ['SETTINGS.md', 'GATE.md', 'ONCE.md']
      .map((page) => readFileSync(join(ROOT, 'docs', page), 'utf8'))
      .join();
    const names = [...new Set(read)];
    expect(names.filter((name) => unknownNames({ [name]: 'x' }).length > 0)).toEqual([]);
    expect(names.filter((name) => !pages.includes(`\`${name}`))).toEqual([]);
    expect(names.length).toBeGreaterThan(5);
  });

  it('nothing is said of settings, of others’ names and of service links', () => {
    const others = [
      'PGDATA',
      'PGTZ',
      'PGSERVICEFILE',
      'POSTGRES_INITDB_ARGS',
      'POSTGRES_HOST_AUTH_METHOD',
      'PATH',
      'HOSTNAME',
    ];
    const links = [
      'POSTGRES_SERVICE_HOST',
      'POSTGRES_SERVICE_PORT',
      'POSTGRES_PORT_5432_TCP_ADDR',
      'KASM_DB_PORT',
      'KASM_DB_SERVICE_HOST',
    ];
    const settings = PARAMETERS.flatMap(({ own, variable }) => [own, variable, variable && `${variable}_FILE`]).filter(
      Boolean,
    );
    const env = Object.fromEntries([...others, ...links, ...settings].map((name) => [name, 'x']));
    expect(unknownNames(env)).toEqual([]);
  });

  it('what is far from everything is near nothing', () => {
    expect(nearest('hunter2', ['host', 'user', 'sslmode'])).toBeUndefined();
    expect(nearest('sslmoed', ['host', 'sslmode'])).toBe('sslmode');
  });
});
