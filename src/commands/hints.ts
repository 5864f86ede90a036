import { escapeIdentifier } from 'pg';
import type { ConnectionSettings } from '../config/settings.js';
import type { Environment } from '../config/variables.js';

/** Where kasm-db runs in a chart, what its user sets are values; by the words of our hints, the longer ones first. */
const CHART_WORDS: readonly (readonly [RegExp, string])[] = [
  [/leave --expect-existing out/g, 'set {migrator.initializeOnUpgrade} to true'],
  [
    /POSTGRES_PASSWORD(_FILE)?( or POSTGRES_PASSWORD_FILE)?/g,
    'the Secret of database.existingSecret or credentials.existingSecret',
  ],
  [/the Secret that is mounted at --secrets \(KASM_DB_SECRETS_DIR\)/g, 'the Secret of credentials.existingSecret'],
  [/--secrets or KASM_DB_SECRETS_DIR/g, 'credentials.existingSecret'],
  [/DATABASE_MASTER_USER( and DATABASE_MASTER_PASSWORD( \(each also as NAME_FILE\))?)?/g, '{bootstrap.existingSecret}'],
  [/KASM_DB_DIRECT_URL( \(or --direct-url\))?/g, '{database.directUrl}'],
  [/--role or KASM_DB_ROLE|--role|KASM_DB_ROLE/g, '{database.role}'],
  [/KASM_DB_REDIS_\*/g, '{redis.*}'],
  [/KASM_DB_URL/g, 'database.keys.uri'],
  [/POSTGRES_HOST/g, 'database.host'],
  [/POSTGRES_PORT/g, 'database.port'],
  [/POSTGRES_DB/g, 'database.name'],
  [/POSTGRES_USER/g, 'database.user'],
  [/PGSSLMODE/g, 'database.sslmode'],
  [/PGSSLROOTCERT/g, 'database.ca'],
  [/PGSSLCERT|PGSSLKEY/g, '{database.clientCertificate}'],
  [/(PGOPTIONS|PGTARGETSESSIONATTRS)/g, '$1 in {migrator.extraEnv}'],
  [/add --force/g, 'set {seed.force} to true for one upgrade'],
  [/--lock-timeout/g, '{migrator.lockTimeout}'],
  [/--connect-timeout/g, '{migrator.connectTimeout}'],
  [/--seeds/g, '{seed.existingConfigMap}'],
  [/--migrations/g, '{migrations.existingConfigMap}'],
];

/** A call of kasm-db, which someone is to type as it stands. */
const CALL = /(kasm-db [a-z][^;,)]*)/;

/**
 * A hint with the real names of database and role; with KASM_DB_HINTS=chart in the words of the charts' values. `chart:PREFIX` is for a parent chart
 * that keeps all but the connection under a name of its own.
 */
export function hintFor(hint: string, settings: ConnectionSettings | undefined, env: Environment): string {
  const named = settings ? withNames(hint, settings) : hint;
  const [kind, prefix] = (env.KASM_DB_HINTS ?? '').split(':');
  if (kind !== 'chart') return named;
  const value = (name: string) => (prefix ? `${prefix}.${name}` : name);
  const inChart = (text: string) =>
    CHART_WORDS.reduce((said, [words, name]) => said.replace(words, name), text).replace(/\{([\w.*]+)\}/g, (_, name) =>
      value(name),
    );
  return named
    .split(CALL)
    .map((part, i) => (i % 2 === 0 ? inChart(part) : part))
    .join('');
}

function withNames(hint: string, { dbname, user, role }: ConnectionSettings): string {
  return hint.replaceAll('<database>', () => identifier(dbname)).replaceAll('<role>', () => identifier(role ?? user));
}

/** As a person would write it. */
function identifier(name: string): string {
  return /^[a-z_][a-z0-9_]*$/.test(name) ? name : escapeIdentifier(name);
}
