import { EventEmitter } from 'node:events';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { KasmDbError } from '../../src/app/errors.js';
import { WireGuard } from '../../src/postgres/wire-guard.js';
import * as wire from '../support/wire.js';

/** A driver that keeps what it gets. */
function guarded() {
  const got: Buffer[] = [];
  const driver = {
    attachListeners: (stream: EventEmitter) => void stream.on('data', (data: Buffer) => got.push(Buffer.from(data))),
    query: () => {},
    sync: () => {},
  };
  const guard = new WireGuard(driver, 'db:5432');
  let failure: KasmDbError | undefined;
  const stream = Object.assign(new EventEmitter(), {
    destroy: (error: KasmDbError) => {
      failure = error;
    },
  });
  driver.attachListeners(stream);
  return {
    guard,
    driver,
    receive: (...chunks: Buffer[]) => {
      for (const chunk of chunks) stream.emit('data', chunk);
    },
    got: () => Buffer.concat(got),
    failure: () => failure,
  };
}

const ROWS = Buffer.concat([
  wire.columns(['name', 25], ['number', 23]),
  wire.row('a', '1'),
  wire.row(null, '22'),
  wire.notice('Grüße'),
  wire.complete('SELECT 2'),
  wire.copyOut(2),
  wire.copyData('x\t1\n'),
  wire.copyDone(),
  wire.complete('COPY 1'),
  wire.ready(),
]);

