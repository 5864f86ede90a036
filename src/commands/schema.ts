// The commands that know the schema, in a file of their own beside the bundle: they bring the snapshot and YAML along.

export { exportMigration } from '../schema/export-migration.js';
export { adoptCommand } from './adopt.js';
export { captureCommand } from './capture.js';
export { verifyCommand } from './verify.js';
