import { createHash, createPrivateKey, createPublicKey } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { assignCredentials, credentialValues } from '../../src/seed/assign.js';
import { apiKeys, type Credentials, hashPassword, readCredentials, userKeys } from '../../src/seed/credentials.js';
import { GeneratedSecrets } from '../../src/seed/generated-secrets.js';
import { row } from '../fixtures/seed/values.js';

const given = (values: Record<string, string>): Credentials => ({ get: (key) => values[key], places: () => '' });

describe("Kasm's password hash", () => {
  it("is that of the vendor's admin recovery: password, then salt", () => {
    const hash = hashPassword('password', '83d0947a-bf55-4bec-893b-63aed487a05e');
    expect(hash).toMatch(/^fe519184[0-9a-f]{52}f522$/);
  });
  it('of other scripts is over UTF-8', () => {
    const bytes = Buffer.from('pä密🔑s', 'utf8');
    expect(hashPassword('pä密🔑', 's')).toBe(createHash('sha256').update(bytes).digest('hex'));
  });
});

describe('assignCredentials', () => {
  const assigned = (table: string, cells: Record<string, unknown>, values: Record<string, string> = {}) =>
    assignCredentials([row(table, cells)], given(values)).map(({ key, needed }) => ({ key, needed }));

  it.each([
    ['users', { username: 'admin@kasm.local' }, {}, 'admin-password', true],
    ['users', { username: 'user@kasm.local', realm: 'local' }, {}, 'user-password', true],
    ['users', { username: 'jane.doe@x.org' }, {}, 'user-jane-doe-x-org-password', true],
    ['users', { username: 'admin@x.org' }, { 'admin-password': 'p' }, 'admin-password', true],
    ['users', { username: 'bob@x.org' }, { 'user-bob-password': 'p' }, 'user-bob-password', true],
    [
      'users',
      { username: 'bob@x.org' },
      { 'bob-password': 'p', 'user-bob-x-org-password': 'q' },
      'user-bob-x-org-password',
      true,
    ],
    ['users', { username: 'x@y', pw_hash: 'h' }, {}, 'user-x-y-password', false],
    ['users', { username: 'x@y', pw_hash: null }, {}, 'user-x-y-password', true],
    ['api_configs', { name: 'n', api_key: 'KasmRWApiKey' }, {}, 'kasm-engineering-api-password', true],
    ['api_configs', { name: 'My Key!', api_key: 'k' }, {}, 'api-my-key-password', true],
    [
      'settings',
      { category: 'manager', name: 'token', value: '${random_token:manager_token}' },
      {},
      'manager-token',
      true,
    ],
    ['settings', { category: 'manager', name: 'token', value: 'literal' }, {}, 'manager-token', false],
    ['settings', { category: 'auth', name: 'registration_token' }, {}, 'service-token', true],
  ])('%s %j with %j: %s', (table, cells, values, key, needed) => {
    expect(assigned(table, cells, values)).toMatchObject([{ key, needed }]);
  });

  it.each([
    ['users', { username: 'x', realm: 'saml' }],
    ['users', {}],
    ['settings', { category: 'auth', name: 'token', value: '${random_token:x}' }],
    ['zones', { zone_name: 'token' }],
  ])('%s %j takes none', (table, cells) => {
    expect(assigned(table, cells)).toEqual([]);
  });

  it('a name with a + has a key that a Secret of Kubernetes can hold', () => {
    expect(userKeys("o'brien+kasm@example.com")[0]).toBe('user-o-brien-kasm-example-com-password');
  });

  it("a service's key is never a user's", () => {
    for (const name of ['db', 'redis', 'gate']) expect(userKeys(`${name}@x`)).not.toContain(`${name}-password`);
    expect(apiKeys('k', 'db')).not.toContain('db-password');
  });

  it('the salt: of the Secret, else of the documents, else a new UUID', () => {
    const [assignment] = assignCredentials(
      [row('users', { username: 'admin@kasm.local' })],
      given({ 'admin-password': 'p' }),
    );
    if (!assignment) throw new Error('nothing was assigned');
    const values = (secrets: Record<string, string>, salt?: string) =>
      credentialValues(assignment, given(secrets), salt);
    expect(values({ 'admin-salt': 's' }, 'd')).toEqual({ pw_hash: hashPassword('p', 's'), salt: 's' });
    expect(values({}, 'd')).toEqual({ pw_hash: hashPassword('p', 'd'), salt: 'd' });
    expect(values({}).salt).toMatch(/^[0-9a-f-]{36}$/);
  });
});

