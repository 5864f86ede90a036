import { escapeLiteral } from 'pg';
import { VERSION } from '../app/version.js';
import type { RunLog } from '../history/run-row.js';
import type { Migration } from '../migrations/files.js';
import type { Client } from '../postgres/client.js';
import { pipeline, type ScriptRun, sendScript } from '../postgres/script.js';
import { isConnectionLost, isServerError } from '../postgres/sqlstate.js';
import {
  BEGIN_SQL,
  beginSql,
  RESET_SQL,
  SEARCH_PATH,
  type SessionOptions,
  sessionSql,
} from '../postgres/transaction.js';
import { quickStatements } from './quick.js';

/** PostgreSQL 14 is the first that notices in the middle of a statement that its client was killed (TRAPS 4). */
const MIN_QUICK_VERSION = 140_000;
/** A larger file is not quick, and may be sent in pieces. */
const MAX_QUICK_CHARACTERS = 1_000_000;

/** A quick migration that is on its way. */
export interface Sent {
  run: Required<ScriptRun>;
  /** Statements of its file. */
  statements: number;
  /** Its message goes on to begin the next one's transaction. */
  begins: boolean;
  /** Never rejects. */
  ended: Promise<{ error?: unknown }>;
}

/**
 * The session of a run that no pooler shares. From one quick migration to the next it keeps its settings and a prepared statement that records
 * one; any other migration begins and ends with settings of its own, since nobody knows what it leaves behind (TRAPS 10).
 *
 * A quick migration is one message: its file, its record, COMMIT, and the next one's BEGIN. The message of the next is sent before the answer to
 * this one is there, which is safe because it has no effect where this one fails: within its failed transaction every statement is refused. Where
 * COMMIT itself failed, no transaction is begun; the message is one all the same (manual: "Multiple Statements in a Simple Query"), and its record
 * is refused, as it asks for the row of the one before it. A run that is killed may have both committed, each with its record.
 */
export class OwnSession {
  /** The next migration's transaction is begun. */
  begun = false;
  /** Settings and prepared statement are in place. */
  #settled = false;
  #quick = new Map<number, number | undefined>();
  #sent = new Map<number, Sent>();

  constructor(
    readonly options: SessionOptions,
    private readonly client: Client,
    private readonly log: RunLog,
    private readonly pending: readonly Migration[],
  ) {}

  /** Is this migration's transaction begun, or will it be by a message that is on its way? */
  isBegun(index: number): boolean {
    return this.begun || this.#sent.has(index);
  }

  /**
   * May the file travel in one message with its record and its COMMIT? The last one doesn't: its record ends the run.
   * @returns the number of its statements, or undefined
   */
  async quick(index: number): Promise<number | undefined> {
    const migration = this.pending[index];
    if (!migration?.transaction || index + 1 === this.pending.length) return undefined;
    if (this.options.serverVersion < MIN_QUICK_VERSION) return undefined;
    if (!this.#quick.has(index)) {
      const sql = await migration.sql();
      this.#quick.set(index, sql.length > MAX_QUICK_CHARACTERS ? undefined : quickStatements(sql));
    }
    return this.#quick.get(index);
  }

  /** From now on the migration is applied in the careful way. */
  distrust(index: number): void {
    this.#quick.set(index, undefined);
  }

