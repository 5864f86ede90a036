/** One message of PostgreSQL's protocol, version 3, as it stood on the wire. */
export interface Message {
  /** The type byte; '' for what a client says first, which has none. */
  type: string;
  bytes: Buffer;
}

const SSL_CODE = 80877103;
const GSS_CODE = 80877104;
export const SSL_REQUEST = Buffer.from([0, 0, 0, 8, 4, 210, 22, 47]);
const PLUS = Buffer.from('SCRAM-SHA-256-PLUS\0');

/** Cuts a byte stream of one direction into messages (manual: "Message Formats"). */
export class MessageStream {
  private rest: Buffer = Buffer.alloc(0);
  /** A client's first messages have no type; a server answers a request for encryption with a single byte. */
  private untyped: boolean;
  private single = 0;

  constructor(from: 'client' | 'server') {
    this.untyped = from === 'client';
  }

  /** The next byte is an answer to SSLRequest or GSSENCRequest. */
  expectSingleByte(): void {
    this.single++;
  }

  push(chunk: Buffer): Message[] {
    this.rest = this.rest.length === 0 ? chunk : Buffer.concat([this.rest, chunk]);
    const messages: Message[] = [];
    for (;;) {
      const message = this.next();
      if (!message) return messages;
      messages.push(message);
    }
  }

  private next(): Message | undefined {
    if (this.single > 0 && this.rest.length > 0) {
      this.single--;
      return this.take('', 1);
    }
    const header = this.untyped ? 0 : 1;
    if (this.rest.length < header + 4) return undefined;
    const length = header + this.rest.readUInt32BE(header);
    if (this.rest.length < length) return undefined;
    const message = this.take(header ? String.fromCharCode(this.rest[0] as number) : '', length);
    if (this.untyped && !isEncryptionRequest(message)) this.untyped = false;
    return message;
  }

  private take(type: string, length: number): Message {
    const bytes = this.rest.subarray(0, length);
    this.rest = this.rest.subarray(length);
    return { type, bytes };
  }
}

export function isEncryptionRequest({ type, bytes }: Message): boolean {
  return type === '' && bytes.length === 8 && [SSL_CODE, GSS_CODE].includes(bytes.readUInt32BE(4));
}

/** An ErrorResponse or NoticeResponse as a server in another language would say it: other words, the same SQLSTATE. */
export function translated({ type, bytes }: Message, words: Record<'S' | 'M' | 'D' | 'H', string>): Buffer {
  if (type !== 'E' && type !== 'N') return bytes;
  const fields = bytes
    .subarray(5, -1)
    .toString('utf8')
    .split('\0')
    .filter((field) => field !== '')
    .map((field) => {
      const other = words[field[0] as keyof typeof words];
      return other === undefined ? field : `${field[0]}${other}`;
    });
  const body = Buffer.from(`${fields.join('\0')}\0\0`);
  const header = Buffer.alloc(5);
  header.write(type, 'latin1');
  header.writeUInt32BE(body.length + 4, 1);
  return Buffer.concat([header, body]);
}

/** AuthenticationSASL (`R`, length, 10, then the names) without SCRAM-SHA-256-PLUS: of a server that cannot bind the channel. */
export function withoutPlus({ type, bytes }: Message): Buffer {
  const at = bytes.indexOf(PLUS);
  if (type !== 'R' || at !== 9) return bytes;
  const shorter = Buffer.concat([bytes.subarray(0, at), bytes.subarray(at + PLUS.length)]);
  shorter.writeInt32BE(bytes.readInt32BE(1) - PLUS.length, 1);
  return shorter;
}
