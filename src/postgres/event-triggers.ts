import { KasmDbError } from '../app/errors.js';
import type { Session } from './session.js';

/** Event triggers that are on, and the function that each of them calls. */
const SQL = `SELECT t.evtname AS name, p.proname AS function, pg_get_userbyid(t.evtowner) AS owner
FROM pg_event_trigger t JOIN pg_proc p ON p.oid = t.evtfoid WHERE t.evtenabled <> 'D' ORDER BY 1`;

const NAMED = 'it is the event trigger';

/**
 * Whatever DDL a host's event trigger refuses, the words and the SQLSTATE are its own; only CONTEXT tells that it ran. Names it.
 * @param session whose transaction is rolled back
 */
export async function namingEventTrigger(session: Session, error: KasmDbError): Promise<KasmDbError> {
  const { context } = error.details;
  if (context === undefined) return error;
  const triggers = await session.reading(() => session.query(SQL)).catch(() => []);
  const ran = triggers.find(({ function: name }) => context.includes(` ${name}() `) || context.includes(`.${name}() `));
  if (!ran || error.message.includes(NAMED)) return error;
  const { hint: _replaced, ...details } = error.details;
  const said = (error.cause as { hint?: string } | undefined)?.hint;
  return new KasmDbError(error.outcome, `${error.message}; ${NAMED} ${ran.name} of ${ran.owner} that stopped it`, {
    ...details,
    hint: `ask who made the event trigger (the database's host, perhaps) what it allows; who owns it: ALTER EVENT TRIGGER "${ran.name}" DISABLE, then run this again, then ENABLE${said ? `; it says: ${said}` : ''}`,
    exitCode: error.exitCode,
    cause: error.cause,
  });
}
