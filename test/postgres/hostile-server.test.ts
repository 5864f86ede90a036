import { afterAll, describe, expect, it } from 'vitest';
import { startCli } from '../support/cli.js';
import { type Peer, startFakeServer } from '../support/fake-server.js';
import { floods, LONG, named, run, type Scenario, says, summary } from '../support/hostile.js';
import * as wire from '../support/wire.js';

const { authentication, copyData, copyOut, error, keyData, letIn, message, notice, parameter, ready, row } = wire;

const HALF = message('S', 'server_version\0', 4000);

const LOGIN: Scenario[] = [
  { name: 'says nothing', talk: (peer) => peer.hang() },
  { name: 'ends at once', talk: (peer) => peer.end() },
  { name: 'resets at once', talk: (peer) => peer.reset() },
  { name: 'half a message, then nothing', ...says(HALF) },
  {
    name: 'half a message, then the end',
    talk: (peer) => {
      peer.send(HALF);
      peer.end();
    },
  },
  { name: 'a letter, then nothing', ...says(Buffer.from('R')) },
  {
    name: 'a message byte by byte, without end',
    talk: async (peer) => {
      for (;;) {
        if (peer.gone) return;
        await peer.drip(notice('x'), 20);
      }
    },
  },
  { name: 'a negative length', ...says(message('R', 'x', -1)), says: /announces -1 bytes/ },
  { name: 'the most negative length', ...says(message('S', 'x', -0x80000000)) },
  { name: 'a length of 0', ...says(message('R', '', 0)) },
  { name: 'a length of 3', ...says(message('Z', '', 3)) },
  { name: 'a length of 2 GB', ...says(message('E', 'SFATAL\0', 0x7fffffff)) },
  { name: '2 GB announced and sent', ...floods(message('S', '', 0x7ffffff0), Buffer.alloc(65_536, 'x')) },
  { name: '30 MB of a notice announced and sent', ...floods(message('N', '', 30 << 20), Buffer.alloc(65_536, 'x')) },
  { name: 'zeros without end', ...floods(Buffer.alloc(0), Buffer.alloc(65_536)) },
  {
    name: 'random bytes without end',
    ...floods(Buffer.alloc(0), Buffer.from(Array.from({ length: 4096 }, (_, i) => (i * 7919) % 251))),
  },
  { name: 'lines of text without end', ...floods(Buffer.alloc(0), Buffer.from('220 mail.example ESMTP\r\n')) },
  {
    name: 'a web server',
    ...says(Buffer.from('HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n')),
    says: /does not speak PostgreSQL's protocol/,
  },
  { name: 'an SSH server', ...says(Buffer.from('SSH-2.0-OpenSSH_9.6\r\n')) },
  { name: 'MySQL', ...says(Buffer.from('4a0000000a382e302e333600', 'hex')) },
  { name: 'an unknown type', ...says(message(0xff, 'x')), says: /unknown type 0xff/ },
  { name: 'a type that only clients send', ...says(message('Q', 'SELECT 1\0')) },
  {
    name: 'NegotiateProtocolVersion, which nobody asked for',
    ...says(message('v', Buffer.concat([wire.int32(196608), wire.int32(0)]))),
  },
  { name: 'rows', ...says(wire.columns(['a', 25]), row('x')) },
  { name: 'COPY', ...floods(copyOut(), copyData(LONG)) },
  { name: 'an error without terminator', ...says(message('E', 'SFATAL\0C28000\0Mno\0')), says: /malformed/ },
  { name: 'an error whose last field has no end', ...says(message('E', 'SFATAL\0C28000\0Mno')) },
  { name: 'an empty error', ...says(message('E')) },
  { name: 'an error of a single terminator', ...says(message('E', '\0')) },
  { name: 'an error without a message', ...says(wire.told('E', { S: 'FATAL', C: '28000' })) },
  { name: 'an error with a SQLSTATE that is none', ...says(wire.told('E', { S: 'FATAL', C: 'nonsense', M: 'x' })) },
  { name: 'an error of protocol 2', ...says(Buffer.from('EFATAL:  could not fork new process\n\0')) },
  { name: 'an error of 900 KB', ...says(error('28000', 'long '.repeat(180_000))), says: /…/ },
  { name: 'an error of 15 MB', ...says(error('28000', 'long '.repeat(3_000_000))) },
  { name: 'an error of 100 MB', ...floods(message('E', 'SFATAL\0C28000\0M', 100 << 20), Buffer.alloc(65_536, 'x')) },
  {
    name: 'an error with 100,000 fields',
    ...says(
      wire.told('E', { S: 'FATAL', C: '28000', M: 'x' }),
      message('E', `SFATAL\0C28000\0Mx\0${'Dx\0'.repeat(100_000)}\0`),
    ),
  },
  { name: 'an error of a class that nobody knows', ...says(wire.told('E', { S: 'FATAL', C: 'ZZ999', M: 'x' })) },
  {
    name: 'an error that tells to wait, each time',
    ...says(wire.told('E', { S: 'FATAL', C: '57P03', M: 'starting up' })),
    says: /starting up/,
  },
  { name: 'notices without end', ...floods(Buffer.alloc(0), notice(LONG)), says: /login takes more/ },
  { name: 'parameters without end', ...floods(authentication(0), parameter('TimeZone', LONG)) },
  { name: 'a parameter without a value', ...says(authentication(0), message('S', 'TimeZone\0')) },
  { name: 'a parameter of 20 MB', ...says(authentication(0), parameter('server_version', '9'.repeat(20 << 20))) },
  {
    name: 'a server_version that is none',
    talk: async (peer) => {
      peer.send(letIn('many'));
      await peer.query();
      peer.send(error('XX000', 'no'), ready());
    },
  },
  { name: 'key data without end', ...floods(authentication(0), keyData()) },
  { name: 'key data of 256 bytes', ...says(authentication(0), message('K', Buffer.alloc(260))) },
  { name: 'CopyBoth', ...says(authentication(0), message('W', '\0\0\0')), says: /unknown type 0x57/ },
  { name: 'key data that is short', ...says(authentication(0), message('K', 'xx')) },
  { name: 'AuthenticationOk, then nothing', ...says(authentication(0)) },
  { name: 'AuthenticationOk twice', ...says(authentication(0), authentication(0)) },
  { name: 'AuthenticationOk without end', ...floods(Buffer.alloc(0), authentication(0)) },
  { name: 'ready without a login', ...says(ready()), says: /ready before/ },
  { name: 'ready in a status that does not exist', ...says(authentication(0), ready('?')) },
  { name: 'an authentication message that is short', ...says(message('R', '\0')) },
  { name: 'an authentication message that is empty', ...says(message('R')) },
  { name: 'a cleartext request that is too long', ...says(authentication(3, Buffer.alloc(9))) },
  { name: 'an md5 request without its salt', ...says(authentication(5)) },
  { name: 'Kerberos V5', ...says(authentication(2)), says: /Kerberos/ },
  { name: 'SCM credentials', ...says(authentication(6)) },
  { name: 'GSSAPI', ...says(authentication(7)), says: /GSSAPI/ },
  { name: 'GSSAPI, continued', ...says(authentication(8, Buffer.from('token'))) },
  { name: 'SSPI', ...says(authentication(9)), says: /SSPI/ },
  { name: 'an authentication of the future', ...says(authentication(4711)), says: /unknown kind 4711/ },
  { name: 'a negative authentication', ...says(authentication(-1)) },
  { name: 'the password again and again', ...floods(Buffer.alloc(0), authentication(3)), says: /second time/ },
  { name: 'the password, and then md5', ...says(authentication(3), authentication(5, Buffer.alloc(4))) },
  { name: 'SASL without a mechanism', ...says(wire.sasl()) },
  { name: 'SASL with a mechanism nobody has', ...says(wire.sasl('OAUTHBEARER')), says: /SASL/ },
  { name: 'SASL names without end', ...says(authentication(10, Buffer.from('SCRAM-SHA-256'))) },
  { name: 'a megabyte of SASL names', ...says(wire.sasl(...Array(100_000).fill('SCRAM-X'))) },
  { name: 'SASL twice', ...says(wire.sasl('SCRAM-SHA-256'), wire.sasl('SCRAM-SHA-256')) },
  { name: 'a SASL answer that nobody waits for', ...says(authentication(11, Buffer.from('r=x,s=eA==,i=4096'))) },
  {
    name: 'the end of SASL without its middle',
    ...says(wire.sasl('SCRAM-SHA-256'), authentication(12, Buffer.from('v=x'))),
  },
  { name: 'SCRAM: a nonce that is not ours', talk: scram(() => 'r=other,s=c2FsdA==,i=4096'), says: /SASL|SCRAM/ },
  { name: 'SCRAM: nonsense', talk: scram(() => '\u0000\u0001') },
  { name: 'SCRAM: no salt', talk: scram((nonce) => `r=${nonce}more,i=4096`) },
  {
    name: 'SCRAM: iterations for a year',
    talk: scram((nonce) => `r=${nonce}more,s=c2FsdA==,i=2000000000`),
    says: /iteration/,
  },
  { name: 'SCRAM: negative iterations', talk: scram((nonce) => `r=${nonce}more,s=c2FsdA==,i=-1`) },
  { name: 'SCRAM: a salt of 500 KB', talk: scram((nonce) => `r=${nonce}more,s=${'A'.repeat(500_000)},i=4096`) },
  { name: 'SCRAM: a proof that is wrong', talk: scram((nonce) => `r=${nonce}more,s=c2FsdA==,i=4096`, 'v=AAAA') },
  {
    name: 'SCRAM: the login is granted without the proof',
    talk: scram((nonce) => `r=${nonce}more,s=c2FsdA==,i=4096`),
    says: /lets us in before it has proved/,
  },
];

