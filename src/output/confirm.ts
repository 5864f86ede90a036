import { createInterface } from 'node:readline/promises';
import { stderr } from './streams.js';
import { widthOf } from './terminal.js';
import { wrap } from './wrap.js';

/**
 * Asks a person on the terminal. Who ends the input (Ctrl-D) says no.
 * @returns undefined when there is no terminal, and so nobody to ask
 * @throws the signal's reason, also at Ctrl-C, which a terminal that is read line by line does not turn into a signal
 */
export async function confirmOnTerminal(question: string, signal: AbortSignal): Promise<boolean | undefined> {
  if (!process.stdin.isTTY || !process.stderr.isTTY) return undefined;
  const terminal = createInterface({ input: process.stdin, output: process.stderr });
  const ended = new Promise<string>((resolve) => terminal.once('close', () => resolve('')));
  terminal.on('SIGINT', () => process.kill(process.pid, 'SIGINT'));
  try {
    const answer = await Promise.race([
      terminal.question(wrap(`${question} [y/N] `, widthOf(stderr)), { signal }),
      ended,
    ]);
    return /^\s*(y|yes)\s*$/i.test(answer);
  } catch (error) {
    signal.throwIfAborted();
    throw error;
  } finally {
    terminal.close();
  }
}
