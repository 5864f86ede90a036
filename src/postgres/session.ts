import type { QueryResult } from 'pg';
import { KasmDbError } from '../app/errors.js';
import type { Context } from '../config/context.js';
import type { Client } from './client.js';
import { type ConnectOptions, connect } from './connect.js';
import { withDeadline } from './deadline.js';
import { cancellable, cutAfterAbort, destroy, disconnect, reasonOf } from './query.js';
import { type ScriptRun, sendScript } from './script.js';
import { isServerError, isWarning } from './server-error.js';
import {
  AROUND_FILE_SETTINGS,
  type Bounds,
  DISCARD_REST,
  FILE_SETTINGS,
  OWN_SETTINGS,
  protectiveSettings,
  RESET_SETTINGS,
  setSql,
  settingsSql,
  shortDeadlockTimeout,
} from './session-settings.js';
import { sqlstateOf, toKasmDbError } from './sqlstate.js';
import { beginError, commitError, interruptedInCommit, interruptedInReplication } from './transaction-errors.js';

/** read: one snapshot, nothing is written. write: statements of our own. migration: a migration's file, which alone sees schema public. */
export type TransactionKind = 'read' | 'write' | 'migration';

/** How a session is opened; default: tried until connectTimeoutMs is over. */
export type SessionOptions = Pick<ConnectOptions, 'once'>;

/**
 * A statement that begins so goes to the primary, whatever pgpool-II is told of its functions (its manual, "Load Balancing"): else it may send the
 * lock, or a look at the history under it, to a standby. To PostgreSQL it is a comment.
 */
export const TO_PRIMARY = '/*NO LOAD BALANCE*/ ';

/** No server needs longer for settings. */
const BEGIN_MS = 30_000;
/** How long the last thing that a run writes may wait for a lock. */
const LAST_WRITE_MS = 1000;
/** What the way to a server and back may add to the time that it gives itself. */
const SLOW_NETWORK_MS = 5000;
/** A catalog of 5,000 tables is some 20 MB, and locks may be waited for on the way. */
const CATALOG_MS = 600_000;
const CATALOG_BYTES = 64 << 20;

const BEGIN_READ = 'BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY';
const BEGIN_WRITE = 'BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE';

/** A value that the platform cannot have, a setting that is not known, not to be changed or not to be set by this role. */
const REFUSES_SETTING = new Set(['22023', '42704', '55P02', '42501', '0A000']);

/**
 * A connection, and the rule for every statement on it: it stands in a transaction that was begun with the settings of its kind, all of them LOCAL,
 * so that nothing outlives it behind a pooler.
 */
export class Session {
  /** What only protects and the server does not take, such as client_connection_check_interval on Windows; known once a transaction was begun. */
  readonly refusedSettings = new Set<string>();
  /** The transaction, if there is one, is for reading. */
  #reads = true;
  readonly #disarm: () => void;

  private constructor(
    readonly client: Client,
    /** Role to SET, beside the login's. */
    readonly role: string | undefined,
    private readonly signal: AbortSignal,
  ) {
    this.#disarm = cutAfterAbort(client, signal);
  }

  /** @throws KasmDbError unreachable, usage */
  static async open({ resolve, signal, events }: Context, { once }: SessionOptions = {}): Promise<Session> {
    const client = await connect(resolve, { once, signal, onRetry: events.retryConnect });
    client.on('notice', (notice) => events.notice?.(notice.message ?? '', isWarning(notice)));
    return new Session(client, resolve().role, signal);
  }

  /** As the login named it. */
  get database(): string {
    return this.client.database ?? '';
  }

  /** server_version_num, such as 160014. */
  get serverVersion(): number {
    const [major = 0, minor = 0] = (this.client.reported.server_version ?? '').split(/[^0-9]+/).map(Number);
    return major * 10_000 + minor;
  }

  /** The transaction that was begun is still open, and has not failed. */
  get inTransaction(): boolean {
    return this.client.getTransactionStatus() === 'T';
  }

  /** Runs one statement, or several without values; the signal cancels it. @returns all rows @throws the driver's errors; the signal's reason */
  // biome-ignore lint/suspicious/noExplicitAny: rows of whatever is asked.
  async query<R extends Record<string, any> = any>(sql: string, values?: unknown[]): Promise<R[]> {
    const results = await this.#results(this.#reads ? sql : TO_PRIMARY + sql, values);
    return results.flatMap(({ rows }) => rows);
  }

