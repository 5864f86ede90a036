import type { Client } from '../postgres/client.js';
import type { Session } from '../postgres/session.js';
import { toKasmDbError } from '../postgres/sqlstate.js';
import { assemble, type Rows } from './assemble.js';
import type { Schema } from './model.js';
import { attachmentsSql, policiesSql, triggersSql } from './queries/attached.js';
import { constraintsSql, indexesSql } from './queries/constraints.js';
import { collationsSql, extensionsSql, schemasSql } from './queries/namespaces.js';
import { dependenciesSql, neededOthersSql, neededStrangersSql, othersSql } from './queries/others.js';
import { columnsSql, relationsSql, sequencesSql } from './queries/relations.js';
import { routinesSql, typesSql } from './queries/routines.js';
import { stabilize } from './stable-text.js';
import { unqualifyViews } from './view-text.js';

/** One question to the catalogs for each kind of object. */
const QUERIES: Record<keyof Rows, (version: number) => string> = {
  schemas: schemasSql,
  extensions: extensionsSql,
  collations: collationsSql,
  others: othersSql,
  relations: relationsSql,
  columns: columnsSql,
  sequences: sequencesSql,
  constraints: constraintsSql,
  indexes: indexesSql,
  triggers: triggersSql,
  policies: policiesSql,
  attachments: attachmentsSql,
  routines: routinesSql,
  types: typesSql,
  dependencies: dependenciesSql,
};

/**
 * pg_get_viewdef() takes ACCESS SHARE: whoever rebuilds a view must not make us wait for ever. What PostgreSQL takes for costly, since it does not know
 * how cheap its own functions are, would be compiled first.
 */
const SETTINGS =
  "SET LOCAL search_path = pg_catalog; SET LOCAL lock_timeout = '5s'; SET LOCAL jit = off; SET LOCAL statement_timeout = '60s'";

/**
 * Reads the whole catalog, of one moment, in a transaction of its own that cannot write.
 * @throws KasmDbError locked when a view is being rebuilt for more than 5 s
 */
export async function introspect(session: Session): Promise<Schema> {
  return session.reading(() => introspectHere(session.client));
}

/**
 * The same inside the caller's transaction, which has search_path pg_catalog afterwards: only so does PostgreSQL write the schema before
 * every name.
 */
export async function introspectHere(client: Client): Promise<Schema> {
  const kinds = Object.keys(QUERIES) as (keyof typeof QUERIES)[];
  try {
    await client.query(SETTINGS);
    const { rows: version } = await client.query<{ v: number }>(
      "SELECT current_setting('server_version_num')::integer AS v",
    );
    const serverVersion = version[0]?.v as number;
    const texts = kinds.map((kind) => QUERIES[kind](serverVersion));
    // One message, one round trip; each text has a result of its own.
    const results = (await client.query(texts.join(';\n'))) as unknown as { rows: never[] }[];
    const rows = Object.fromEntries(kinds.map((kind, i) => [kind, results[i]?.rows ?? []])) as unknown as Rows;
    // Most databases have nothing of the kind, and need not be asked what stands on it.
    if (rows.others.length > 0) rows.others = (await client.query(neededOthersSql(serverVersion))).rows;
    return await unqualifyViews(stabilize(assemble(rows)));
  } catch (error) {
    throw toKasmDbError(error, 'reading the catalog');
  }
}

/**
 * Roles that are not trusted and have made something here, each with the ids of what it has made and of what cannot be there without that. Within a
 * transaction of our own.
 */
export async function readStrangers(session: Session): Promise<Schema['others']> {
  return session.query(neededStrangersSql(session.serverVersion));
}
