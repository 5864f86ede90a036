import type { Bench } from '../bench.js';
import { check } from './check.js';
import { checkTls } from './check-tls.js';
import { concurrent } from './concurrent.js';
import { faults } from './faults.js';
import { gates } from './gates.js';
import { herd } from './herd.js';
import { history } from './history.js';
import { many } from './many.js';
import { memory } from './memory.js';
import { schema } from './schema.js';
import { seed } from './seed.js';
import { stallFew, stallMany } from './stall.js';
import { wire } from './wire.js';

/** In the order of the page. */
export const BENCHES: Bench[] = [
  ...[check, checkTls, wire, schema, many, history, concurrent, herd],
  ...[gates, stallFew, stallMany, seed, memory, faults],
];
