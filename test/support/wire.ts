/** A server's messages (PostgreSQL manual, 54.7), well formed or not. */

/** @param length what it announces, where that is not the truth */
export function message(type: string | number, body: Buffer | string = '', length?: number): Buffer {
  const bytes = typeof body === 'string' ? Buffer.from(body) : body;
  const head = Buffer.alloc(5);
  head[0] = typeof type === 'number' ? type : type.charCodeAt(0);
  head.writeInt32BE(length ?? bytes.length + 4, 1);
  return Buffer.concat([head, bytes]);
}

export const int32 = (value: number) => {
  const bytes = Buffer.alloc(4);
  bytes.writeInt32BE(value);
  return bytes;
};
export const int16 = (value: number) => {
  const bytes = Buffer.alloc(2);
  bytes.writeInt16BE(value);
  return bytes;
};
export const text = (value: string) => Buffer.concat([Buffer.from(value), Buffer.of(0)]);

/** AuthenticationOk and its kin. */
export const authentication = (code: number, more: Buffer = Buffer.alloc(0)) =>
  message('R', Buffer.concat([int32(code), more]));
export const sasl = (...mechanisms: string[]) =>
  authentication(10, Buffer.concat([...mechanisms.map(text), Buffer.of(0)]));
export const parameter = (name: string, value: string) => message('S', Buffer.concat([text(name), text(value)]));
export const keyData = (pid = 4711) => message('K', Buffer.concat([int32(pid), int32(1)]));
export const ready = (status = 'I') => message('Z', status);
export const complete = (tag = 'SELECT 1') => message('C', text(tag));

/** ErrorResponse or NoticeResponse. @param fields by their letters */
export const told = (type: 'E' | 'N', fields: Record<string, string>) =>
  message(type, Buffer.concat([...Object.entries(fields).map(([code, value]) => text(code + value)), Buffer.of(0)]));
export const error = (code: string, words: string, more: Record<string, string> = {}) =>
  told('E', { S: 'ERROR', V: 'ERROR', C: code, M: words, ...more });
export const notice = (words: string) => told('N', { S: 'NOTICE', V: 'NOTICE', C: '00000', M: words });

/** RowDescription. @param columns name and type's OID (25 text, 23 int4, 16 bool, 114 json) */
export const columns = (...list: [name: string, oid: number][]) =>
  message(
    'T',
    Buffer.concat([
      int16(list.length),
      ...list.map(([name, oid]) =>
        Buffer.concat([text(name), int32(0), int16(0), int32(oid), int16(-1), int32(-1), int16(0)]),
      ),
    ]),
  );
export const row = (...values: (string | null)[]) =>
  message(
    'D',
    Buffer.concat([
      int16(values.length),
      ...values.map((value) =>
        value === null ? int32(-1) : Buffer.concat([int32(Buffer.byteLength(value)), Buffer.from(value)]),
      ),
    ]),
  );
export const copyOut = (count = 1) =>
  message('H', Buffer.concat([Buffer.of(0), int16(count), ...Array(count).fill(int16(0))]));
export const copyData = (data: string | Buffer) => message('d', data);
export const copyDone = () => message('c');

/** Everything of a login that needs no password. */
export const letIn = (version = '16.0') =>
  Buffer.concat([
    authentication(0),
    parameter('server_version', version),
    parameter('client_encoding', 'UTF8'),
    parameter('in_hot_standby', 'off'),
    parameter('default_transaction_read_only', 'off'),
    keyData(),
    ready(),
  ]);
