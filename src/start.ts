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
require('./main.cjs');
