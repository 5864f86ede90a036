import { createCipheriv, randomBytes, randomUUID } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import type { Table } from '../../src/seed/catalog.js';
import { looksEncrypted, mayBeEncrypted } from '../../src/seed/encrypted.js';
import { newPlainText, warningsOf } from '../../src/seed/notes.js';
import { shippedRows } from '../fixtures/seed/seeding.js';

/** As AesEngine of sqlalchemy-utils makes it. */
function encrypted(text: string): Buffer {
  const key = randomBytes(32);
  const cipher = createCipheriv('aes-256-cbc', key, key.subarray(0, 16));
  return Buffer.concat([cipher.update(text, 'utf8'), cipher.final()]);
}

const asBytes = (bytes: Buffer | string) => `\\x${Buffer.from(bytes).toString('hex')}`;

describe('looksEncrypted', () => {
  it.each([
    0, 1, 15, 16, 31, 32, 47, 48, 3000,
  ])('what AesEngine makes of %i characters, as text and as bytes', (length) => {
    const value = encrypted('x'.repeat(length));
    expect(looksEncrypted(value.toString('base64'), 'varchar')).toBe(true);
    expect(looksEncrypted(asBytes(value.toString('base64')), 'bytea'), 'EncryptedType: the text as bytes').toBe(true);
    expect(looksEncrypted(asBytes(value), 'bytea'), 'the blocks themselves').toBe(true);
  });

  it.each([
    null,
    undefined,
    '',
    'True',
    '259200',
    randomUUID(),
    randomBytes(32).toString('hex'),
    randomBytes(32).toString('hex').toUpperCase(),
    randomBytes(24).toString('base64'),
    'abcdefghijklmnopqrstuvwxyz',
    '-----BEGIN PRIVATE KEY-----\nMIIB\n-----END PRIVATE KEY-----\n',
    '{"port": 2222}',
    'postgres://db.example/kasm/path1',
  ])('plain: %s', (text) => {
    expect(looksEncrypted(text, 'varchar')).toBe(false);
    if (text) expect(looksEncrypted(asBytes(text), 'bytea')).toBe(false);
  });

  it('no value of the documents that ship', () => {
    const values = Object.values(shippedRows()).flatMap((rows) => rows.flatMap((row) => Object.values(row)));
    expect(values.filter((value) => typeof value === 'string' && looksEncrypted(value, 'varchar'))).toEqual([]);
  });
});

describe('mayBeEncrypted', () => {
  const column = (name: string, type = 'varchar', maxLength: number | null = null) => ({ name, type, maxLength });
  it.each([
    ['settings', column('value'), true],
    ['group_settings', column('value'), false],
    ['ldap_configs', column('service_account_password'), true],
    ['users', column('crypt_salt', 'bytea'), true],
    ['users', column('pw_hash'), false],
    ['users', column('salt'), false],
    ['api_configs', column('api_key_secret_hash', 'varchar', 128), false],
    ['servers', column('connection_password'), true],
    ['servers', column('connection_credential_type'), false],
    ['servers', column('host_token', 'varchar', 64), false],
    ['images', column('docker_token', 'text'), true],
    ['aws_configs', column('aws_ec2_public_key'), false],
    ['azure_configs', column('retrieve_password', 'bool'), false],
  ])('%s %j: %s', (table, of, expected) => {
    expect(mayBeEncrypted(table, of)).toBe(expected);
  });
});

describe('what is told of a seed', () => {
  const settings: Table = {
    name: 'settings',
    columns: new Map([
      ['value', { name: 'value', type: 'varchar', maxLength: null, notNull: false, hasDefault: false }],
      ['title', { name: 'title', type: 'varchar', maxLength: null, notNull: false, hasDefault: false }],
    ]),
    primaryKey: [],
    foreignKeys: [],
  };
  const catalog = new Map([['settings', settings]]);
  const write = (value: string | null) => [
    { kind: 'insert' as const, table: 'settings', values: { title: 't', value } },
  ];
  const entry = (print: string | null) => [
    { table: 'settings', rowKey: '1', docKey: '1', salt: '', columns: { value: { print } } },
  ];

  it('plain text: the first time that a column gets any', () => {
    expect(newPlainText(write('x'), [], catalog)).toEqual(['settings.value']);
    expect(newPlainText(write(null), [], catalog)).toEqual([]);
    expect(newPlainText(write('x'), entry('written'), catalog)).toEqual([]);
    expect(newPlainText(write('x'), entry(null), catalog), 'what was there was not ours').toEqual(['settings.value']);
  });

  it('nothing where there is nothing to tell', () => {
    const quiet = { lacking: [], plainText: [], encrypted: [], settings: undefined, users: true };
    expect(warningsOf(quiet)).toEqual([]);
    expect(warningsOf({ ...quiet, settings: 87, users: undefined })).toEqual([]);
    expect(warningsOf({ ...quiet, settings: 77 })).toEqual([expect.stringContaining('Export Configuration')]);
    expect(warningsOf({ ...quiet, users: false })).toEqual([expect.stringContaining('nobody can log in')]);
    expect(
      warningsOf({ ...quiet, plainText: ['settings.value'], encrypted: [{ name: 'settings.value', plain: false }] }),
    ).toEqual([expect.stringContaining('beside it stands what looks encrypted (settings.value)')]);
  });
});
