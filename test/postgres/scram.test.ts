import pg from 'pg';
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';
import { scramVerifier } from '../../src/bootstrap/password.js';
import { isPortable } from '../../src/postgres/saslprep.js';
import { randomSource, rounds } from '../support/rounds.js';

const ROLE = `scram_${process.pid}`;

/** Passwords of every kind that SASLprep treats in its own way. */
const PASSWORDS: Record<string, string> = {
  ASCII: `p@ss w:rd/%#'"\\$`,
  composed: 'Pässwörd',
  decomposed: 'Pa\u0308sswo\u0308rd',
  'a ligature and full width': 'ﬁＡ１',
  'other spaces and a soft hyphen': 'a\u00a0b\u3000c\u00add',
  'a zero-width joiner': 'a\u200db',
  Cyrillic: 'пароль',
  'Han and kana': '密码パスワード',
  'right to left': 'סיסמה',
  'right to left with Latin': 'סיסמהa\u00adb',
  emoji: 'pass😀word',
  'an emoji made of several': 'a👨‍👩‍👧b',
  'a heart with its selector': 'I❤️you',
  'a control character and a decomposed letter': 'a\u0007u\u0308',
  'private use and a soft hyphen': 'a\ue000\u00adb',
  'only what is mapped to nothing': '\u00ad\u200d',
  'as long as a key': 'é'.repeat(500),
};

describe.each([13, 18])('scramVerifier › PostgreSQL %i', (version) => {
  let admin: pg.Client;
  const connect = async (user: string, password: string) => {
    const port = inject('servers')[version]?.port;
    const client = new pg.Client({ host: '127.0.0.1', port, user, password, database: 'postgres', ssl: false });
    client.on('error', () => {});
    await client.connect();
    return client;
  };
  beforeAll(async () => {
    admin = await connect('postgres', inject('servers')[version]?.password as string);
    await admin.query(`CREATE ROLE ${ROLE} LOGIN`);
  });
  afterAll(async () => {
    await admin.query(`DROP ROLE ${ROLE}`);
    await admin.end();
  });

  /** What the server stores when it is told the password itself. */
  async function serversOwn(password: string): Promise<string> {
    await admin.query(`ALTER ROLE ${ROLE} PASSWORD ${pg.escapeLiteral(password)}`);
    return (await admin.query('SELECT rolpassword FROM pg_authid WHERE rolname = $1', [ROLE])).rows[0].rolpassword;
  }

  it.each(Object.entries(PASSWORDS))('%s: the same as the server makes of it', async (_, password) => {
    const stored = await serversOwn(password);
    expect(scramVerifier(password, { salt: saltOf(stored) })).toBe(stored);
  });

  it.each(
    Object.entries(PASSWORDS).filter(([, password]) => isPortable(password)),
  )('%s: logs in with a verifier of ours, and another password does not', async (_, password) => {
    await admin.query(`ALTER ROLE ${ROLE} PASSWORD '${scramVerifier(password)}'`);
    await (await connect(ROLE, password)).end();
    await expect(connect(ROLE, `${password}x`)).rejects.toMatchObject({ code: '28P01' });
  });

  it.each(
    Object.entries(PASSWORDS).filter(([, password]) => !isPortable(password)),
  )('%s: not portable, since pg cannot log in with it even where the server made the verifier', async (_, password) => {
    await serversOwn(password);
    await expect(connect(ROLE, password)).rejects.toMatchObject({ code: '28P01' });
  });
});

it('scramVerifier › random texts of difficult characters: the same as PostgreSQL 18 makes of them', async () => {
  const { seed, next } = randomSource();
  const one = () => PIECES[Math.floor(next() * PIECES.length)] as string;
  const passwords = Array.from({ length: rounds(2000, 50_000) }, () =>
    Array.from({ length: 1 + Math.floor(next() * 5) }, one).join(''),
  );
  const server = inject('servers')[18];
  const client = new pg.Client({
    host: '127.0.0.1',
    port: server?.port,
    user: 'postgres',
    password: server?.password,
    database: 'postgres',
    ssl: false,
  });
  await client.connect();
  const role = `${ROLE}_random`;
  // All in one transaction that is rolled back; one iteration, to be quick.
  await client.query(`BEGIN; SET LOCAL scram_iterations = 1; CREATE ROLE ${role};
    CREATE FUNCTION pg_temp.stored(password text) RETURNS text LANGUAGE plpgsql AS $$BEGIN
      EXECUTE format('ALTER ROLE ${role} PASSWORD %L', password);
      RETURN (SELECT rolpassword FROM pg_authid WHERE rolname = '${role}'); END$$`);
  const { rows } = await client.query('SELECT p, pg_temp.stored(p) AS stored FROM unnest($1::text[]) p', [passwords]);
  await client.query('ROLLBACK');
  await client.end();
  const wrong = rows.filter(({ p, stored }) => scramVerifier(p, { salt: saltOf(stored), iterations: 1 }) !== stored);
  expect(wrong, `KASM_DB_SEED=${seed}`).toEqual([]);
});

it('scramVerifier › a new salt each time', () => {
  expect(scramVerifier('x')).not.toBe(scramVerifier('x'));
  expect(scramVerifier('x')).toMatch(
    /^SCRAM-SHA-256\$4096:[A-Za-z0-9+/]{22}==\$[A-Za-z0-9+/]{43}=:[A-Za-z0-9+/]{43}=$/,
  );
});

function saltOf(verifier: string): Buffer {
  return Buffer.from(/:([^$]+)\$/.exec(verifier)?.[1] ?? '', 'base64');
}

/** Letters of both directions, digits, mapped, refused, decomposing and unassigned characters. */
const PIECES = [
  ...['a', 'Z', '7', ' ', "'", '\\', 'é', 'e\u0301', 'ﬁ', 'Å', '²', 'ß', 'я', '密', '가', '\u1100\u1161', 'カ\u3099'],
  ...['\u00a0', '\u3000', '\u00ad', '\u200b', '\u200c', '\u200d', '\ufe0f', '\ufeff', '\u034f'],
  ...['א', 'ש\u05bc', 'ب', '\ufb1d', '\ufefb', '\u0661', '\u05bc'],
  ...['\u0001', '\u007f', '\u0085', '\u0340', '\u06dd', '\u180e', '\u200e', '\u2028', '\u2062', '\u2ff0', '\ufffd'],
  ...['\ue000', '\ufdd0', '\uffff', '\u{1fffe}', '\u{e0041}', '\u{10fffd}'],
  ...['\u0221', '\u0378', '😀', '❤', '\u{1f130}', '\u{1d400}', '\u{2f800}', '\u{20000}', '\u{1d15e}'],
];
