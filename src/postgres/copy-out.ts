import pg from 'pg';

/** One copied row; null is SQL's. */
export type CopiedRow = (string | null)[];

/** What each statement of a message gave, in their order: rows as objects, or the rows of a `COPY … TO STDOUT`. */
// biome-ignore lint/suspicious/noExplicitAny: pg's rows of whatever is asked.
export type Answers = { rows: any[]; copied: CopiedRow[] }[];

/** The driver takes a query object of one's own for its word that it has these (its types don't name them). */
interface DriversQuery {
  callback: (error: Error | undefined, results?: pg.QueryResult | pg.QueryResult[]) => void;
  handleCommandComplete(message: unknown, connection: unknown): void;
}
const Query = (pg as unknown as { Query: new (text: string) => DriversQuery }).Query;

/** pg drops what is copied to the client; this keeps it. */
class CopyQuery extends Query {
  readonly copied: string[] = [];
  #bytes = '';

  handleCopyData({ chunk }: { chunk: Buffer }): void {
    // The chunk is a view of the driver's buffer; a character may be cut in two.
    this.#bytes += chunk.toString('latin1');
  }

  override handleCommandComplete(message: unknown, connection: unknown): void {
    super.handleCommandComplete(message, connection);
    this.copied.push(this.#bytes);
    this.#bytes = '';
  }
}

/**
 * Runs a message of several statements, of which some are `COPY … TO STDOUT` in text format: for a table as it is, that spares the server
 * the planner, which costs a new session more than the rows.
 * @throws as pg's query()
 */
export function queryWithCopies(client: pg.Client, sql: string): Promise<Answers> {
  return new Promise((resolve, reject) => {
    const query = new CopyQuery(sql);
    query.callback = (error, results) => {
      if (error) return reject(error);
      const all = Array.isArray(results) ? results : [results as pg.QueryResult];
      resolve(all.map(({ rows }, i) => ({ rows, copied: copiedRows(query.copied[i] ?? '') })));
    };
    client.query(query as unknown as pg.Submittable);
  });
}

/** Reads COPY's text format. @param bytes as Latin-1, of UTF-8 */
function copiedRows(bytes: string): CopiedRow[] {
  if (bytes === '') return [];
  const lines = Buffer.from(bytes, 'latin1').toString('utf8').split('\n');
  lines.pop();
  return lines.map((line) => line.split('\t').map(copiedValue));
}

const ESCAPED: Record<string, string> = { b: '\b', f: '\f', n: '\n', r: '\r', t: '\t', v: '\v' };

function copiedValue(text: string): string | null {
  if (!text.includes('\\')) return text;
  if (text === '\\N') return null;
  return text.replace(/\\(.)/g, (_, char: string) => ESCAPED[char] ?? char);
}
