import { KasmDbError } from '../app/errors.js';
import { readSettingFile } from '../app/read-file.js';
import type { Environment } from './variables.js';

const ASSIGNMENT = /^(?:export\s+)?([A-Za-z_]\w*)\s*=(.*)$/;

/**
 * The environment with the variables of a file (`--env-file`) below it: a line `NAME=value` each, as for Docker; also with `export`, in
 * quotes, and with comments. What the environment has already stays.
 * @throws KasmDbError usage, with file and line
 */
export function withEnvFile(path: string, env: Environment): Environment {
  const hint = 'correct the path, or leave --env-file out';
  const { bytes } = readSettingFile(path, 'secret', `--env-file: cannot read ${path}`, hint);
  const lines = bytes
    .toString('utf8')
    .replace(/^\ufeff/, '')
    .split(/\r?\n/);
  const found: Environment = {};
  for (const [i, raw] of lines.entries()) {
    const line = raw.trim();
    if (line === '' || line.startsWith('#')) continue;
    const [, name, value = ''] = ASSIGNMENT.exec(line) ?? [];
    // The line itself is not repeated: it may hold a password.
    if (name === undefined)
      throw new KasmDbError('usage', `--env-file: line ${i + 1} of ${path} does not set a variable`, {
        file: path,
        line: i + 1,
        hint: 'write NAME=value, one on each line',
      });
    found[name] = unquoted(value);
  }
  return { ...found, ...env };
}

/** In quotes everything counts; without, a comment begins at a # after a blank. */
function unquoted(value: string): string {
  const [, , quoted] = /^(["'])(.*)\1(?:\s+#.*)?$/.exec(value.trim()) ?? [];
  return quoted ?? value.replace(/(?<!\s)\s+#.*$/, '').trim();
}