/** @param first the server's first message, from the client's nonce @param last its last one; undefined: it lets in without */
function scram(first: (nonce: string) => string, last?: string) {
  return async (peer: Peer) => {
    peer.send(wire.sasl('SCRAM-SHA-256'));
    const { body } = await peer.message();
    const nonce = /r=([^,\0]*)/.exec(body.toString('latin1'))?.[1] ?? '';
    peer.send(authentication(11, Buffer.from(first(nonce))));
    await peer.message();
    if (last === undefined) peer.send(letIn());
    else peer.send(authentication(12, Buffer.from(last)));
    await peer.hang();
  };
}

const TLS_FIRST: Scenario[] = (
  [
    {
      name: 'no answer to the wish for TLS',
      talk: () => {},
      first: async (peer) => {
        await peer.hang();
        return true;
      },
    },
    {
      name: 'something else than S or N',
      talk: () => {},
      first: (peer) => {
        peer.send(Buffer.from('X'));
        return true;
      },
    },
    {
      name: 'S, and plain text behind it',
      talk: () => {},
      first: async (peer) => {
        await peer.read(8);
        peer.send(Buffer.from('S'), letIn());
        return true;
      },
    },
    {
      name: 'S, and then nothing',
      talk: () => {},
      first: async (peer) => {
        await peer.read(8);
        peer.send(Buffer.from('S'));
        await peer.hang();
        return true;
      },
    },
    {
      name: 'S, and then no TLS',
      talk: () => {},
      first: async (peer) => {
        await peer.read(8);
        peer.send(Buffer.from('S'));
        await peer.read(5);
        await peer.flood(Buffer.from(LONG));
        return true;
      },
    },
    {
      name: 'an error instead, of any length',
      talk: () => {},
      first: async (peer) => {
        await peer.read(8);
        await peer.flood(error('28000', LONG));
        return true;
      },
    },
  ] as Scenario[]
).map((scenario) => ({ ...scenario, name: `TLS › ${scenario.name}`, env: { PGSSLMODE: 'require' } }));

