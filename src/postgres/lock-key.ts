/**
 * The key of the migration lock: the bytes of "kasm-db" as one big-endian integer, so that it is its own documentation.
 * It never changes between builds; two builds with different keys would migrate at the same time.
 */
export const LOCK_KEY = 0x6b61736d2d6462n;
/** The halves as pg_locks shows them (classid, objid; objsubid is 1 for a bigint key). */
export const LOCK_CLASSID = Number(LOCK_KEY >> 32n);
export const LOCK_OBJID = Number(LOCK_KEY & 0xffffffffn);
