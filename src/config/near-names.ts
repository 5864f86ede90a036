import { PARAMETERS } from './parameters.js';
import type { Environment } from './variables.js';

/**
 * The name that somebody meant who wrote another one.
 * @returns undefined where none is near: more than two letters wrong, or more than a third of them
 */
export function nearest(name: string, known: readonly string[]): string | undefined {
  let best: { name: string; distance: number } | undefined;
  for (const candidate of known) {
    const distance = wrongLetters(name, candidate);
    const limit = Math.min(2, Math.floor(candidate.length / 3));
    if (distance <= limit && distance < (best?.distance ?? Number.POSITIVE_INFINITY))
      best = { name: candidate, distance };
  }
  return best?.name;
}

/** Letters to add, remove, replace or swap with their neighbour (optimal string alignment). */
function wrongLetters(a: string, b: string): number {
  let [beforeLast, last]: number[][] = [[], Array.from({ length: b.length + 1 }, (_, j) => j)];
  for (let i = 1; i <= a.length; i++) {
    const row = [i];
    for (let j = 1; j <= b.length; j++) {
      const same = a[i - 1] === b[j - 1];
      const swapped = i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1];
      row[j] = Math.min(
        (last?.[j] as number) + 1,
        (row[j - 1] as number) + 1,
        (last?.[j - 1] as number) + (same ? 0 : 1),
        swapped ? (beforeLast?.[j - 2] as number) + 1 : Number.POSITIVE_INFINITY,
      );
    }
    [beforeLast, last] = [last, row];
  }
  return last?.[b.length] as number;
}

/** What else is read from the environment, or is known to others that share it: by libpq, by PostgreSQL's own image. */
const OTHER_NAMES = [
  ...[
    'KASM_DB_URL',
    'KASM_DB_DIRECT_URL',
    'DATABASE_URL',
    'KASM_DB_ROLE',
    'KASM_DB_SECRETS_DIR',
    'KASM_DB_AUTH_DOMAIN',
    'KASM_DB_MIGRATIONS',
    'KASM_DB_TERMINATION_LOG',
    // Of the program that `once` runs, and of Kasm's own image.
    'KASM_DB_ONCE',
    'KASM_DB_SSL',
    'KASM_DB_HINTS',
  ],
  ...['DATABASE_MASTER_USER', 'DATABASE_MASTER_PASSWORD', 'KASM_DB_GATE_PASSWORD'],
  ...['URL', 'HOST', 'PORT', 'SENTINELS', 'MASTER', 'CLUSTER', 'USERNAME', 'PASSWORD', 'TLS', 'CA'].map(
    (name) => `KASM_DB_REDIS_${name}`,
  ),
  ...['PGSERVICEFILE', 'PGSYSCONFDIR', 'PGREQUIRESSL', 'PGLOCALEDIR', 'PGDATESTYLE', 'PGTZ', 'PGGEQO', 'PGDATA'],
  ...['POSTGRES_INITDB_ARGS', 'POSTGRES_INITDB_WALDIR', 'POSTGRES_HOST_AUTH_METHOD'],
];

/** Names of variables that look like a setting and are none, with the one that was meant, where there is one. */
export function unknownNames(env: Environment): { name: string; meant: string | undefined }[] {
  const known = [
    ...PARAMETERS.flatMap(({ own, variable }) => [own, variable].filter((name) => name !== undefined)),
    ...OTHER_NAMES,
  ];
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
    (other) =>
      short === other ||
      (short.startsWith(other) && short.length - other.length <= 4) ||
      (other.startsWith(short) && other.length - short.length <= 4),
  );
}
