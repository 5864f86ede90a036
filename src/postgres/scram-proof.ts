import { createHash, createHmac, pbkdf2Sync } from 'node:crypto';
import type pg from 'pg';
import { saslprep } from './saslprep.js';

/** What pg keeps between SCRAM's messages. */
interface Driver {
  password: string;
  saslSession: { clientNonce: string; serverSignature: string };
  connection: NodeJS.EventEmitter & { sendSCRAMClientFinalMessage(message: string): void };
}

const hmac = (key: Buffer, text: string) => createHmac('sha256', key).update(text).digest();

/** What both sides make of a password (RFC 5802, 3): normalised the way PostgreSQL does. */
export function scramKeys(password: string, salt: Buffer, iterations: number) {
  const salted = pbkdf2Sync(saslprep(password), salt, iterations, 32, 'sha256');
  const clientKey = hmac(salted, 'Client Key');
  const storedKey = createHash('sha256').update(clientKey).digest();
  return { clientKey, storedKey, serverKey: hmac(salted, 'Server Key') };
}

/**
 * Makes the proof of a login from the password as libpq prepares it. pg 8.23 normalises every password, libpq leaves one as it is that
 * SASLprep refuses (an emoji, for one), so with `x²` and an emoji only one of the two would get in. ASCII is the same for both.
 */
export function prepareAsLibpq(client: pg.Client): void {
  const driver = client as unknown as Driver;
  const { connection } = driver;
  let serverFirst = '';
  connection.on('authenticationSASLContinue', ({ data }: { data: string }) => {
    serverFirst = data;
  });
  const send = connection.sendSCRAMClientFinalMessage.bind(connection);
  connection.sendSCRAMClientFinalMessage = (message) => {
    const { password, saslSession } = driver;
    // biome-ignore lint/suspicious/noControlCharactersInRegex: all of ASCII
    if (/^[\x00-\x7f]*$/.test(password)) return send(message);
    const withoutProof = message.replace(/,p=[^,]*$/, '');
    const attribute = (name: string) => new RegExp(`(?:^|,)${name}=([^,]*)`).exec(serverFirst)?.[1] ?? '';
    const authMessage = `n=*,r=${saslSession.clientNonce},${serverFirst},${withoutProof}`;
    const salt = Buffer.from(attribute('s'), 'base64');
    const { clientKey, storedKey, serverKey } = scramKeys(password, salt, Number(attribute('i')));
    const signature = hmac(storedKey, authMessage);
    const proof = Buffer.from(clientKey.map((byte, i) => byte ^ (signature[i] as number)));
    saslSession.serverSignature = hmac(serverKey, authMessage).toString('base64');
    send(`${withoutProof},p=${proof.toString('base64')}`);
  };
}
