import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { EXIT_CODES, KasmDbError } from '../../src/app/errors.js';
import { isConnectionLost, sqlstateOf, toKasmDbError } from '../../src/postgres/sqlstate.js';

/** As pg hands over an ErrorResponse of the server. */
function serverError(code: string, more: object = {}): Error {
  return Object.assign(new Error('duplicate key value'), {
    severity: 'ERROR',
    code,
    detail: 'Key (password)=(hunter2) already exists.',
    where: 'COPY users, line 1: "hunter2"',
    ...more,
  });
}

const networkError = (code: string) => Object.assign(new Error(`connect ${code} 10.0.0.7:5432`), { code });

describe('toKasmDbError › which outcome a SQLSTATE has', () => {
  it.each([
    ['08000', 'unreachable'],
    ['08003', 'unreachable'],
    ['08006', 'unreachable'],
    ['08P01', 'unreachable'],
    ['28000', 'unreachable'],
    ['28P01', 'unreachable'],
    ['53300', 'unreachable'],
    ['57P01', 'unreachable'],
    ['57P02', 'unreachable'],
    ['57P03', 'unreachable'],
    ['57P05', 'unreachable'],
    ['25P03', 'unreachable'],
    ['40001', 'locked'],
    ['40P01', 'locked'],
    ['55P03', 'locked'],
    ['42501', 'environment'],
    ['25006', 'environment'],
    ['58P01', 'environment'],
    ['42601', 'failed'],
    ['42P07', 'failed'],
    ['23505', 'failed'],
    ['2D000', 'failed'],
    ['57014', 'failed'],
    ['53100', 'failed'],
    ['53200', 'failed'],
    ['XX000', 'failed'],
    ['P0001', 'failed'],
  ] as const)('%s is %s', (code, outcome) => {
    const error = toKasmDbError(serverError(code), 'applying 0003_zones');
    expect(error).toMatchObject({
      outcome,
      exitCode: EXIT_CODES[outcome],
      message: `applying 0003_zones: duplicate key value (SQLSTATE ${code})`,
      details: { sqlstate: code },
    });
    expect(sqlstateOf(error)).toBe(code);
  });

  it('depends on the code alone: never on the words, which come in any language, nor on the severity', () => {
    const code = fc.string({
      unit: fc.constantFrom(...'0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ'),
      minLength: 5,
      maxLength: 5,
    });
    fc.assert(
      fc.property(code, fc.string(), fc.constantFrom('ERROR', 'FATAL', 'FEHLER'), (sqlstate, message, severity) => {
        const said = toKasmDbError(Object.assign(serverError(sqlstate, { severity }), { message }), 'x');
        expect(said.outcome).toBe(toKasmDbError(serverError(sqlstate), 'x').outcome);
      }),
    );
  });
});

describe('toKasmDbError › what it never says', () => {
  it('DETAIL where it repeats the values of a row', () => {
    const code = fc.constantFrom('23505', '23502', '23514', '23P01', '22P02', '22001', '44000');
    fc.assert(
      fc.property(code, (sqlstate) => {
        const { message, details } = toKasmDbError(serverError(sqlstate), 'seeding');
        expect(JSON.stringify({ message, details })).not.toContain('hunter2');
      }),
    );
  });

  it('of CONTEXT anything but the calls, in whichever language', () => {
    const where = [
      'COPY users, line 1, column password: "hunter2"',
      'SQL statement "INSERT INTO users',
      "  VALUES (1, 'hunter2'), (f(), $$hunter2$$)\"",
      'SQL-Anweisung »SELECT f(hunter2)«',
      "unnamed portal with parameters: $1 = 'hunter2'",
      'PL/pgSQL-Funktion public.f(integer) Zeile 3 bei SQL-Anweisung',
      'fonction PL/pgSQL g(), ligne 4 à RAISE',
    ].join('\n');
    const { message, details } = toKasmDbError(serverError('42501', { where, detail: undefined }), 'seeding');
    expect(JSON.stringify({ message, details })).not.toContain('hunter2');
    expect(details.context).toBe(
      'PL/pgSQL-Funktion public.f(integer) Zeile 3 bei SQL-Anweisung; fonction PL/pgSQL g(), ligne 4 à RAISE',
    );
  });

  it('but DETAIL where it tells of something else', () => {
    expect(toKasmDbError(serverError('42501', { detail: 'no\n CONNECT' }), 'x').details.detail).toBe('no CONNECT');
  });
});

