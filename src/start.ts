import * as nodeModule from 'node:module';
import { homedir } from 'node:os';
import { join } from 'node:path';

/**
 * The first file that Node reads. It keeps V8's compiled code between runs in the user's own cache folder (a shared one could be
 * poisoned), which saves a sixth of the start-up; NODE_DISABLE_COMPILE_CACHE=1 turns it off. Where nothing can be written, nothing is.
 */
const base = process.env.XDG_CACHE_HOME || join(homedir(), '.cache');
// Node 20 has no such cache.
if (base.startsWith('/') && base !== '/.cache') nodeModule.enableCompileCache?.(join(base, 'kasm-db'));
// A gate waits more than it computes: without V8's middle compiler its peak memory is 2 MB smaller.
if (process.argv.some((argument) => argument.startsWith('--wait'))) {
  (require('node:v8') as typeof import('node:v8')).setFlagsFromString('--no-maglev');
}
require('./main.cjs');
