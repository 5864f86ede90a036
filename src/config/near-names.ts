import { PARAMETERS } from './parameters.js';
import type { Environment } from './variables.js';

/**
 * The name that somebody meant who wrote another one.
 * @returns undefined where none is near: more than two letters wrong, or more than a third of them
 */
export function nearest(name: string, known: readonly string[]): string | undefined {
  for (const wrong of [0, 1, 2]) {
    const found = known.find((candidate) => candidate.length >= 3 * wrong && isWithin(name, candidate, wrong));
    if (found !== undefined) return found;
  }
  return undefined;
}

/** @param wrong letters to add, remove, replace or swap with their neighbour, at most */
function isWithin(a: string, b: string, wrong: number): boolean {
  if (a === b) return true;
  if (wrong === 0) return false;
  let same = 0;
  while (a[same] === b[same]) same++;
  const [restA, restB] = [a.slice(same), b.slice(same)];
  const swapped = restA.length > 1 && restA[0] === restB[1] && restA[1] === restB[0];
  return (
    isWithin(restA.slice(1), restB, wrong - 1) ||
    isWithin(restA, restB.slice(1), wrong - 1) ||
    isWithin(restA.slice(1), restB.slice(1), wrong - 1) ||
    (swapped && isWithin(restA.slice(2), restB.slice(2), wrong - 1))
  );
}

/** What else is read from the environment, or is known to others that share it: by libpq, by PostgreSQL's own image. */
const OTHER_NAMES = [
  ...['KASM_DB_URL', 'KASM_DB_DIRECT_URL', 'DATABASE_URL', 'KASM_DB_ROLE', 'KASM_DB_SECRETS_DIR'],
  ...['KASM_DB_AUTH_DOMAIN', 'KASM_DB_MIGRATIONS', 'KASM_DB_TERMINATION_LOG'],
  // Of the program that `once` runs, and of Kasm's own image.
  ...['KASM_DB_ONCE', 'KASM_DB_SSL', 'KASM_DB_HINTS'],
  ...['DATABASE_MASTER_USER', 'DATABASE_MASTER_PASSWORD', 'KASM_DB_GATE_PASSWORD'],
  ...['URL', 'HOST', 'PORT', 'SENTINELS', 'MASTER', 'CLUSTER', 'USERNAME', 'PASSWORD', 'TLS', 'CA'].map(
    (name) => `KASM_DB_REDIS_${name}`,
  ),
  ...['PGSERVICEFILE', 'PGSYSCONFDIR', 'PGREQUIRESSL', 'PGLOCALEDIR', 'PGDATESTYLE', 'PGTZ', 'PGGEQO', 'PGDATA'],
  ...['POSTGRES_INITDB_ARGS', 'POSTGRES_INITDB_WALDIR', 'POSTGRES_HOST_AUTH_METHOD'],
];

/** Names of variables that look like a setting and are none, with the one that was meant, where there is one. */
export function unknownNames(env: Environment): { name: string; meant: string | undefined }[] {
  const known = [...PARAMETERS.flatMap(({ own, variable }) => [own ?? [], variable ?? []].flat()), ...OTHER_NAMES];
  const ours = new Set(known.flatMap((name) => [name, `${name}_FILE`]));
  return Object.keys(env)
    .filter((name) => /^(PG|POSTGRES{0,2}_|KASM_?DB_|DATABASE_)/.test(name) && !ours.has(name))
    .filter((name) => !/_SERVICE_(HOST|PORT)|_PORT_\d+_|_PORT$/.test(name) || nearest(name, known))
    .map((name) => ({ name, meant: nearest(name, known) ?? longerOrShorter(name, known) }))
    .filter(({ name, meant }) => meant !== undefined || name.startsWith('KASM_DB_'));
}

/** POSTGRES_HOSTNAME and POSTGRES_PASS have a setting's name in them, or are in one. */
function longerOrShorter(name: string, known: readonly string[]): string | undefined {
  const short = name.replace('DATABASE', 'DB');
  return known.find(
    (other) => Math.abs(short.length - other.length) <= 4 && (short.startsWith(other) || other.startsWith(short)),
  );
}
