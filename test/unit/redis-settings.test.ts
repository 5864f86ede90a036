import { describe, expect, it } from 'vitest';
import { redisSettings } from '../../src/config/redis.js';

describe('KASM_DB_REDIS_TLS', () => {
  const tls = (word: string) => 'tls' in redisSettings({ KASM_DB_REDIS_HOST: 'r', KASM_DB_REDIS_TLS: word }).options;
  it.each(['true', 'TRUE', '1', 'yes', 'On'])('%s is yes', (word) => expect(tls(word)).toBe(true));
  it.each(['false', 'False', '0', 'NO', 'off'])('%s is no', (word) => expect(tls(word)).toBe(false));
  it.each(['maybe', '2', 'enabled'])('%s is refused', (word) =>
    expect(() => tls(word)).toThrow(/neither true nor false/));
});
