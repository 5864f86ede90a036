import { expect, it } from 'vitest';
import { parse } from '../../src/cli/parse.js';
import { prometheusText } from '../../src/output/prometheus.js';

it.each([
  [['up'], 'kasm-db migrate'],
  [['down'], 'kasm-db rollback'],
  [['info'], 'kasm-db status'],
  [['validate'], 'kasm-db verify'],
  [['reset'], 'kasm-db rollback --to none'],
  [['migrate:latest'], 'kasm-db migrate'],
  [['db:status'], 'kasm-db status'],
  [['version'], 'kasm-db --version'],
  [['-v'], '--verbose, or --version'],
  [['migrate', '--database', 'x'], '--dbname'],
  [['migrate', '-U', 'x'], '--user'],
  [['migrate', '--password', 'x'], 'POSTGRES_PASSWORD_FILE'],
])('what users of other tools type: %j is %s here', (argv, meant) => {
  expect(parse(argv).refusal?.details.hint).toContain(`here it is ${meant}`);
});

it('a name that every object has is no synonym', () => {
  expect(parse(['constructor']).refusal?.details.hint).toBe('kasm-db --help lists the commands');
});

it("Prometheus' text: a label's value is escaped, what is not known is left out", () => {
  const metrics = [
    { name: 'a', help: 'A.', value: 1 },
    { name: 'b', help: 'B.', value: undefined },
  ];
  expect(prometheusText(metrics, { database: 'a"b\\c\nd' })).toBe(
    '# HELP a A.\n# TYPE a gauge\na{database="a\\"b\\\\c\\nd"} 1',
  );
});
