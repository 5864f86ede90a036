import { KasmDbError, messageOf } from '../app/errors.js';
import { readFile } from '../app/read-file.js';

/**
 * Reads a small file beside or in the data folder.
 * @throws KasmDbError usage: something else stands there, such as a pipe
 */
export function readOwnFile(path: string): { text: string; uid: number } {
  try {
    const { bytes, stats } = readFile(path, 'settings');
    return { text: bytes.toString('utf8'), uid: stats.uid };
  } catch (error) {
    throw new KasmDbError('usage', `cannot read ${path} (${messageOf(error)})`, {
      hint: 'take it away where no kasm-db uses the folder, or give --embedded another one',
      cause: error,
    });
  }
}
