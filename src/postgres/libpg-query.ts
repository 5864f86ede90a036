// Imported when it is needed: 70 kB and 1.7 MB of WASM. By way of this file, since a CommonJS package has no names for import() in a bundle.
export { loadModule, parseSync } from 'libpg-query';
