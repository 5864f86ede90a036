/** What the charts make of what is in the cluster already: `lookup`, answered by an API server of our own. */
import { describe, expect, it } from 'vitest';
import { renderServed } from './api-server.js';
import { chartFolder, HELMS, hasHelm, type Manifest } from './helm.js';

const chart = chartFolder('kasm-db');
const VALUES = {
  database: { host: 'db.example' },
  credentials: { existingSecret: 'kasm-credentials' },
  migrator: { mode: 'job' },
};

const jobOf = (manifests: Manifest[]): Manifest => manifests.find(({ kind }) => kind === 'Job');

describe.skipIf(!hasHelm).each(HELMS)('with %s', (program) => {
  describe('the name of a plain Job', () => {
    const OWNED = { 'meta.helm.sh/release-name': 'kasmdemo', 'meta.helm.sh/release-namespace': 'kasm-helm' };

    /** The Job as the API server has it after it ended, or while it runs. */
    const left = (job: Manifest, uid: string, condition?: string, labels = job.metadata.labels): Manifest => ({
      ...job,
      metadata: { ...job.metadata, uid, labels, annotations: OWNED },
      status: condition ? { conditions: [{ type: condition, status: 'True' }] } : { active: 1 },
    });
    const render = async (...there: Manifest[]) => jobOf(await renderServed(chart, VALUES, there, { program }));
    const name = async (...there: Manifest[]) => (await render(...there)).metadata.name as string;

    it('is another one after each install that failed: helm install --replace renders revision 1 again', async () => {
      const first = await render();
      const failed = left(first, 'a', 'Failed');
      const second = await render(failed);
      expect(second.metadata.name).toMatch(/^kasmdemo-migrate-1-[0-9a-f]{8}$/);
      expect(second.metadata.name).not.toBe(first.metadata.name);
      const third = await name(failed, left(second, 'b', 'Failed'));
      expect([first.metadata.name, second.metadata.name]).not.toContain(third);
      // The volume may be another one by now, so a Job that succeeded is no reason to do nothing.
      expect(await name(left(first, 'a', 'Complete'))).not.toBe(first.metadata.name);
    });

    it('stays while the Job is at work, and whatever Jobs of others do', async () => {
      const first = await render();
      expect(await name(left(first, 'a'))).toBe(first.metadata.name);
      const other = { ...first.metadata.labels, 'app.kubernetes.io/instance': 'another' };
      expect(await name(left(first, 'a', 'Failed', other))).toBe(first.metadata.name);
      const unlabelled = { 'app.kubernetes.io/managed-by': 'Helm' };
      expect(await name(left(first, 'a', 'Failed', unlabelled))).toBe(first.metadata.name);
    });
  });
});
