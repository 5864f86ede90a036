import { KasmDbError } from '../app/errors.js';
import type { ConnectionSettings } from '../config/settings.js';
import { hostText } from './refusal.js';

const PLUS = 'SCRAM-SHA-256-PLUS';

/**
 * channel_binding=require (PostgreSQL manual, 34.1.2): no password goes to a server that does not prove, by SCRAM over this very TLS
 * connection, that it knows it too. pg binds where the server offers it (`prefer`), and cannot be told to insist.
 */
export class ChannelBindingGuard {
  private offered = false;
  private proved = false;

  constructor(
    private readonly settings: ConnectionSettings,
    private readonly host: string,
    private readonly port: number,
    private readonly encrypted: boolean,
  ) {}

  /** @param connection pg's, before it connects: its listeners come after ours */
  watch(connection: NodeJS.EventEmitter): void {
    connection.on('authenticationSASL', ({ mechanisms }: { mechanisms: string[] }) => {
      this.offered = mechanisms.includes(PLUS);
    });
    // Whatever was offered before: the server gets no password by these.
    for (const name of ['authenticationCleartextPassword', 'authenticationMD5Password'])
      connection.on(name, () => {
        this.offered = false;
      });
    // pg checks the proof in it, and fails the login where it is wrong.
    connection.on('authenticationSASLFinal', () => {
      this.proved = true;
    });
  }

  /** Before a password is used. @throws KasmDbError unreachable */
  beforePassword(): void {
    if (this.settings.channelBinding !== 'require' || (this.encrypted && this.offered)) return;
    throw this.refuse(
      this.encrypted ? `the server does not offer ${PLUS}` : 'the connection is not encrypted',
      this.encrypted
        ? 'use scram-sha-256 in pg_hba.conf with ssl on (a pooler offers none), or PGCHANNELBINDING=prefer'
        : 'set PGSSLMODE=require or stronger',
    );
  }

  /** After the login: it may have been let in without any password. @throws KasmDbError unreachable */
  afterLogin(): void {
    if (this.settings.channelBinding !== 'require' || (this.offered && this.proved)) return;
    throw this.refuse(
      'the server lets us in without SCRAM',
      'use scram-sha-256 in pg_hba.conf, or PGCHANNELBINDING=prefer',
    );
  }

  private refuse(why: string, hint: string): KasmDbError {
    const at = hostText(this.host, this.port);
    return new KasmDbError('unreachable', `${at}: channel_binding=require, but ${why}`, { hint });
  }
}