describe('readCredentials', () => {
  it('makes no value of a service link, and takes what an embedded database made last', () => {
    const credentials = readCredentials(
      undefined,
      { DEFAULT_MANAGER_TOKEN: 'tcp://10.0.0.1:80' },
      new Map([['user-password', 'made']]),
    );
    expect(credentials.get('manager-token')).toBeUndefined();
    expect(credentials.get('user-password')).toBe('made');
    expect(credentials.places('admin-password')).toBe(
      'the folder of --secrets, which is not given, DEFAULT_ADMIN_PASSWORD, DEFAULT_ADMIN_PASSWORD_FILE',
    );
    expect(credentials.places('user-x-password')).toBe('the folder of --secrets, which is not given');
  });
  it('refuses a name with both a value and a file', () => {
    const env = { DEFAULT_ADMIN_PASSWORD: 'a', DEFAULT_ADMIN_PASSWORD_FILE: '/x' };
    expect(() => readCredentials(undefined, env).get('admin-password')).toThrow(/both DEFAULT_ADMIN_PASSWORD and/);
  });
});

describe('GeneratedSecrets', () => {
  const material = (known: Record<string, string> = {}) =>
    new GeneratedSecrets(new Map(Object.entries(known)), () => undefined, new Date('2024-05-06T07:08:09.012Z'));
  it('gives the same token the same value, others others', async () => {
    const made = material();
    for (const token of ['${uuid:a}', '${crypt:salt:1}', '${random_token:x}', '${ec:1:private}']) {
      const value = await made.value(token);
      expect(await made.value(token)).toBe(value);
      expect(await material().value(token)).not.toBe(value);
      expect(await made.value(token.replace('1', '2').replace('a}', 'b}').replace('x}', 'y}'))).not.toBe(value);
    }
  });
  it('gives it to two places of one list at once, too', async () => {
    const made = material();
    const halves = ['${ec:1:private}', '${ec:1:public}', '${ec:1:private}', '${ec:1:public}'];
    const [key, half, ...again] = await Promise.all(halves.map((token) => made.value(token)));
    expect(again).toEqual([key, half]);
  });
  it('has the form that each is known for', async () => {
    const made = material();
    expect(await made.value('${uuid:a}')).toMatch(
      /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/,
    );
    expect(await made.value('${crypt:password:1}')).toMatch(/^[0-9a-f]{512}$/);
    expect(await made.value('${random_token:x}')).toMatch(/^[A-Za-z0-9]{32}$/);
    expect(await made.value('${datetime:utcnow}')).toBe('2024-05-06 07:08:09.012');
  });
  it('keeps what a database has: the public half is made from the private key that is there', async () => {
    const key = await material().value('${ec:1:private}');
    const made = material({ '${ec:1:private}': key, '${uuid:a}': 'there' });
    expect(await made.value('${uuid:a}')).toBe('there');
    const half = createPublicKey(createPrivateKey(key)).export({ type: 'spki', format: 'pem' });
    expect(await made.value('${ec:1:public}')).toBe(half);
  });
  it('takes the tokens of the Secret', async () => {
    const made = new GeneratedSecrets(new Map(), (key) => ({ 'manager-token': 'm', 'service-token': 's' })[key]);
    expect([
      await made.value('${random_token:manager_token}'),
      await made.value('${random_token:registration_token}'),
    ]).toEqual(['m', 's']);
  });
});
