// Who may import whom in src/: down the list, never up, and in no circle. `npm run lint` holds it; types count.

/** The rooms of src/ from top to bottom. A room imports those of lower lines, not those of its own line. */
export const LINES = [
  ['main', 'index'],
  ['cli'],
  ['commands'],
  ['schema-docs', 'doctor', 'rehearsal'],
  ['bootstrap', 'seed', 'once', 'schema', 'lint', 'repair', 'readiness'],
  ['migrator'],
  ['history'],
  ['migrations'],
  ['embedded'],
  ['postgres', 'output'],
  ['config'],
  ['app'],
];

/** The one or two rooms that know a library; pg is everybody's. */
const LIBRARIES = {
  '@hpcc-js/wasm-graphviz': ['schema-docs'],
  '@peculiar/x509': ['seed'],
  commander: ['cli'],
  ioredis: ['config', 'readiness'],
  'libpg-query': ['postgres'],
  'pg-copy-streams': ['postgres'],
  umzug: ['migrator'],
  yaml: ['app'],
  zod: ['seed', 'output'],
};

const of = (rooms) => `^src/(${rooms.join('|')})(/|\\.ts$)`;

const down = LINES.flatMap((line, i) =>
  line.map((room) => {
    const above = [...LINES.slice(0, i).flat(), ...line.filter((other) => other !== room)];
    return {
      name: `${room}-imports-what-is-below-it`,
      comment: `src/${room} may import ${
        LINES.slice(i + 1)
          .flat()
          .join(', ') || 'nothing else of src/'
      }.`,
      severity: 'error',
      from: { path: of([room]) },
      to: { path: above.length > 0 ? of(above) : '^$' },
    };
  }),
);

const libraries = Object.entries(LIBRARIES).map(([library, rooms]) => ({
  name: `${library}-is-known-to-${rooms.join('-and-')}`,
  severity: 'error',
  from: { path: '^src/', pathNot: of(rooms) },
  to: { path: `(^|/)node_modules/${library}/` },
}));

export default {
  forbidden: [
    ...down,
    ...libraries,
    {
      name: 'no-circles',
      severity: 'error',
      from: { path: '^src/' },
      to: { circular: true },
    },
    {
      name: 'a-room-has-its-line',
      comment: 'A new room of src/ belongs into LINES of .dependency-cruiser.mjs.',
      severity: 'error',
      from: { path: '^src/', pathNot: [of(LINES.flat()), '^src/types\\.d\\.ts$'] },
      to: {},
    },
    {
      name: 'src-stands-alone',
      severity: 'error',
      from: { path: '^src/' },
      to: { path: '^(test|bench|scripts)/' },
    },
  ],
  options: {
    parser: 'swc',
    doNotFollow: { path: 'node_modules' },
    enhancedResolveOptions: { extensions: ['.ts', '.js'] },
  },
};