  /** Asks several things at once, as one message. @param asked one statement each @returns the rows of each */
  // biome-ignore lint/suspicious/noExplicitAny: rows of whatever is asked.
  async ask<K extends string>(asked: Partial<Record<K, string>>): Promise<Partial<Record<K, any[]>>> {
    const keys = Object.keys(asked) as K[];
    if (keys.length === 0) return {};
    const results = await this.#results(keys.map((key) => asked[key]).join(';\n'));
    return Object.fromEntries(keys.map((key, i) => [key, results[i]?.rows])) as Partial<Record<K, unknown[]>>;
  }

  /** One for each statement; the driver gives a list only where there are several. */
  async #results(text: string, values?: unknown[]): Promise<QueryResult[]> {
    const result = await cancellable(this.client, this.signal, () => this.client.query(text, values));
    return [result].flat();
  }

  /** Runs SQL text of one or many statements and drops its rows. @param run told how far it came */
  async script(sql: string, run: ScriptRun = { completed: 0 }): Promise<void> {
    await cancellable(this.client, this.signal, () => sendScript(this.client, sql, run));
  }

  /** COPY … FROM STDIN, which no log_statement setting shows. */
  async copyIn(sql: string, chunks: Iterable<string>): Promise<void> {
    const { copyIn } = await import('./copy.js');
    await cancellable(this.client, this.signal, () => copyIn(this.client, sql, chunks));
  }

  /** @throws KasmDbError environment when the role may not be taken, or a pooler cannot hold a transaction */
  async begin(kind: TransactionKind, bounds: Bounds = {}): Promise<void> {
    this.#reads = kind === 'read';
    try {
      const begin = this.#reads ? [BEGIN_READ] : [BEGIN_WRITE];
      // Behind a pooler others' temporary tables may be there, which a file would take for those of public.
      if (kind === 'migration') begin.push(DISCARD_REST);
      if (!this.#reads) begin.push(shortDeadlockTimeout(this.serverVersion));
      begin.push(settingsSql(kind === 'migration' ? AROUND_FILE_SETTINGS : OWN_SETTINGS, this, bounds));
      await withDeadline(this.client, BEGIN_MS, () => this.script(begin.join('; ')));
    } catch (error) {
      await this.rollback();
      if (REFUSES_SETTING.has(sqlstateOf(error) ?? '') && (await this.#findRefused())) return this.begin(kind, bounds);
      throw beginError(error, this.role);
    }
  }

  /**
   * Runs `work` in a read-only transaction of our own. A server that does not answer, or not to the end, loses the connection: soon where
   * statementTimeoutMs should have ended it, else after what the largest catalog takes.
   */
  async reading<T>(work: () => Promise<T>, bounds: Bounds = {}): Promise<T> {
    const { statementTimeoutMs } = bounds;
    const read = async () => {
      await this.begin('read', bounds);
      try {
        const result = await work();
        await this.query('COMMIT');
        return result;
      } catch (error) {
        await this.rollbackStatement();
        throw error;
      }
    };
    return statementTimeoutMs
      ? withDeadline(this.client, statementTimeoutMs + SLOW_NETWORK_MS, read)
      : withDeadline(this.client, CATALOG_MS, read, { bytes: CATALOG_BYTES });
  }

  /** Gives the session itself to statements that run outside of a transaction: a file's, or our own. Never behind a pooler. */
  async settle(whose: 'file' | 'own', bounds: Bounds): Promise<void> {
    const settings = settingsSql(whose === 'file' ? FILE_SETTINGS : OWN_SETTINGS, this, bounds, 'SESSION');
    const defaults = "SET default_transaction_read_only = off; SET default_transaction_isolation = 'read committed'";
    await this.script(`${settings}; ${defaults}`);
  }

  /** A transaction within such a file: what the file has set holds in it. */
  async beginStatement(lockTimeoutMs: number): Promise<void> {
    const patience = `SET LOCAL lock_timeout = ${Math.round(lockTimeoutMs)}`;
    await this.script([BEGIN_WRITE, shortDeadlockTimeout(this.serverVersion), patience].join('; '));
  }

  /** SQL that gives the rest of it to our own statements, whatever role or session authorization the file has set. */
  forUsInStatement(bounds: Bounds = {}): string {
    return `SET LOCAL SESSION AUTHORIZATION DEFAULT; SET LOCAL role TO DEFAULT; ${settingsSql(OWN_SETTINGS, this, bounds)}`;
  }

  /** Ends it with a statement of our own. @param lockTimeoutMs how long that may wait for who has its table */
  async commitStatement(what: string, sql: string, lockTimeoutMs: number): Promise<void> {
    await this.#commit(what, `${this.forUsInStatement({ lockTimeoutMs })}; ${sql}; COMMIT`);
  }

  /** Undoes it; what the file has set stays. */
  async rollbackStatement(): Promise<void> {
    await this.client.query('ROLLBACK').catch(() => {});
  }

  /** SQL that gives the next message of a transaction to a migration's file. */
  forFile(): string {
    return setSql(FILE_SETTINGS);
  }

  /** SQL that gives the rest of a transaction to our own statements again, whatever a file has set. */
  forUs(): string {
    return `${RESET_SETTINGS}; ${settingsSql(OWN_SETTINGS, this)}`;
  }

  /** Writes in a short transaction, also after the signal has come: how a run ended. Waits for nobody for long. */
  async writeUninterrupted(sql: string): Promise<void> {
    const settings = settingsSql(OWN_SETTINGS, this, { lockTimeoutMs: LAST_WRITE_MS });
    await this.client.query(`${BEGIN_WRITE}; ${settings}; ${sql}; COMMIT`);
  }

  /** Runs a statement of our own outside of a transaction, after `settle`; also after the signal has come. */
  async runUninterrupted(sql: string): Promise<void> {
    await this.client.query(sql);
  }

  /**
   * Runs `sql`, COMMIT, and puts away what is left of the session, as one message.
   * @param what for messages, such as the migration's name
   * @throws KasmDbError; unreachable where the answer was lost, so that nobody knows whether it is committed
   */
  async commit(what: string, sql?: string): Promise<void> {
    await this.#commit(what, `${sql ? `${sql}; ` : ''}COMMIT; ${DISCARD_REST}`).catch(async (error) => {
      await this.rollback();
      throw error;
    });
  }

  async #commit(what: string, message: string): Promise<void> {
    this.signal.throwIfAborted();
    const run = { completed: 0, tags: [] as string[] };
    let failure: unknown;
    let isReplicated = true;
    const onNotice = ({ routine }: { routine?: string | undefined }) => {
      if (routine === 'SyncRepWaitForLSN') isReplicated = false;
    };
    this.client.on('notice', onNotice);
    const send = () =>
      sendScript(this.client, message, run).catch((error) => {
        failure = reasonOf(this.client, error);
      });
    await cancellable(this.client, this.signal, send).catch((error) => {
      failure ??= error;
    });
    this.client.off('notice', onNotice);
    if (!isReplicated && this.signal.aborted) throw interruptedInReplication(what, this.signal.reason);
    // What was sent behind COMMIT may fail without harm, and a signal that came meanwhile is told by what follows.
    if (run.tags.includes('COMMIT')) return;
    if (this.signal.aborted && !isServerError(failure)) throw interruptedInCommit(what, this.signal.reason);
    this.signal.throwIfAborted();
    throw commitError(what, failure);
  }

  /** Rolls back and puts away what is left of the session; a connection that is gone has already done so. */
  async rollback(): Promise<void> {
    await this.client.query(`ROLLBACK; ${RESET_SETTINGS}; ${DISCARD_REST}`).catch(() => {});
  }

  /** Puts away what statements without a transaction have left. */
  async reset(): Promise<void> {
    await this.client.query(`${RESET_SETTINGS}; ${DISCARD_REST}`).catch(() => {});
  }

  async end(): Promise<void> {
    await disconnect(this.client);
    this.#disarm();
  }

  /** Ends it at once, whatever it is doing, and without a cancel request. */
  cut(): void {
    destroy(this.client);
    this.#disarm();
  }

  /** Asks for each by itself; outside of a transaction SET LOCAL is checked and has no effect. @returns another one was found */
  async #findRefused(): Promise<boolean> {
    const before = this.refusedSettings.size;
    for (const setting of protectiveSettings(this.serverVersion)) {
      await this.client.query(setSql([setting])).catch((error) => {
        if (REFUSES_SETTING.has(sqlstateOf(error) ?? '')) this.refusedSettings.add(setting[0]);
      });
    }
    return this.refusedSettings.size > before;
  }
}

/**
 * Opens a session, runs `work`, and ends it whatever happens.
 * @param doing for messages, in the form "rolling back"
 * @throws KasmDbError
 */
export async function withSession<T>(
  ctx: Context,
  doing: string,
  work: (session: Session) => Promise<T>,
  options: SessionOptions = {},
): Promise<T> {
  const session = await Session.open(ctx, options);
  try {
    return await work(session);
  } catch (error) {
    if (!(error instanceof KasmDbError)) ctx.signal.throwIfAborted();
    throw toKasmDbError(error, doing);
  } finally {
    await session.end();
  }
}
