// npm run bench: measures kasm-db beside its peers, prints the limits with what was found, and writes bench/results/BENCHMARKS.md.
//   --only NAME[,NAME]   these benches       --peers NAME[,NAME]  these peers; what was stored of the others stays
//   --runs N             rounds              --json               findings on stdout        --list   the benches
//   --note TEXT          stands with the figures
//   --publish            writes docs/BENCHMARKS.md and README's line instead: whoever publishes has measured all of it
//   --page               measures nothing, and writes the page from what is stored of today
import { parseArgs } from 'node:util';
import type { BenchOptions } from './bench.js';
import { limits, summary, writePage } from './page.js';
import { store } from './store.js';
import { BENCHES } from './works/index.js';

const { values } = parseArgs({
  options: {
    only: { type: 'string' },
    peers: { type: 'string' },
    runs: { type: 'string' },
    json: { type: 'boolean' },
    list: { type: 'boolean' },
    page: { type: 'boolean' },
    publish: { type: 'boolean' },
    note: { type: 'string' },
  },
});
if (values.list) {
  for (const { name, title } of BENCHES) console.log(`${name.padEnd(12)} ${title}`);
  process.exit();
}
const names = values.only?.split(',');
for (const name of names ?? []) {
  if (!BENCHES.some((bench) => bench.name === name)) {
    console.error(`--only ${name}: no such bench; there are ${BENCHES.map((bench) => bench.name).join(', ')}`);
    process.exit(2);
  }
}
const peers = values.peers?.split(',');
const options: BenchOptions = {
  runs: values.runs === undefined ? undefined : Number(values.runs),
  wanted: ({ name, family }) => !peers || peers.includes(name) || peers.includes(family),
};
if (!values.page) {
  for (const bench of BENCHES.filter(({ name }) => !names || names.includes(name))) {
    console.error(`${bench.name}: ${bench.title}`);
    const found = await bench.run(options);
    store(bench.name, found, peers === undefined, values.note);
    console.error(summary(bench, found));
    if (values.json) console.log(JSON.stringify({ bench: bench.name, ...found }));
  }
}
if (!values.json) {
  console.log(limits(BENCHES));
  console.log(`\n${writePage(BENCHES, values.publish === true)}`);
}
