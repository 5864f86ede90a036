/** The forms of a server's messages (PostgreSQL manual, 54.7): pure functions over the bytes behind type and length. */

/** What each field of a description of columns has behind its name. */
const COLUMN_BYTES = 18;

/**
 * Is a message what its type demands, to the last byte?
 * @returns undefined: it is not; else the number of its fields or columns, 0 where it has none
 */
export function checkBody(type: string, body: Buffer): number | undefined {
  const endsAt = (end: number, fields = 0) => (end === body.length ? fields : undefined);
  const count = body.length < 2 ? 0 : body.readUInt16BE(0);
  switch (type) {
    case 'D':
      return endsAt(afterValues(body, count), count);
    case 'd':
      return 0;
    case 'T':
      return endsAt(afterTexts(body, 2, count, COLUMN_BYTES), count);
    case 'E':
    case 'N':
      return errorFields(body)?.length;
    case 'C':
      return endsAt(afterTexts(body, 0, 1));
    case 'S':
      return endsAt(afterTexts(body, 0, 2));
    case 'A':
      return endsAt(afterTexts(body, 4, 2));
    case 'R':
      return isAuthentication(body) ? 0 : undefined;
    case 'K':
      return endsAt(8);
    case 'Z':
      return ['I', 'T', 'E'].includes(body.toString('latin1')) ? 0 : undefined;
    case 't':
      return endsAt(2 + 4 * count);
    case 'G':
    case 'H':
      return body.length < 3 ? undefined : endsAt(3 + 2 * body.readUInt16BE(1));
    default:
      return endsAt(0);
  }
}

/** Where a row's values end; -1 where they do not. */
function afterValues(body: Buffer, count: number): number {
  let at = 2;
  for (let i = 0; i < count; i++) {
    const length = at + 4 > body.length ? -2 : body.readInt32BE(at);
    if (length < -1) return -1;
    at += 4 + Math.max(length, 0);
  }
  return at;
}

/** Where texts that end with a zero are over; -1 where one does not end. @param behind bytes behind each */
function afterTexts(body: Buffer, from: number, count: number, behind = 0): number {
  let at = from;
  for (let i = 0; i < count; i++) {
    const end = body.indexOf(0, at);
    if (end < 0) return -1;
    at = end + 1 + behind;
  }
  return at;
}

/** What is behind the code depends on it: AuthenticationSASL lists names, ended by an empty one. */
function isAuthentication(body: Buffer): boolean {
  if (body.length < 4) return false;
  if (body.readInt32BE(0) !== 10) return true;
  const names = body.toString('latin1', 4).split('\0');
  return names.length > 1 && names.indexOf('') === names.length - 2;
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

/** Never in the middle of a character: half of one is read as U+FFFD. */
function shorten(text: Buffer, bytes: number): Buffer {
  return Buffer.from(`${text.toString('utf8', 0, bytes).replace(/\ufffd$/, '')}…`);
}
