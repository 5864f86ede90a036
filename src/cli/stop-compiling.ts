/** For a process that only waits from here on: its few looks gain nothing by V8's compilers, whose work and code take 2 MB. */
export function stopCompiling(): void {
  if (process.versions.bun) return;
  const { setFlagsFromString } = process.getBuiltinModule('node:v8');
  for (const flag of ['--no-opt', '--no-maglev', '--no-sparkplug']) setFlagsFromString(flag);
}
