import { escapeIdentifier, escapeLiteral } from 'pg';
import { KasmDbError } from '../app/errors.js';
import { createdExtensions, leaveOut } from '../migrations/extensions.js';
import { isServerError, shownOf, withServerHint } from '../postgres/server-error.js';
import type { Session } from '../postgres/session.js';

/** How long trying one out may wait for a lock, in milliseconds. */
const TRY_LOCK_TIMEOUT_MS = 2000;

/** A file that drops an extension by itself, or with its schema, may make it anew. */
const DROPS_EXTENSION = /\bdrop(?:\s|--[^\n]*\n|\/\*.*?\*\/)+(?:extension|schema|owned)\b/is;

/**
 * What of a migration's file is sent: without CREATE EXTENSION IF NOT EXISTS of what is there, and still is when the file comes to it. Hosts refuse such a statement although it would do
 * nothing (Azure for what is not in azure.extensions), or run event triggers of their own for it.
 */
export async function withoutPresentExtensions(session: Session, sql: string): Promise<string> {
  const statements = createdExtensions(sql).filter(({ ifNotExists }) => ifNotExists);
  if (statements.length === 0) return sql;
  const present = await presentExtensions(session);
  return leaveOut(
    sql,
    statements.filter(({ name, start }) => present.has(name) && !DROPS_EXTENSION.test(sql.slice(0, start))),
  );
}

async function presentExtensions(session: Session): Promise<Set<string>> {
  return new Set((await session.query('SELECT extname AS name FROM pg_catalog.pg_extension')).map(({ name }) => name));
}

/**
 * Asks the server what migrate will ask it, in a transaction that is rolled back: only the statement itself meets a host's lists and triggers.
 * @returns it is there already, or would be made
 * @throws KasmDbError environment where the server refuses; whatever begins a transaction may throw
 */
export async function tryExtension(session: Session, name: string): Promise<'there' | 'can be made'> {
  const there = `SELECT EXISTS (SELECT FROM pg_extension WHERE extname = ${escapeLiteral(name)}) AS there`;
  const [found] = await session.reading(() => session.query(there));
  if (found.there) return 'there';
  try {
    await session.begin('migration', { lockTimeoutMs: TRY_LOCK_TIMEOUT_MS });
    await session.script(`${session.forFile()}; CREATE EXTENSION ${escapeIdentifier(name)}`);
    return 'can be made';
  } catch (error) {
    if (!isServerError(error)) throw error;
    const hint = extensionHint(name, error.code) ?? `in this database: CREATE EXTENSION ${escapeIdentifier(name)}`;
    throw new KasmDbError(
      'environment',
      `the extension ${name} cannot be made: ${error.message} (SQLSTATE ${error.code})`,
      {
        ...shownOf(error),
        hint: withServerHint(hint, error) as string,
        cause: error,
      },
    );
  } finally {
    await session.rollback();
  }
}

/** An extension that this role may not create, or whose files the server lacks, is an admin's to make. */
export function extensionHint(name: string, sqlstate: string): string | undefined {
  const written = /^[a-z_][a-z0-9_]*$/.test(name) ? name : escapeIdentifier(name);
  const create = `an admin has to run in this database: CREATE EXTENSION IF NOT EXISTS ${written};`;
  if (sqlstate === '42501') return create;
  if (sqlstate === '58P01')
    return `install the extension's files on the server (package postgresql-contrib), then ${create}`;
  // A host's own ways of saying no: Azure's azure.extensions, an event trigger.
  if (['0A000', '22023', '55000', 'P0001'].includes(sqlstate))
    return `have the server or its host allow the extension (Azure: azure.extensions), or its files installed (package postgresql-contrib), then ${create}`;
  return undefined;
}
