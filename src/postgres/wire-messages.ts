/** The forms of a server's messages (PostgreSQL manual, 54.7): pure functions over the bytes behind type and length. */

/** What each field of a description of columns has behind its name. */
const COLUMN_BYTES = 18;

/**
 * Is a message what its type demands, to the last byte?
 * @returns undefined: it is not; else the number of its fields or columns, 0 where it has none
 */
export function checkBody(type: string, body: Buffer): number | undefined {
  switch (type) {
    case 'D':
      return rowFields(body);
    case 'd':
      return 0;
    case 'T':
      return columns(body);
    case 'E':
    case 'N':
      return errorFields(body)?.length;
    case 'C':
      return endsAfter(body, 1, 0);
    case 'S':
      return endsAfter(body, 2, 0);
    case 'A':
      return endsAfter(body, 2, 4);
    case 'R':
      // What is behind the code depends on it.
      return body.length >= 4 ? authentication(body) : undefined;
    case 'K':
      return body.length === 8 ? 0 : undefined;
    case 'Z':
      return body.length === 1 && 'ITE'.includes(String.fromCharCode(body[0] as number)) ? 0 : undefined;
    case 't':
      return body.length >= 2 && body.length === 2 + 4 * body.readUInt16BE(0) ? 0 : undefined;
    case 'G':
    case 'H':
      return body.length >= 3 && body.length === 3 + 2 * body.readUInt16BE(1) ? 0 : undefined;
    default:
      return body.length === 0 ? 0 : undefined;
  }
}

function rowFields(body: Buffer): number | undefined {
  if (body.length < 2) return undefined;
  const count = body.readUInt16BE(0);
  let at = 2;
  for (let i = 0; i < count; i++) {
    if (at + 4 > body.length) return undefined;
    const length = body.readInt32BE(at);
    if (length < -1) return undefined;
    at += 4 + Math.max(length, 0);
  }
  return at === body.length ? count : undefined;
}

function columns(body: Buffer): number | undefined {
  if (body.length < 2) return undefined;
  const count = body.readUInt16BE(0);
  let at = 2;
  for (let i = 0; i < count; i++) {
    const end = body.indexOf(0, at);
    if (end < 0) return undefined;
    at = end + 1 + COLUMN_BYTES;
  }
  return at === body.length ? count : undefined;
}

/** @param skip bytes before the texts */
function endsAfter(body: Buffer, texts: number, skip: number): number | undefined {
  let at = skip;
  for (let i = 0; i < texts; i++) {
    const end = at > body.length ? -1 : body.indexOf(0, at);
    if (end < 0) return undefined;
    at = end + 1;
  }
  return at === body.length ? 0 : undefined;
}

/** AuthenticationSASL lists names, ended by an empty one. */
function authentication(body: Buffer): number | undefined {
  if (body.readInt32BE(0) !== 10) return 0;
  let at = 4;
  while (body[at] !== 0) {
    const end = body.indexOf(0, at);
    if (end < 0) return undefined;
    at = end + 1;
  }
  return at === body.length - 1 ? 0 : undefined;
}

type Field = [code: number, text: Buffer];
/** Always there: severity, SQLSTATE, message (54.8). */
const MESSAGE = 'M'.charCodeAt(0);
const HINT = 'H'.charCodeAt(0);
const NEEDED = [...'SCM'].map((c) => c.charCodeAt(0));

function errorFields(body: Buffer): Field[] | undefined {
  const fields: Field[] = [];
  let at = 0;
  while (at < body.length && body[at] !== 0) {
    const end = body.indexOf(0, at + 1);
    if (end < 0) return undefined;
    fields.push([body[at] as number, body.subarray(at + 1, end)]);
    at = end + 1;
  }
  const valid = (code: number) => {
    const found = fields.find(([c]) => c === code)?.[1].toString('latin1');
    return found !== undefined && (code !== NEEDED[1] || /^[0-9A-Z]{5}$/.test(found));
  };
  return at === body.length - 1 && NEEDED.every(valid) ? fields : undefined;
}

/**
 * An error or notice with its long fields cut.
 * @param bytes the whole message gets no longer than about this
 */
export function cutFields(type: number, body: Buffer, bytes: number): Buffer {
  // There are 18 kinds of field, and the message and the hint are what people read.
  const most = (code: number) => Math.floor(bytes / (code === MESSAGE || code === HINT ? 4 : 40));
  const seen = new Set<number>();
  const parts = (errorFields(body) ?? [])
    .filter(([code]) => !seen.has(code) && seen.add(code))
    .map(([code, text]) =>
      Buffer.concat([Buffer.of(code), text.length > most(code) ? shorten(text, most(code)) : text, Buffer.of(0)]),
    );
  const head = Buffer.alloc(5);
  const cut = Buffer.concat([head, ...parts, Buffer.of(0)]);
  cut[0] = type;
  cut.writeUInt32BE(cut.length - 1, 1);
  return cut;
}

/** Never in the middle of a UTF-8 character. */
function shorten(text: Buffer, bytes: number): Buffer {
  let end = bytes;
  while (end > 0 && ((text[end] as number) & 0xc0) === 0x80) end--;
  return Buffer.concat([text.subarray(0, end), Buffer.from('…')]);
}
