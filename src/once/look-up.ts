import { accessSync, constants, statSync } from 'node:fs';
import { delimiter, join, resolve } from 'node:path';
import { KasmDbError } from '../app/errors.js';
import type { Environment } from '../config/variables.js';

/**
 * Where a program is, as execvp looks for it: a name with a slash is a path, any other is looked for in PATH.
 * @throws KasmDbError usage where there is none, or it may not be run
 */
export function lookUpProgram(name: string, env: Environment): string {
  const places = name.includes('/') ? [resolve(name)] : (env.PATH ?? '').split(delimiter).map((dir) => join(dir, name));
  let refused: string | undefined;
  for (const path of places) {
    const status = statSync(path, { throwIfNoEntry: false });
    if (!status) continue;
    if (status.isDirectory()) refused ??= `${path} is a folder`;
    else if (mayRun(path)) return path;
    else refused ??= `${path} may not be run by this user`;
  }
  if (name === '') throw new KasmDbError('usage', 'the program has no name', { hint: HINT });
  if (refused) throw new KasmDbError('usage', `once cannot run that program: ${refused}`, { hint: HINT });
  const where = name.includes('/') ? 'there is no such file' : 'no folder of PATH has it';
  throw new KasmDbError('usage', `once cannot run ${name}: ${where}`, { hint: HINT });
}

const HINT = 'write kasm-db once NAME -- PROGRAM [ARGUMENT…], as in: kasm-db once kasm-seed -- /usr/bin/kasm_server.so';

function mayRun(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}
