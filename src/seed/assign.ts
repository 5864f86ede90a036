import { randomUUID } from 'node:crypto';
import { dictionary } from '../app/dictionary.js';
import { apiKeys, type Credentials, hashPassword, saltKey, userKeys } from './credentials.js';
import { type SeedRow, valueIn } from './document.js';
import { looksLikeToken } from './tokens.js';

/** Columns of a table that credentials fill: a value, or a hash and its salt. */
export const CREDENTIAL_COLUMNS = dictionary<readonly string[]>({
  users: ['pw_hash', 'salt'],
  api_configs: ['api_key_secret_hash', 'salt'],
  settings: ['value'],
});

/** A row that takes a credential. */
export interface Assignment {
  row: SeedRow;
  /** The Secret key that has a value, or else the one to make. */
  key: string;
  secret: string | undefined;
  /** Where it goes: a user's `pw_hash`, an API key's `api_key_secret_hash`, a setting's `value`. */
  column: string;
  /** The documents give no other value, so that the row cannot be made without the credential. */
  needed: boolean;
}

const SETTING_KEYS = dictionary<string>({
  'manager\0token': 'manager-token',
  'auth\0registration_token': 'service-token',
});

/** SHA-256 of nothing: what Kasm's preseed writes for its built-in users, until their Secret is applied. */
const PLACEHOLDER_HASH = 'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855';

/** Finds the rows that credentials belong to. Pure. */
export function assignCredentials(rows: readonly SeedRow[], credentials: Credentials): Assignment[] {
  return rows.flatMap((row) => {
    const [column] = CREDENTIAL_COLUMNS[row.table] ?? [];
    const keys = secretKeys(row);
    if (!column || keys.length === 0) return [];
    const key = keys.find((name) => credentials.get(name) !== undefined) ?? (keys[0] as string);
    return [{ row, key, secret: credentials.get(key), column, needed: !hasOwnValue(row, column) }];
  });
}

/** Keys of a Secret that may hold a row's credential, the preferred one first. */
function secretKeys(row: SeedRow): string[] {
  if (row.table === 'settings') {
    const key = SETTING_KEYS[`${textIn(row, 'category')}\0${textIn(row, 'name')}`];
    return key ? [key] : [];
  }
  if (row.table === 'api_configs') return apiKeys(textIn(row, 'api_key') ?? '', textIn(row, 'name') ?? '');
  // Someone who signs in elsewhere (SAML, LDAP) has no password here.
  const username = (textIn(row, 'realm') ?? 'local') === 'local' && textIn(row, 'username');
  return row.table === 'users' && username ? userKeys(username) : [];
}

function hasOwnValue(row: SeedRow, column: string): boolean {
  const value = textIn(row, column);
  if (column === 'value') return Boolean(value) && !looksLikeToken(value);
  return value !== undefined && !(column === 'pw_hash' && value === PLACEHOLDER_HASH);
}

function textIn(row: SeedRow, column: string): string | undefined {
  const value = valueIn(row, column);
  return typeof value === 'string' ? value : undefined;
}

/**
 * The values that a credential gives its row.
 * @param salt of the documents, where they give one
 */
export function credentialValues(
  { column, secret, key }: Assignment,
  credentials: Credentials,
  salt: string | undefined,
): Record<string, string> {
  return secret === undefined
    ? {}
    : filledValues(column, secret, credentials.get(saltKey(key)) ?? salt ?? randomUUID());
}

/** What a column and its salt get of a secret. */
export function filledValues(column: string, secret: string, salt: string): Record<string, string> {
  return column === 'value' ? { value: secret } : { [column]: hashPassword(secret, salt), salt };
}
