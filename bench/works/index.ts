import type { Bench } from '../bench.js';
import { check } from './check.js';
import { concurrent } from './concurrent.js';
import { faults } from './faults.js';
import { herd } from './herd.js';
import { history } from './history.js';
import { many } from './many.js';
import { memory } from './memory.js';
import { schema } from './schema.js';
import { gates, seed } from './scripts.js';
import { wire } from './wire.js';

/** In the order of the page. */
export const BENCHES: Bench[] = [
  ...[check, wire, schema, many, history, concurrent, herd],
  ...[gates, seed, memory, faults],
];
