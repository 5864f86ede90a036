// Who may import whom in src/, from top to bottom. `npm run lint` holds it; ARCHITECTURE.md draws the same map.

/** The rooms of src/, a line a layer: a room imports rooms of lower lines only, and files of its own. */
const LAYERS = [
  ['main', 'index'],
  ['cli'],
  ['commands'],
  ['bootstrap', 'seed', 'schema', 'schema-docs', 'lint', 'repair', 'readiness'],
  ['migrator'],
  ['history'],
  ['migrations'],
  ['output'],
  ['embedded'],
  ['postgres'],
  ['config'],
  ['app'],
];

const at = (rooms) => `^src/(${rooms.join('|')})(/|\\.ts$)`;
const upward = LAYERS.map((rooms, i) => ({
  name: `imports-go-down-from-${rooms[0]}`,
  severity: 'error',
  from: { path: at(rooms) },
  to: { path: at(LAYERS.slice(0, i).flat().concat('start')) , pathNot: undefined},
}));
export default {
  forbidden: [
  ...upward.slice(1),
  {name:'no-circles', severity:'error', from:{}, to:{circular:true}}],
  options: { parser: 'swc', tsPreCompilationDeps: true, enhancedResolveOptions:{extensions:['.ts','.js']} },
};
