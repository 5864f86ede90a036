import { EventEmitter } from 'node:events';
import type { Duplex } from 'node:stream';
import { KasmDbError, messageOf } from '../app/errors.js';
import { checkBody, cutFields } from './wire-messages.js';

/** What a login may say in all, notices and parameters included. */
const LOGIN_BYTES = 1 << 20;
/** No single message is taken that is longer: the driver holds it whole. PostgreSQL's own limit is 1 GB. */
const MESSAGE_BYTES = 32 << 20;
/** An error or notice that is longer is cut: nobody reads more, and a server's text may repeat a statement of any length. */
const ERROR_BYTES = 64 << 10;
/** As many statements as a message of 1 MB can hold; the driver keeps a result for each. */
const MAX_COMMANDS = 250_000;
/** What the driver makes of a message costs memory even where the message is empty. */
const MESSAGE_COST = 256;

/** Type and length. */
const HEAD_BYTES = 5;
const ERROR = 'E'.charCodeAt(0);
const NOTICE = 'N'.charCodeAt(0);

/** Messages that a server may send before it is ready for the first query (PostgreSQL manual, 54.2.1). */
const LOGIN_TYPES = 'RSKENZ';
/** Those of a query (54.7), except what only answers to things that kasm-db never sends. */
const QUERY_TYPES = 'SENZATDCI123nstcGHd';
/** At any time, also where nothing was asked. */
const UNASKED_TYPES = 'SENA';

const SOMETHING_ELSE =
  'check POSTGRES_HOST and POSTGRES_PORT: something else answers there, or something in between breaks what it says';

/** How an authentication request is called that the driver does not know. */
const UNKNOWN_METHODS: Record<number, string> = {
  2: 'Kerberos V5',
  6: 'SCM credentials',
  7: 'GSSAPI',
  8: 'GSSAPI',
  9: 'SSPI',
};

type AuthenticationState = 'none' | 'asked' | 'scram' | 'scram, continued' | 'done';

/**
 * The requests that may come in each state, and what follows: one is asked for, and answered once (PostgreSQL manual, 54.2.1 and 54.3.1). 0 lets us in,
 * 3 asks for the password, 5 for its MD5; 10 to 12 are the steps of SCRAM.
 */
const AUTHENTICATION: Record<AuthenticationState, Partial<Record<number, AuthenticationState>>> = {
  none: { 0: 'done', 3: 'asked', 5: 'asked', 10: 'scram' },
  asked: { 0: 'done' },
  scram: { 11: 'scram, continued' },
  'scram, continued': { 12: 'asked' },
  done: {},
};
const AUTHENTICATION_BYTES: Partial<Record<number, number>> = { 0: 4, 3: 4, 5: 8 };

/**
 * Stands between the socket and pg, which believes whatever a server says: a message without its terminator makes it spin, an announced
 * length makes it collect, an unknown authentication makes it throw where nobody catches. Each message from the server is held until it is
 * whole, checked against the protocol (PostgreSQL manual, chapter 54), and then passed on. What breaks the protocol ends the connection with
 * a KasmDbError `unreachable`.
 */
export class WireGuard {
  private buffer: Buffer = Buffer.alloc(0);
  /** How much of `buffer` is filled. */
  private size = 0;
  /** How much must be there before there is anything to look at: a message's head, or all of it. */
  private wanted = HEAD_BYTES;
  private budget = LOGIN_BYTES;
  private loggedIn = false;
  /** Queries that were sent and are not answered to their end. */
  private pending = 0;
  private authentication: AuthenticationState = 'none';
  private columns = 0;
  private commands = 0;
  private copyIn = false;
  private broken = false;
  private stream: Duplex | undefined;

  /**
   * @param connection pg's, before it connects
   * @param at the server as messages name it
   */
  constructor(
    connection: object,
    private readonly at: string,
  ) {
    const driver = connection as Driver;
    const attach = driver.attachListeners;
    // pg calls it with the socket, or with the TLS socket over it.
    driver.attachListeners = (stream: EventEmitter) => {
      const checked = new EventEmitter();
      this.stream = stream as Duplex;
      attach.call(driver, checked);
      stream.on('data', (chunk: Buffer) => this.take(chunk, checked));
    };
    // Each is answered with one ReadyForQuery.
    for (const method of ['query', 'sync'] as const) {
      const send = driver[method];
      driver[method] = (...args) => {
        this.pending++;
        return send.apply(driver, args);
      };
    }
  }

  /**
   * Bounds what the server may answer from now on, all messages together.
   * @param bytes Number.POSITIVE_INFINITY: each message is bounded, their number is not
   * @returns takes the bound away again
   */
  limit(bytes: number): () => void {
    const before = this.budget;
    this.budget = bytes;
    return () => {
      this.budget = before;
    };
  }

  private take(chunk: Buffer, checked: EventEmitter): void {
    if (this.broken) return;
    try {
      this.collect(chunk);
      if (this.size >= this.wanted) this.passOn((data) => checked.emit('data', data));
    } catch (error) {
      this.broken = true;
      this.buffer = Buffer.alloc(0);
      this.stream?.destroy(
        new KasmDbError('unreachable', `${this.at} does not speak PostgreSQL's protocol: ${messageOf(error)}`, {
          hint: (error instanceof Refused && error.hint) || SOMETHING_ELSE,
          cause: error,
        }),
      );
    }
  }

