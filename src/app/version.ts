/** Set at build time from package.json. */
declare const KASM_DB_VERSION: string | undefined;

export const VERSION = typeof KASM_DB_VERSION === 'string' ? KASM_DB_VERSION : '0.0.0-dev';