describe('wire guard', () => {
  it('what keeps to the protocol reaches the driver byte for byte, however it is cut', () => {
    const all = Buffer.concat([wire.letIn(), ROWS]);
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 1, max: 400 }), { maxLength: 20 }), (sizes) => {
        const { driver, receive, got, failure } = guarded();
        receive(wire.letIn());
        driver.query();
        let at = 0;
        for (const size of sizes) {
          receive(ROWS.subarray(at, at + size));
          at = Math.min(at + size, ROWS.length);
        }
        receive(ROWS.subarray(at));
        expect(failure()).toBeUndefined();
        expect(got().equals(all)).toBe(true);
      }),
    );
  });

  it.each<[string, Buffer, RegExp]>([
    ['a negative length', wire.message('S', 'x', -5), /announces -5 bytes/],
    ['a length that is too short', wire.message('S', '', 3), /announces 3 bytes/],
    ['2 GB of announced length', wire.message('S', '', 0x7fffffff), /announces 2147483647 bytes/],
    ['an unknown type', wire.message(0x01), /unknown type 0x01/],
    ['another protocol', Buffer.from('HTTP/1.1 400 Bad Request\r\n\r\n'), /type H came out of turn/],
    ['rows during the login', wire.row('x'), /type D came out of turn/],
    ['an error without terminator', wire.message('E', 'SERROR\0C42000\0Mx\0'), /type E is malformed/],
    ['an error whose field does not end', wire.message('E', 'SERROR'), /type E is malformed/],
    ['an error without SQLSTATE', wire.told('E', { S: 'FATAL', M: 'x' }), /type E is malformed/],
    ['a parameter without a value', wire.message('S', wire.text('name')), /type S is malformed/],
    ['a short authentication message', wire.message('R', Buffer.from([0, 0])), /type R is malformed/],
    ['a cleartext request of the wrong length', wire.authentication(3, Buffer.alloc(2)), /wrong length/],
    ['a md5 request without salt', wire.authentication(5), /wrong length/],
    ['GSSAPI', wire.authentication(7), /GSSAPI/],
    ['SSPI', wire.authentication(9), /SSPI/],
    ['Kerberos V5', wire.authentication(2), /Kerberos/],
    ['an unknown authentication', wire.authentication(99), /unknown kind 99/],
    ['SASL names without end', wire.authentication(10, Buffer.from('SCRAM')), /type R is malformed/],
    ['SASL answers that nobody waits for', wire.authentication(11, Buffer.from('r=x')), /out of turn/],
    ['a second request', Buffer.concat([wire.sasl('SCRAM-SHA-256-PLUS'), wire.authentication(3)]), /second time/],
    ['ready without a login', wire.ready(), /ready before the login/],
    ['a login that talks without end', Buffer.concat(Array(5000).fill(wire.notice('x'))), /login takes more than/],
  ])('during the login %s is refused', (_, bytes, why) => {
    const { receive, failure } = guarded();
    receive(bytes);
    expect(failure()?.outcome).toBe('unreachable');
    expect(failure()?.message).toMatch(why);
    expect(failure()?.message).toMatch(/^db:5432 does not speak PostgreSQL's protocol: /);
  });

  it.each<[string, Buffer, RegExp]>([
    ['a row longer than 32 MB', wire.message('D', '', 33 << 20), /announces/],
    [
      'a row whose field has a negative length',
      wire.message('D', Buffer.concat([wire.int16(1), wire.int32(-9)])),
      /D is/,
    ],
    ['a row that ends early', wire.message('D', wire.int16(2)), /type D is malformed/],
    ['a row with more columns than were announced', wire.row('a', 'b', 'c'), /3 columns, where 1 were announced/],
    ['columns that end early', wire.message('T', Buffer.concat([wire.int16(300), wire.text('x')])), /T is malformed/],
    ['an endless stream of command ends', Buffer.concat(Array(250_001).fill(wire.complete())), /more answers/],
    [
      'requests for rows one after the other',
      Buffer.concat([wire.message('G', '\0\0\0'), wire.message('G', '\0\0\0')]),
      /asks again/,
    ],
    ['a status that does not exist', wire.ready('X'), /type Z is malformed/],
    ['a login in the middle of a query', wire.authentication(3), /out of turn/],
  ])('during a query %s is refused', (_, bytes, why) => {
    const { driver, receive, failure } = guarded();
    receive(wire.letIn());
    driver.query();
    receive(wire.columns(['a', 25]), bytes);
    expect(failure()?.message).toMatch(why);
  });

  it('without a query nothing but news is taken', () => {
    const { receive, failure } = guarded();
    receive(wire.letIn(), wire.notice('x'), wire.parameter('TimeZone', 'UTC'));
    expect(failure()).toBeUndefined();
    receive(wire.copyData('x'));
    expect(failure()?.message).toMatch(/type d came out of turn/);
  });

  it('what came before a broken message still reaches the driver: it may say why', () => {
    const { receive, got, failure } = guarded();
    const reason = wire.error('28000', 'no entry');
    receive(Buffer.concat([reason, Buffer.from('garbage')]));
    expect(got().equals(reason)).toBe(true);
    expect(failure()).toBeDefined();
    receive(reason);
    expect(got().equals(reason)).toBe(true);
  });

  it('a long error is cut, between characters and field by field', () => {
    const { receive, got } = guarded();
    receive(wire.error('42601', 'é'.repeat(100_000), { H: 'the hint stays', q: 'x'.repeat(300_000) }));
    const words = got().subarray(5).toString('utf8');
    expect(got().length).toBeLessThan(64 << 10);
    expect(got().readInt32BE(1)).toBe(got().length - 1);
    expect(words).toContain('the hint stays');
    expect(words).not.toContain('\ufffd');
    expect(words.match(/…/g)).toHaveLength(2);
  });

  it('a bound holds for an answer as a whole, and only until it is taken away', () => {
    const { guard, driver, receive, failure } = guarded();
    receive(wire.letIn());
    driver.query();
    const unlimited = guard.limit(10_000);
    receive(wire.copyOut());
    unlimited();
    for (let i = 0; i < 1000; i++) receive(wire.copyData('x'.repeat(1000)));
    expect(failure()).toBeUndefined();
    guard.limit(10_000);
    for (let i = 0; i < 10; i++) receive(wire.copyData('x'.repeat(1000)));
    expect(failure()?.message).toMatch(/far too long/);
  });

  it('two queries under way are both answered', () => {
    const { driver, receive, failure } = guarded();
    receive(wire.letIn());
    driver.query();
    driver.query();
    receive(ROWS, ROWS);
    expect(failure()).toBeUndefined();
  });
});
