import type { TLSSocket } from 'node:tls';
import type { Connection } from 'pg';
import { KasmDbError } from '../app/errors.js';
import type { Host } from '../config/hosts.js';
import type { ConnectionSettings } from '../config/settings.js';
import { hostText } from './refusal.js';

const PLUS = 'SCRAM-SHA-256-PLUS';
const REQUIRE_AUTH_HINT = 'correct the method in pg_hba.conf, or PGREQUIREAUTH';
const BINDING_HINT = 'use scram-sha-256 in pg_hba.conf with ssl on (a pooler offers none), or PGCHANNELBINDING=prefer';

/**
 * What a server may ask for, and must have proved, before a password goes to it and before the first statement does: require_auth,
 * channel_binding, sslcertmode and sslnegotiation (PostgreSQL manual, 34.1.2; check_expected_areq in libpq's fe-auth.c). pg answers
 * whatever it is asked.
 */
export class Authentication {
  private method: 'none' | 'password' | 'md5' | 'scram-sha-256' = 'none';
  private plusOffered = false;
  private finished = false;

  /** @param connection before it connects: pg's own listeners come after these */
  constructor(
    private readonly settings: ConnectionSettings,
    private readonly host: Host,
    private readonly encrypted: boolean,
    private readonly connection: Connection,
  ) {
    // A password that was sent is all that there is to it.
    connection.on('authenticationCleartextPassword', () => {
      this.method = 'password';
      this.finished = true;
    });
    connection.on('authenticationMD5Password', () => {
      this.method = 'md5';
      this.finished = true;
    });
    connection.on('authenticationSASL', ({ mechanisms }: { mechanisms: string[] }) => {
      this.method = 'scram-sha-256';
      this.plusOffered = mechanisms.includes(PLUS);
    });
    // pg checks the proof in it, and fails the login where it is wrong.
    connection.on('authenticationSASLFinal', () => {
      this.finished = true;
    });
  }

  /** Before a password is used. @throws KasmDbError unreachable */
  beforePassword(): void {
    this.checkTls();
    const { requireAuth, channelBinding } = this.settings;
    if (requireAuth && !requireAuth.allowed.has(this.method))
      throw this.refuse('require_auth', `the server asks for ${this.method}`, REQUIRE_AUTH_HINT);
    if (this.plusOffered && !this.encrypted) {
      const hint = 'somebody may stand between: set PGSSLMODE=verify-full';
      throw this.refuse(undefined, `the server offers ${PLUS} on a connection without TLS`, hint);
    }
    if (channelBinding !== 'require') return;
    if (!this.encrypted)
      throw this.refuse('channel_binding', 'the connection is not encrypted', 'set PGSSLMODE=require or stronger');
    if (!this.plusOffered) throw this.refuse('channel_binding', `the server does not offer ${PLUS}`, BINDING_HINT);
  }

  /** After the login, which may have needed no password. @throws KasmDbError unreachable */
  afterLogin(): void {
    this.checkTls();
    const { requireAuth, channelBinding, sslcertmode, sslcert } = this.settings;
    if (requireAuth && !requireAuth.none && !this.finished) {
      const why = 'the server lets us in without completing an authentication';
      throw this.refuse('require_auth', why, REQUIRE_AUTH_HINT);
    }
    if (channelBinding === 'require' && !(this.plusOffered && this.finished))
      throw this.refuse('channel_binding', 'the server lets us in without SCRAM', BINDING_HINT);
    // Where a server asks for a certificate it says which signatures it takes.
    const asked = () => (this.connection.stream as Partial<TLSSocket>).getSharedSigalgs?.().length;
    if (sslcertmode === 'require' && !(sslcert && asked())) {
      const hint = 'set PGSSLCERT, and clientcert in pg_hba.conf; or PGSSLCERTMODE=allow';
      throw this.refuse('sslcertmode', 'the server did not ask for a certificate, or got none', hint);
    }
  }

  private checkTls(): void {
    const { alpnProtocol } = this.connection.stream as TLSSocket;
    if (!this.settings.sslDirect || !this.encrypted || alpnProtocol === 'postgresql') return;
    throw this.refuse(
      'sslnegotiation',
      'the server speaks TLS, but did not agree to the PostgreSQL protocol (ALPN)',
      'PGSSLNEGOTIATION=direct needs PostgreSQL 17 or later, and no proxy that ends TLS',
    );
  }

  private refuse(keyword: string | undefined, why: string, hint: string): KasmDbError {
    const wanted = keyword ? `${keyword}=${this.settings.given[keyword]}, but ` : '';
    return new KasmDbError('unreachable', `${hostText(this.host)}: ${wanted}${why}`, { hint });
  }
}
