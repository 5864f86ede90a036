/** Kasm 1.19 itself asks for it; kasm-db works from 13 on. */
const KASM_MAJOR = 16;

/** What this release of Kasm has against a server that kasm-db itself works with. Pure. @param serverVersion such as 160014 */
export function kasmServerNote(serverVersion: number): { text: string; fix: string } | undefined {
  const major = Math.floor(serverVersion / 10_000);
  if (major === KASM_MAJOR) return undefined;
  if (major < KASM_MAJOR)
    return {
      text: `PostgreSQL ${major}: kasm-db works with it, but Kasm 1.19 wants ${KASM_MAJOR}`,
      fix: 'upgrade the server before Kasm needs it',
    };
  return {
    text: `PostgreSQL ${major}: kasm-db works with it, but the upgrade Job of Kasm's own chart waits until the server is exactly ${KASM_MAJOR}`,
    fix: `use ${KASM_MAJOR} where that Job is to upgrade this database`,
  };
}
