import type { Readable } from 'node:stream';

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