describe('toKasmDbError › the hint', () => {
  it("is the server's own, where it has one", () => {
    expect(toKasmDbError(serverError('53200', { hint: 'You might need to …' }), 'x').details.hint).toBe(
      'You might need to …',
    );
  });

  it.each([
    ['53100', /no disk space left/],
    ['53200', /max_locks_per_transaction/],
    ['25006', /connect to the primary/],
    ['42501', /grant the privilege/],
  ])('of %s, where the server has none', (code, hint) => {
    expect(toKasmDbError(serverError(code), 'x').details.hint).toMatch(hint);
  });

  it("of the caller comes first, and the server's own behind it", () => {
    expect(toKasmDbError(serverError('42501', { hint: 'no' }), 'x', { hint: 'yes' }).details.hint).toBe(
      'yes; PostgreSQL says: no',
    );
  });

  it.each([
    ['query_timeout', /query_timeout.*KASM_DB_DIRECT_URL/],
    ['query_wait_timeout', /larger pool.*KASM_DB_DIRECT_URL/],
    ['no more connections allowed (max_client_conn)', /max_client_conn/],
    ['PQexec disallowed', /disable_pqexec/],
    ['unsupported startup parameter: options', /unset PGOPTIONS/],
  ])('of a pooler that says "%s"; of PostgreSQL, which names its routine, nothing like it', (words, hint) => {
    const said = (more: object) =>
      toKasmDbError(Object.assign(serverError('08P01', more), { message: words }), 'x').details.hint;
    expect(said({})).toMatch(hint);
    expect(said({ routine: 'ProcessInterrupts' })).not.toMatch(hint);
  });
});

describe('toKasmDbError › other errors', () => {
  it.each([
    'ECONNREFUSED',
    'ECONNRESET',
    'EPIPE',
    'ETIMEDOUT',
    'EHOSTUNREACH',
    'ENETUNREACH',
    'ENOTFOUND',
    'EAI_AGAIN',
  ])('%s of the network is unreachable', (code) => {
    expect(toKasmDbError(networkError(code), 'x').outcome).toBe('unreachable');
  });

  it.each([
    'Connection terminated unexpectedly',
    'Connection terminated',
    'timeout expired',
    'Client has encountered a connection error and is not queryable',
  ])("pg's %j is unreachable", (message) => {
    const error = toKasmDbError(new Error(message), 'migrating');
    expect(error).toMatchObject({ outcome: 'unreachable', message: `migrating: the connection was lost (${message})` });
  });

  it('of kasm-db stay what they are, with the missing details added', () => {
    const own = new KasmDbError('integrity', 'changed', { file: 'a.sql' });
    const error = toKasmDbError(own, 'x', { file: 'b.sql', line: 3 });
    expect(error).toMatchObject({ outcome: 'integrity', message: 'changed', details: { file: 'a.sql', line: 3 } });
  });

  it('anything else is a bug', () => {
    expect(toKasmDbError(new TypeError('x is not a function'), 'migrating')).toMatchObject({
      outcome: 'internal',
      message: 'migrating: x is not a function',
    });
    expect(toKasmDbError('thrown', 'x').outcome).toBe('internal');
  });

  it('keep their cause', () => {
    const cause = serverError('42601');
    expect(toKasmDbError(cause, 'x').cause).toBe(cause);
    expect(toKasmDbError(cause, 'x').with({ line: 3 })).toMatchObject({ cause, exitCode: 7, details: { line: 3 } });
  });
});

describe('isConnectionLost', () => {
  it.each([
    [serverError('57P01', { severity: 'FATAL' }), true],
    [serverError('08006'), true],
    [serverError('XX000', { severity: 'FATAL' }), true],
    [serverError('42601'), false],
    [networkError('ECONNRESET'), true],
    [new Error('Connection terminated unexpectedly'), true],
    [new Error('x'), false],
    [undefined, false],
  ])('%s: %s', (error, lost) => {
    expect(isConnectionLost(error)).toBe(lost);
  });
});

describe('KasmDbError', () => {
  it('a signal decides its own exit code, which survives added details', () => {
    const error = new KasmDbError('interrupted', 'x', { exitCode: 130 });
    expect(error.exitCode).toBe(130);
    expect(error.with({ migration: 'a' }).exitCode).toBe(130);
    expect(new KasmDbError('interrupted', 'x').exitCode).toBe(143);
  });
});
