import { createInterface } from 'node:readline/promises';

/**
 * Asks a person on the terminal.
 * @returns undefined when there is no terminal, and so nobody to ask
 */
export async function confirmOnTerminal(question: string, signal: AbortSignal): Promise<boolean | undefined> {
  if (!process.stdin.isTTY || !process.stderr.isTTY) return undefined;
  const terminal = createInterface({ input: process.stdin, output: process.stderr });
  try {
    const answer = await terminal.question(`${question} [y/N] `, { signal });
    return /^\s*(y|yes)\s*$/i.test(answer);
  } finally {
    terminal.close();
  }
}