  /** SQL that begins a migration's transaction; undefined where it runs in none, or the session has to be settled before. */
  async beginning(index: number): Promise<string | undefined> {
    const migration = this.pending[index];
    if (!migration?.transaction) return undefined;
    const lockTimeoutMs = migration.lockTimeoutMs ?? this.options.lockTimeoutMs;
    if ((await this.quick(index)) === undefined) return beginSql({ ...this.options, lockTimeoutMs });
    if (!this.#settled) return undefined;
    return `${BEGIN_SQL}; SET LOCAL lock_timeout = ${Math.round(lockTimeoutMs)}`;
  }

  /** Begins a migration's transaction. */
  async begin(index: number): Promise<void> {
    if ((await this.beginning(index)) === undefined) {
      // Outside of a transaction, whose end could take it back.
      await this.client.query(`${RESET_SQL}; ${sessionSql(this.options)}; DEALLOCATE ALL; ${this.#prepareSql()}`);
      this.#settled = true;
      pipeline(this.client);
    }
    await this.client.query((await this.beginning(index)) as string);
    this.begun = true;
  }

  /** Sends a quick migration whose transaction is begun, or will be by the message before it; and the next one, if that is quick too. */
  async send(index: number): Promise<Sent> {
    const sent = await this.#sendOne(index);
    if (sent.begins && (await this.quick(index + 1)) !== undefined) await this.#sendOne(index + 1);
    return sent;
  }

  /**
   * The migration is committed.
   * @param error of what was sent behind its COMMIT: it shows again when that is done by itself
   * @returns can the session go on as it is?
   */
  committed(index: number, error: unknown): boolean {
    this.begun = error === undefined && this.#sent.get(index)?.begins === true;
    this.#sent.delete(index);
    return error === undefined || this.#sent.has(index + 1);
  }

  /** Something may have been done in this session, and nothing that was sent is waited for any more. */
  unsettle(): void {
    this.begun = false;
    this.#settled = false;
    this.#sent.clear();
  }

  async #sendOne(index: number): Promise<Sent> {
    const known = this.#sent.get(index);
    if (known) return known;
    const migration = this.pending[index] as Migration;
    const beginning = await this.beginning(index + 1);
    const run = { completed: 0, tags: [] };
    // The file may end in a comment, or without a semicolon.
    const message = `${await migration.sql()}\n;${this.#recordSql(index)}; COMMIT${beginning ? `; ${beginning}` : ''}`;
    const sent = {
      run,
      statements: (await this.quick(index)) as number,
      begins: beginning !== undefined,
      ended: sendScript(this.client, message, run).then(
        () => ({}),
        (error: unknown) => ({ error }),
      ),
    };
    this.#sent.set(index, sent);
    return sent;
  }

  #recordSql(index: number): string {
    const { name, checksum, minCompatible } = this.pending[index] as Migration;
    const values = [name, checksum, minCompatible, this.pending[index - 1]?.name, this.pending[index + 1]?.name];
    const literals = values.map((value) => (value === undefined ? 'NULL' : escapeLiteral(value)));
    return `EXECUTE kasm_db_record (${literals.join(', ')}, ${index + 1})`;
  }

  /**
   * Refused, by the column that may not be NULL, where the one before it isn't recorded or a setting is not as it was. Its times are those of
   * its message: now() is when its transaction was begun, by the message before it.
   */
  #prepareSql(): string {
    const role = escapeLiteral(this.options.role ?? 'none');
    return `PREPARE kasm_db_record (text, text, text, text, text, integer) AS WITH recorded AS (
  INSERT INTO kasm_db.migrations (name, checksum, applied_at, duration_ms, applied_by, app_version, kind, min_compatible)
  VALUES ($1, CASE WHEN ($4 IS NULL OR EXISTS (SELECT FROM kasm_db.migrations WHERE name = $4))
      AND session_user = ${escapeLiteral(this.client.user as string)} AND pg_catalog.current_setting('role') = ${role}
      AND pg_catalog.current_setting('search_path') = '${SEARCH_PATH}' AND pg_catalog.current_setting('statement_timeout') = '0' THEN $2 END,
    pg_catalog.statement_timestamp(), pg_catalog.date_part('epoch', pg_catalog.clock_timestamp() - pg_catalog.statement_timestamp()) * 1000, session_user, ${escapeLiteral(VERSION)}, 'sql', $3))
UPDATE kasm_db.run SET current = $5, done = $6 WHERE id = 1 AND run_id = '${this.log.id}'`;
  }
}

/** A quick migration was rolled back, and is to be applied in the careful way. */
export class Distrusted extends Error {}

/**
 * May the failure of a quick migration be one of the way it was sent? It may where its record is refused or cannot even be asked for, and where
 * it isn't in a transaction of its own. A syntax error is to be told of the file alone: an open string would go on in the record.
 */
export function isDistrusted(error: unknown, { run, statements }: Sent): boolean {
  if (!isServerError(error) || isConnectionLost(error) || run.completed > statements) return false;
  return run.completed === statements || error.code === '25P02' || error.code === '42601';
}
