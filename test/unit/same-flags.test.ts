import { describe, expect, it } from 'vitest';
import { sameFlags } from '../../src/cli/same-flags.js';

const again = sameFlags({ migrations: './m', host: 'db', embedded: true });
const ALL = '--host db --embedded --migrations ./m';

describe('the flags of a call, in the calls that its texts name', () => {
  it('but for one that was for this call alone', () => {
    expect(again('kasm-db migrate', '--embedded')).toBe('kasm-db migrate --host db --migrations ./m');
  });

  it.each([
    ['Next: kasm-db migrate', `Next: kasm-db migrate ${ALL}`],
    ['run: kasm-db migrate, then verify again', `run: kasm-db migrate ${ALL}, then verify again`],
    ['kasm-db status shows what it is doing', `kasm-db status ${ALL} shows what it is doing`],
    ['kasm-db migrate --to 0003_a goes forward', `kasm-db migrate --to 0003_a ${ALL} goes forward`],
    ['accept it with: kasm-db repair --checksums', `accept it with: kasm-db repair --checksums ${ALL}`],
    [
      'kasm-db repair --pending 0002_x --statements-done 2; if not: kasm-db repair --applied 0002_x',
      `kasm-db repair --pending 0002_x --statements-done 2 ${ALL}; if not: kasm-db repair --applied 0002_x ${ALL}`,
    ],
    [
      'kasm-db capture --migrations other --out a.json',
      'kasm-db capture --migrations other --out a.json --host db --embedded',
    ],
    ['kasm-db new NAME --copy-shipped', 'kasm-db new NAME --copy-shipped --migrations ./m'],
    ['kasm-db seed --rotate a-b,c-d, then', `kasm-db seed --rotate a-b,c-d ${ALL}, then`],
    ['kasm-db has no default credential', 'kasm-db has no default credential'],
    ['kasm-db help exit-codes', 'kasm-db help exit-codes'],
  ])('%s', (text, expected) => {
    expect(again(text)).toBe(expected);
  });

  it('quotes what a shell would take apart, and repeats no password and no flag of the output', () => {
    const odd = sameFlags({ migrations: "it's $HOME", url: 'postgres://me:pw@db/x', json: true } as object);
    expect(odd('kasm-db plan')).toBe(`kasm-db plan --migrations 'it'\\''s $HOME'`);
    expect(sameFlags({ url: 'host=db password=pw' })('kasm-db plan')).toBe('kasm-db plan');
  });

  it('gives Secrets only to what reads them', () => {
    const secret = sameFlags({ secrets: '/run/s' });
    expect(secret('kasm-db seed, kasm-db verify')).toBe('kasm-db seed --secrets /run/s, kasm-db verify');
  });
});
