/** Turns a password into SCRAM's salted one (RFC 5802): some 3 ms of work with PostgreSQL's 4,096 iterations. */
type Derive = (password: string, salt: Uint8Array, iterations: number) => Promise<Buffer>;

/**
 * Keeps the last derived key: a gate that looks again and again logs in with the same password, salt and iterations each time. RFC 5802,
 * 5.1, allows clients to.
 */
export function remembering(derive: Derive): Derive {
  let last: { of: string; key: Promise<Buffer> } | undefined;
  return (password, salt, iterations) => {
    const of = `${iterations} ${Buffer.from(salt).toString('base64')} ${password}`;
    if (last?.of !== of) last = { of, key: derive(password, salt, iterations) };
    return last.key;
  };
}
