import type { TLSSocket } from 'node:tls';
import { KasmDbError } from '../app/errors.js';
import type { Host } from '../config/hosts.js';
import type { ConnectionSettings } from '../config/settings.js';
import { hostText } from './refusal.js';

const PLUS = 'SCRAM-SHA-256-PLUS';

/** pg's connection, before it connects: its own listeners come after ours. */
export type DriverConnection = NodeJS.EventEmitter & { stream: Partial<TLSSocket> & NodeJS.EventEmitter };

/**
 * What a server may ask for, and must have proved, before a password goes to it and before the first statement does: require_auth,
 * channel_binding, sslcertmode and sslnegotiation (PostgreSQL manual, 34.1.2; check_expected_areq in libpq's fe-auth.c). pg answers
 * whatever it is asked.
 */
export class Authentication {
  private method: 'password' | 'md5' | 'scram-sha-256' | undefined;
  private plusOffered = false;
  private finished = false;

  constructor(
    private readonly settings: ConnectionSettings,
    private readonly host: Host,
    private readonly encrypted: boolean,
    private readonly connection: DriverConnection,
  ) {
    connection.on('authenticationCleartextPassword', () => this.asked('password'));
    connection.on('authenticationMD5Password', () => this.asked('md5'));
    connection.on('authenticationSASL', ({ mechanisms }: { mechanisms: string[] }) => {
      this.asked('scram-sha-256');
      this.plusOffered = mechanisms.includes(PLUS);
    });
    // pg checks the proof in it, and fails the login where it is wrong.
    connection.on('authenticationSASLFinal', () => {
      this.finished = true;
    });
  }

  private asked(method: NonNullable<Authentication['method']>): void {
    this.method = method;
    // A password that was sent is all that there is to it.
    this.finished = method !== 'scram-sha-256';
  }

  /** Before a password is used. @throws KasmDbError unreachable */
  beforePassword(): void {
    this.checkTls();
    const { requireAuth, channelBinding } = this.settings;
    const method = this.method ?? 'none';
    if (requireAuth && !requireAuth.allowed.has(method))
      throw this.refuse(`the server asks for ${method}`, 'require_auth', REQUIRE_AUTH_HINT);
    if (this.plusOffered && !this.encrypted)
      throw this.refuse(
        `the server offers ${PLUS} on a connection without TLS`,
        undefined,
        'somebody may stand between: set PGSSLMODE=verify-full',
      );
    if (channelBinding !== 'require') return;
    if (!this.encrypted)
      throw this.refuse('the connection is not encrypted', 'channel_binding', 'set PGSSLMODE=require or stronger');
    if (method !== 'scram-sha-256' || !this.plusOffered)
      throw this.refuse(`the server does not offer ${PLUS}`, 'channel_binding', BINDING_HINT);
  }

  /** After the login, which may have needed no password. @throws KasmDbError unreachable */
  afterLogin(): void {
    this.checkTls();
    const { requireAuth, channelBinding, sslcertmode } = this.settings;
    if (requireAuth && !requireAuth.none && !this.finished)
      throw this.refuse(
        'the server lets us in without completing an authentication',
        'require_auth',
        REQUIRE_AUTH_HINT,
      );
    if (channelBinding === 'require' && !(this.plusOffered && this.finished))
      throw this.refuse('the server lets us in without SCRAM', 'channel_binding', BINDING_HINT);
    // Where a server asks for a certificate it says which signatures it takes.
    if (sslcertmode === 'require' && !(this.connection.stream.getSharedSigalgs?.().length && this.settings.sslcert))
      throw this.refuse(
        'the server did not ask for a certificate, or got none',
        'sslcertmode',
        'set PGSSLCERT, and clientcert in pg_hba.conf; or PGSSLCERTMODE=allow',
      );
  }

  private checkTls(): void {
    if (!this.settings.sslDirect || !this.encrypted || this.connection.stream.alpnProtocol === 'postgresql') return;
    throw this.refuse(
      'the server speaks TLS, but did not agree to the PostgreSQL protocol (ALPN)',
      'sslnegotiation',
      'PGSSLNEGOTIATION=direct needs PostgreSQL 17 or later, and no proxy that ends TLS',
    );
  }

  private refuse(
    why: string,
    keyword: 'require_auth' | 'channel_binding' | 'sslcertmode' | 'sslnegotiation' | undefined,
    hint: string,
  ): KasmDbError {
    const wanted = keyword ? `${keyword}=${this.settings.given[keyword]}, but ` : '';
    return new KasmDbError('unreachable', `${hostText(this.host)}: ${wanted}${why}`, { hint });
  }
}

const REQUIRE_AUTH_HINT = 'correct the method in pg_hba.conf, or PGREQUIREAUTH';
const BINDING_HINT = 'use scram-sha-256 in pg_hba.conf with ssl on (a pooler offers none), or PGCHANNELBINDING=prefer';