  /** Grows by doubling, so that a server that sends byte by byte costs no more than one that does not. */
  private collect(chunk: Buffer): void {
    if (this.size === 0) {
      this.buffer = chunk;
      this.size = chunk.length;
      return;
    }
    const size = this.size + chunk.length;
    if (size > this.buffer.length) {
      const grown = Buffer.allocUnsafe(Math.max(size, Math.min(this.wanted, this.buffer.length * 2)));
      this.buffer.copy(grown, 0, 0, this.size);
      this.buffer = grown;
    }
    chunk.copy(this.buffer, this.size);
    this.size = size;
  }

  /** Checks all messages that are whole and gives them to the driver, as few pieces as possible. */
  private passOn(give: (data: Buffer) => void): void {
    const buffer = this.buffer.subarray(0, this.size);
    let given = 0;
    let at = 0;
    const giveUpTo = (end: number) => {
      if (end > given) give(buffer.subarray(given, end));
      given = end;
    };
    this.wanted = HEAD_BYTES;
    try {
      while (buffer.length - at >= HEAD_BYTES) {
        const type = buffer[at] as number;
        const length = buffer.readUInt32BE(at + 1);
        this.checkHead(type, length);
        const end = at + 1 + length;
        if (end > buffer.length) {
          this.wanted = 1 + length;
          break;
        }
        this.budget -= length + MESSAGE_COST;
        const body = buffer.subarray(at + HEAD_BYTES, end);
        this.checkMessage(String.fromCharCode(type), body);
        if ((type === ERROR || type === NOTICE) && length > ERROR_BYTES) {
          giveUpTo(at);
          give(cutFields(type, body, ERROR_BYTES));
          given = end;
        }
        at = end;
      }
    } finally {
      // What came before a broken message was in order: it may hold the server's reason.
      giveUpTo(at);
    }
    this.buffer = Buffer.from(buffer.subarray(at));
    this.size = this.buffer.length;
  }

  private checkHead(type: number, length: number): void {
    const name = String.fromCharCode(type);
    const known = QUERY_TYPES.includes(name) || LOGIN_TYPES.includes(name);
    if (!known) throw new Refused(`a message of unknown type 0x${type.toString(16).padStart(2, '0')}`);
    const allowed = this.loggedIn ? (this.pending > 0 ? QUERY_TYPES : UNASKED_TYPES) : LOGIN_TYPES;
    if (!allowed.includes(name)) throw new Refused(`a message of type ${name} came out of turn`);
    if (length < 4 || length > MESSAGE_BYTES) throw new Refused(`a message announces ${length | 0} bytes`);
    if (this.budget < length + MESSAGE_COST)
      throw new Refused(
        !this.loggedIn ? `the login takes more than ${LOGIN_BYTES} bytes` : 'the answer is far too long',
      );
  }

  private checkMessage(type: string, body: Buffer): void {
    const fields = checkBody(type, body);
    if (fields === undefined) throw new Refused(`a message of type ${type} is malformed`);
    switch (type) {
      case 'R':
        this.checkAuthentication(body);
        return;
      case 'T':
        this.columns = fields;
        // The driver makes an object of each.
        this.budget -= fields * MESSAGE_COST;
        return;
      case 'D':
        if (fields !== this.columns)
          throw new Refused(`a row of ${fields} columns, where ${this.columns} were announced`);
        return;
      case 'C':
        this.copyIn = false;
        if (++this.commands > MAX_COMMANDS) throw new Refused('there are more answers than queries');
        return;
      case 'G':
        // The driver answers each one.
        if (this.copyIn) throw new Refused('it asks again for rows that it was refused');
        this.copyIn = true;
        return;
      case 'Z':
        if (this.loggedIn) this.pending--;
        else if (this.authentication !== 'done') throw new Refused('it is ready before the login is done');
        else this.budget = Number.POSITIVE_INFINITY;
        this.loggedIn = true;
        this.commands = 0;
        this.copyIn = false;
    }
  }

  private checkAuthentication(body: Buffer): void {
    const code = body.readInt32BE(0);
    const method = UNKNOWN_METHODS[code];
    if (method !== undefined)
      throw new Refused(
        `it asks for a login by ${method}, which kasm-db does not have`,
        'give this login scram-sha-256 in pg_hba.conf',
      );
    if (![0, 3, 5, 10, 11, 12].includes(code)) throw new Refused(`it asks for a login of unknown kind ${code}`);
    if (body.length !== (AUTHENTICATION_BYTES[code] ?? body.length) || (code === 10 && body.length === 5))
      throw new Refused('an authentication message has the wrong length');
    if (code === 0 && this.authentication.startsWith('scram'))
      throw new Refused('it lets us in before it has proved that it knows the password');
    const next = AUTHENTICATION[this.authentication][code];
    if (next === undefined) throw new Refused('it asks for a login a second time, or out of turn');
    this.authentication = next;
  }
}

interface Driver {
  attachListeners(stream: EventEmitter): void;
  query(...args: unknown[]): unknown;
  sync(...args: unknown[]): unknown;
}

class Refused extends Error {
  constructor(
    message: string,
    readonly hint?: string,
  ) {
    super(message);
  }
}
