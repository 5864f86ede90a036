import type { Bench } from '../bench.js';
import { check } from './check.js';
import { concurrent } from './concurrent.js';
import { herd } from './herd.js';
import { history } from './history.js';
import { many } from './many.js';
import { schema } from './schema.js';

/** In the order of the page. */
export const BENCHES: Bench[] = [check, schema, many, history, concurrent, herd];
