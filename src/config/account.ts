import { readFileSync } from 'node:fs';
import { userInfo } from 'node:os';
import { join } from 'node:path';
import type { Environment } from './variables.js';

/**
 * The passwd entry of a uid; undefined where it has none, as in a container with a random one.
 * @param uid not given: this process's
 */
export function accountOf(uid = process.geteuid?.()): { name: string; home: string } | undefined {
  // Bun's userInfo() makes a name of $USER, or "unknown"; Node asks the system, whose accounts need not stand in /etc/passwd.
  if (uid === process.geteuid?.() && !process.versions.bun) {
    try {
      const { username, homedir } = userInfo();
      return { name: username, home: homedir };
    } catch {
      return undefined;
    }
  }
  try {
    for (const line of readFileSync('/etc/passwd', 'utf8').split('\n')) {
      const [name = '', , id, , , home = ''] = line.split(':');
      if (id === String(uid)) return { name, home };
    }
  } catch {
    // A system without accounts.
  }
  return undefined;
}

/** A file in the home folder as libpq finds it: $HOME, else the passwd entry's, else none; never the current folder. */
export function homeFile(env: Environment, ...path: string[]): string | undefined {
  const home = env.HOME || accountOf()?.home;
  return home ? join(home, ...path) : undefined;
}
