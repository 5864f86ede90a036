import { describe, expect, it } from 'vitest';
import { isMap, isSeq, parseYaml } from '../../src/app/yaml.js';

const fault = (text: string) =>
  parseYaml(text).then(
    () => undefined,
    ({ line, message }) => [line, message],
  );

describe('parseYaml', () => {
  it('puts a long document together again, with the line of each node', async () => {
    const rows = (n: number) => Array.from({ length: n }, (_, i) => `- v${i}\n`).join('');
    const { contents, lineOf } = await parseYaml(`a: 1\nlong:\n${rows(1001)}b:\n  c: [x]\nshort:\n${rows(2)}`);
    if (!isMap(contents)) throw new Error('no map');
    expect(contents.items.map(({ key }) => String(key))).toEqual(['a', 'long', 'b', 'short']);
    const long = contents.get('long');
    if (!isSeq(long)) throw new Error('no list');
    expect(long.items).toHaveLength(1001);
    expect(long.toJSON()[1000]).toBe('v1000');
    expect(lineOf(long.items[1000])).toBe(1003);
    expect(contents.get('b')?.toString()).toBe('{"c":["x"]}');
  });

  it('an alias is the last node before it with that anchor, also of another piece', async () => {
    const { contents, resolve } = await parseYaml(`a:\n- &x 1\n${'- 0\n'.repeat(500)}- *x\n- &x 2\nb:\n- *x\n- *y\n`);
    if (!isMap(contents)) throw new Error('no map');
    const of = (key: string, i: number) => resolve((contents.get(key) as { items: unknown[] }).items[i]);
    expect(of('a', 501)).toMatchObject({ value: 1 });
    expect(of('b', 0)).toMatchObject({ value: 2 });
    expect(of('b', 1)).toBeUndefined();
  });

  it.each([
    ['a table twice', 'a: 1\nb: 2\na: 3\n', [3, 'not YAML: Map keys must be unique']],
    ['a column twice', 'a:\n- b: 1\n  b: 2\n', [3, 'not YAML: Map keys must be unique']],
    ['a table twice, as flow', '{a: 1,\n a: 2}', [2, 'not YAML: Map keys must be unique']],
    ['two documents', 'a: 1\n---\nb: 2\n', [2, 'not YAML: it holds several documents']],
    ['a text without end', `a: 1\nb: "x\n`, [3, 'not YAML: Missing closing "quote']],
    ['in a late piece', `a:\n${'- 0\n'.repeat(1000)}- [\n`, [1003, expect.stringMatching(/^not YAML: /)]],
    ['101 levels', `a: ${'['.repeat(101)}`, [1, 'it has more than 100 levels']],
    ['anchors', `a: [${Array.from({ length: 1001 }, (_, i) => `&a${i} x`)}]`, [1, 'it has more than 1,000 anchors']],
    ['rows in lists of lists', `a:\n${'- - 1\n'.repeat(10_001)}`, [1, 'it has more than 20,000 rows']],
  ])('says what is wrong, and where: %s', async (_, text, says) => {
    expect(await fault(text)).toEqual(says);
  });

  it('counts no dash, star or exclamation mark within a text', async () => {
    const text = `a: |\n${'  - *x !y &z\n'.repeat(21_000)}b: "${'- *x !y &z '.repeat(2000)}"\n`;
    expect(await fault(text)).toBeUndefined();
  });

  it('is ended by a signal, and meanwhile lets others work', async () => {
    const ends = new AbortController();
    setTimeout(() => ends.abort(new Error('ended')), 20);
    await expect(parseYaml(`a:\n${'- {b: c, d: e}\n'.repeat(19_000)}`, ends.signal)).rejects.toThrow('ended');
  });
});