/** What somebody in the middle puts between the records of TLS, before the login or once it is done. */
const ALERT = Buffer.from('15030300020228', 'hex');
const BELOW: Scenario[] = (
  [
    ['a fatal alert', ALERT],
    ['a warning', Buffer.from('1503030002015a', 'hex')],
    ['a record of no type', Buffer.from('ff030300020000', 'hex')],
    ['a record of 64 KB, half of it', Buffer.concat([Buffer.from('170303ffff', 'hex'), Buffer.alloc(32_768)])],
    ['plain messages', Buffer.concat([letIn(), ready()])],
  ] as const
).flatMap(([what, bytes]) => [
  { name: `${what} before the login`, talk: (peer) => peer.sendBelow(bytes) },
  {
    name: `${what} in the place of an answer`,
    talk: async (peer) => {
      peer.send(letIn());
      await peer.query();
      peer.sendBelow(bytes);
      await peer.hang();
    },
  },
]);

const REQUIRED = { PGSSLMODE: 'require', PGCHANNELBINDING: 'require' };
const BINDING: Scenario[] = [
  {
    name: 'SCRAM-SHA-256-PLUS is offered, then the password is asked for',
    ...says(wire.sasl('SCRAM-SHA-256-PLUS'), authentication(3)),
    env: REQUIRED,
  },
  {
    name: 'SCRAM-SHA-256-PLUS is offered, then md5',
    ...says(wire.sasl('SCRAM-SHA-256-PLUS'), authentication(5, Buffer.alloc(4))),
    env: REQUIRED,
  },
  { name: 'the password is asked for', ...says(authentication(3)), env: REQUIRED },
  { name: 'md5 is asked for', ...says(authentication(5, Buffer.alloc(4))), env: REQUIRED },
  { name: 'only SCRAM-SHA-256 is offered', ...says(wire.sasl('SCRAM-SHA-256')), env: REQUIRED },
  { name: 'it lets in without', ...says(letIn()), env: REQUIRED },
];

