import { escapeIdentifier, escapeLiteral } from 'pg';
import { KasmDbError, messageOf } from '../app/errors.js';
import type { Context } from '../config/context.js';
import type { Resolve } from '../config/settings.js';
import { readServer } from '../history/read-state.js';
import { requireWritable } from '../migrator/with-lock.js';
import { Session } from '../postgres/session.js';
import { sqlstateOf, toKasmDbError } from '../postgres/sqlstate.js';

const PREFIX = 'kasm_db_rehearsal_';

/**
 * Databases of a rehearsal whose session has ended without dropping them. The name has the process ID and the start of the session that made it, so that
 * one which is still at work is left alone; and only what belongs to our own role is ours.
 */
const LEFTOVERS_SQL = `SELECT d.datname AS name FROM pg_database d
WHERE d.datname ~ '^${PREFIX}[0-9]+_[0-9]+$' AND d.datdba = (SELECT oid FROM pg_roles WHERE rolname = current_user)
  AND NOT EXISTS (SELECT FROM pg_stat_activity a WHERE a.pid::text = split_part(d.datname, '_', 4)
    AND (a.backend_start IS NULL OR ${startOf('a')} = split_part(d.datname, '_', 5)))`;

const NAME_SQL = `SELECT '${PREFIX}' || a.pid || '_' || ${startOf('a')} AS name FROM pg_stat_activity a WHERE a.pid = pg_backend_pid()`;

function startOf(activity: string): string {
  return `(extract(epoch FROM ${activity}.backend_start) * 1000000)::bigint::text`;
}

/** What a copy has to have in common with its original: the encoding, and the locale where the server is the same. */
export interface DatabaseForm {
  encoding: string;
  collate: string;
  ctype: string;
  /** c: libc, i: ICU, b: PostgreSQL's own. */
  provider: string;
  locale: string | null;
}

/** Reads the form of the database that a session is connected to; within a transaction. */
export async function readForm(session: Session): Promise<DatabaseForm> {
  const version = session.serverVersion;
  const provider = version >= 150_000 ? 'datlocprovider::text' : "'c'";
  const locale = version >= 170_000 ? 'datlocale' : version >= 150_000 ? 'daticulocale' : 'NULL';
  const [form] = await session.query(
    `SELECT pg_encoding_to_char(encoding) AS encoding, datcollate AS collate, datctype AS ctype, ${provider} AS provider, ${locale} AS locale
     FROM pg_database WHERE datname = current_database()`,
  );
  return form as DatabaseForm;
}

/**
 * Makes a database, runs `work` on it, and drops it again. What an earlier call left behind when it was killed is dropped too.
 * @param resolve a database of the same server, which is only connected to
 * @param form undefined: the server's own
 * @param work gets the settings of the new database
 * @throws KasmDbError environment when the role may make no database, or a pooler stands before the server
 */
export async function withTemporaryDatabase<T>(
  ctx: Context,
  resolve: Resolve,
  form: DatabaseForm | undefined,
  work: (resolve: Resolve) => Promise<T>,
): Promise<T> {
  const session = await Session.open({ ...ctx, resolve });
  try {
    const server = await readServer(session);
    requireWritable(server, session.database);
    if (server.pooled)
      throw new KasmDbError(
        'environment',
        'a connection pooler stands before the server, and it knows no new database',
        { hint: 'set KASM_DB_DIRECT_URL (or --direct-url) to PostgreSQL itself, or rehearse with --embedded' },
      );
    await session.settle('own', {});
    await dropLeftovers(ctx, session);
    const [{ name }] = (await session.query(NAME_SQL)) as [{ name: string }];
    try {
      await create(session, name, form);
      return await work((anew) => ({ ...resolve(anew), dbname: name }));
    } finally {
      await drop(session, name).catch((error) =>
        ctx.events.warning?.(
          `the temporary database ${name} could not be dropped (${messageOf(error)}); the next rehearsal does it`,
        ),
      );
      // One that was killed while its server was still making the database has ended by now.
      if (!ctx.signal.aborted) await dropLeftovers(ctx, session);
    }
  } catch (error) {
    if (!(error instanceof KasmDbError)) ctx.signal.throwIfAborted();
    throw toKasmDbError(error, 'rehearsing');
  } finally {
    await session.end();
  }
}

async function create(session: Session, name: string, form: DatabaseForm | undefined): Promise<void> {
  try {
    await session.script(`CREATE DATABASE ${escapeIdentifier(name)} TEMPLATE template0${form ? formSql(form) : ''}`);
    await session.script(`REVOKE ALL ON DATABASE ${escapeIdentifier(name)} FROM PUBLIC`);
  } catch (error) {
    if (sqlstateOf(error) !== '42501') throw toKasmDbError(error, 'making the temporary database of the rehearsal');
    throw new KasmDbError(
      'environment',
      'a rehearsal needs a database of its own, and this role may make none (SQLSTATE 42501)',
      {
        sqlstate: '42501',
        cause: error,
        hint: 'ALTER ROLE … CREATEDB for the login (or the role of --role), or rehearse on a private server: kasm-db plan --rehearse --embedded',
      },
    );
  }
}

function formSql({ encoding, collate, ctype, provider, locale }: DatabaseForm): string {
  const own = { i: 'icu ICU_LOCALE', b: 'builtin BUILTIN_LOCALE' }[provider];
  const special = own && locale !== null ? ` LOCALE_PROVIDER ${own} ${escapeLiteral(locale)}` : '';
  return ` ENCODING ${escapeLiteral(encoding)} LC_COLLATE ${escapeLiteral(collate)} LC_CTYPE ${escapeLiteral(ctype)}${special}`;
}

async function dropLeftovers(ctx: Context, session: Session): Promise<void> {
  const found = await session.query<{ name: string }>(LEFTOVERS_SQL);
  for (const { name } of found) {
    ctx.events.progress?.(`dropping ${name}, which a rehearsal has left behind`);
    await drop(session, name);
  }
}

async function drop(session: Session, name: string): Promise<void> {
  const sql = `DROP DATABASE IF EXISTS ${escapeIdentifier(name)}`;
  await session.runUninterrupted(`${sql} WITH (FORCE)`).catch(async (error) => {
    // An autovacuum worker is nobody's to end by FORCE; without it the server sends it away.
    if (sqlstateOf(error) !== '42501') throw error;
    await session.runUninterrupted(sql);
  });
}
