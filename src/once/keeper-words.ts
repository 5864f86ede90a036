import type { Readable } from 'node:stream';

/** First argument of the process that keeps a program; no command of the command line. */
export const KEEPER = '__keep';

/** What the keeper tells, a line of JSON each. */
export type Report =
  | { told: 'started'; pid: number }
  /** It could not be started. */
  | { told: 'refused'; message: string }
  | { told: 'ended'; exitCode: number | null; signal: NodeJS.Signals | null }
  /** Nothing of it lives any more. @property left how many it had left behind */
  | { told: 'gone'; left: number };

/** What a program gets to end after SIGTERM, and what it has left behind to end by itself, in milliseconds. */
export const GRACE_MS = 10_000;

/** Tells each line of a stream as soon as it is whole. */
export function onLines(stream: Readable, tell: (line: string) => void): void {
  let rest = '';
  stream.setEncoding('utf8');
  stream.on('data', (text: string) => {
    const lines = `${rest}${text}`.split('\n');
    rest = lines.pop() as string;
    for (const line of lines) tell(line);
  });
}
