import { JVM } from './jvm.js';
import { NATIVE } from './native.js';
import { NODE } from './node.js';
import type { Peer } from './peer.js';
import { PYTHON } from './python.js';

/** Everything that kasm-db is compared with but psql, which is the floor. */
export const PEERS: Peer[] = [...NATIVE, ...NODE, ...PYTHON, ...JVM];
