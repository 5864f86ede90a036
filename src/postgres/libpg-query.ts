// A file of its own beside the bundle: 70 kB that the gate would else read at every start.
export { loadModule, parseSync } from 'libpg-query';
