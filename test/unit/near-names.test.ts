import { describe, expect, it } from 'vitest';
import { nearest, unknownNames } from '../../src/config/near-names.js';
import { PARAMETERS } from '../../src/config/parameters.js';

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
    ['DATABASE_URI', 'DATABASE_URL'],
    ['KASM_DB_SOMETHING', undefined],
  ])('%s: did you mean %s', (name, meant) => {
    expect(unknownNames({ [name]: 'x' })).toEqual([{ name, meant }]);
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
