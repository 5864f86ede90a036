import { isUtf8 } from 'node:buffer';
import { dictionary } from '../app/dictionary.js';
import type { Column } from './catalog.js';

/**
 * Columns that users of 1.18 and 1.19 found encrypted, and those whose type in Kasm's export (BLOB) says so; docs/ASSUMPTIONS.md, Seeds.
 * `group_settings.value` is known to be plain.
 */
const ENCRYPTED = dictionary<readonly string[]>({
  settings: ['value'],
  ldap_configs: ['service_account_password'],
  users: ['crypt_password', 'crypt_salt', 'sso_ep'],
  oidc_configs: ['client_secret'],
  aws_configs: ['aws_ec2_private_key'],
  storage_providers: ['client_secret'],
  storage_mappings: ['s3_secret_access_key', 'webdav_pass'],
  session_permissions: ['vnc_password'],
  user_attributes: ['ssh_private_key'],
  physical_tokens: ['token_seed'],
  file_mappings: ['content'],
});

/** Other secrets: the type that keeps encrypted text has no length in the database, and its neighbours have one. */
const SECRET_NAME =
  /(^|_)(password|passphrase|secret|private_key|secret_access_key|tailscale_key|token|token_value|credentials?)$/;

/** May a genuine Kasm API expect this column encrypted? */
export function mayBeEncrypted(
  table: string,
  { name, type, maxLength }: Omit<Column, 'notNull' | 'hasDefault'>,
): boolean {
  if (ENCRYPTED[table]?.includes(name)) return true;
  return ['varchar', 'text'].includes(type) && maxLength === null && SECRET_NAME.test(name);
}

/**
 * Has a value the form of what AesEngine of sqlalchemy-utils stores: base64 of whole blocks of 16 bytes, or in a column of bytes the blocks
 * themselves? A hash or token in hex only looks like it. That it has the form proves nothing: other base64 has it, too.
 * @param text as the server writes it: bytes as \x and hex
 */
export function looksEncrypted(text: string | null | undefined, type: string): boolean {
  if (!text) return false;
  if (type !== 'bytea') return isBase64OfBlocks(text);
  const bytes = Buffer.from(text.slice(2), 'hex');
  return isBase64OfBlocks(bytes.toString('latin1')) || (isWholeBlocks(bytes) && !isUtf8(bytes));
}

/** Bytes of a block of AES. */
export const BLOCK = 16;
const isWholeBlocks = (bytes: Buffer) => bytes.length > 0 && bytes.length % BLOCK === 0;

function isBase64OfBlocks(text: string): boolean {
  if (text.length % 4 !== 0 || !/^[A-Za-z0-9+/]+={0,2}$/.test(text) || /^[0-9a-f]*$/i.test(text)) return false;
  return isWholeBlocks(Buffer.from(text, 'base64'));
}