describe.concurrent('trap 49: a server that breaks the protocol › each state ends within its bound, with exit 4, JSON and little memory', () => {
  it.each(named(LOGIN))('login › %s', (_, scenario) => run(scenario, false));
  it.each(named(TLS_FIRST))('%s', (_, scenario) => run(scenario, false));
  it.each(named(LOGIN.filter((_, i) => i % 4 === 0)))('login over TLS › %s', (_, scenario) => run(scenario, true));
  it.each(named(BELOW))('between the records of TLS › %s', (_, scenario) => run(scenario, true));
  it.each(named(BINDING))('channel_binding=require › %s: no password is sent', async (_, scenario) => {
    let heard = Buffer.alloc(0);
    const talk = async (peer: Peer) => {
      await scenario.talk(peer);
      for (;;) heard = Buffer.concat([heard, await peer.read(1)]);
    };
    await run({ ...scenario, talk }, true);
    expect(heard.toString('latin1')).not.toMatch(/s3cr3t|md5/);
  });

  afterAll(() => console.log(summary()));
});

describe.concurrent('SIGTERM › 143 within its time, with text and with JSON', () => {
  const SILENT: [string, Parameters<typeof startFakeServer>[1] & { talk?: (peer: Peer) => void }][] = [
    ['before TLS', { first: (peer) => peer.hang().then(() => true) }],
    [
      'in the TLS handshake',
      {
        first: async (peer) => {
          await peer.read(8);
          peer.send(Buffer.from('S'));
          await peer.hang();
          return true;
        },
      },
    ],
    ['in the login', {}],
  ];
  for (const [name, options] of SILENT)
    it.each([true, false])(`${name}, --json %s`, async (json) => {
      let asked = () => {};
      const reached = new Promise<void>((resolve) => {
        asked = resolve;
      });
      const first = options?.first;
      const server = await startFakeServer(asked, {
        ...options,
        ...(first
          ? {
              first: (peer: Peer) => {
                asked();
                return first(peer);
              },
            }
          : {}),
      });
      try {
        const cli = startCli(['check', ...(json ? ['--json'] : []), '--connect-timeout', '1m'], {
          POSTGRES_HOST: '127.0.0.1',
          POSTGRES_PORT: String(server.port),
          POSTGRES_USER: 'kasmapp',
          PGSSLMODE: name.includes('TLS') ? 'require' : 'disable',
        });
        await reached;
        cli.child.kill('SIGTERM');
        const ended = await cli.ended;
        expect(ended.code, ended.stderr).toBe(143);
        if (json) expect(ended.json()).toMatchObject({ outcome: 'interrupted', exitCode: 143 });
        else expect(ended.stderr).toMatch(/^interrupted: /m);
      } finally {
        server.stop();
      }
    });
});
