import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { from } from 'pg-copy-streams';
import type { Client } from './client.js';

/** Sends text to a COPY … FROM STDIN. */
export async function copyIn(client: Client, sql: string, chunks: Iterable<string>): Promise<void> {
  await pipeline(Readable.from(chunks), client.query(from(sql)));
}
