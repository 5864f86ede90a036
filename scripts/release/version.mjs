// What a release changes in files, as functions from text to text.

const VERSION = /^(\d+)\.(\d+)\.(\d+)(-[0-9A-Za-z.-]+)?$/;

/** @throws Error when it is no version, or not newer than what was released */
export function checkVersion(version, { current, tags }) {
  if (!VERSION.test(version)) throw new Error(`"${version}" is not a version: write it as 1.2.3 or 1.2.3-rc.1`);
  const released = tags.filter((tag) => /^v\d/.test(tag) && VERSION.test(tag.slice(1))).map((tag) => tag.slice(1));
  const older = released.find((other) => compare(version, other) <= 0);
  if (older) throw new Error(`${version} is not newer than ${older}, which was released (tag v${older})`);
  if (compare(version, current) < 0) throw new Error(`${version} is older than ${current}, which package.json has`);
}

/** By the rules of semver.org, section 11: a pre-release comes before its release. */
export function compare(a, b) {
  const [, ...x] = VERSION.exec(a);
  const [, ...y] = VERSION.exec(b);
  for (let i = 0; i < 3; i++) if (x[i] !== y[i]) return Number(x[i]) - Number(y[i]);
  const [pre, other] = [x[3]?.slice(1).split('.'), y[3]?.slice(1).split('.')];
  if (!pre || !other) return Number(other !== undefined) - Number(pre !== undefined);
  for (let i = 0; i < Math.max(pre.length, other.length); i++) {
    if (pre[i] === undefined || other[i] === undefined) return pre[i] === undefined ? -1 : 1;
    if (pre[i] === other[i]) continue;
    const [n, m] = [/^\d+$/.test(pre[i]), /^\d+$/.test(other[i])];
    if (n && m) return Number(pre[i]) - Number(other[i]);
    if (n !== m) return n ? -1 : 1;
    return pre[i] < other[i] ? -1 : 1;
  }
  return 0;
}

/** Replaces what `pattern` finds, exactly once. The pattern has a group for what stands before the value. */
function once(text, pattern, value, what) {
  if (!pattern.test(text)) throw new Error(`${what} is not where it was expected`);
  return text.replace(pattern, (_, before) => `${before}${value}`);
}

/** The unreleased section gets its version and date. @param {string} date as 2026-01-31 */
function changelog(text, version, date) {
  const heading = /^## .*\(unreleased\)$/m;
  if (!heading.test(text)) throw new Error('CHANGELOG.md has no section "(unreleased)": write what changed');
  const [, section] = text.split(heading);
  if (!/^- /m.test(section.split(/^## /m)[0])) throw new Error('CHANGELOG.md: the unreleased section is empty');
  return text.replace(heading, `## ${version} (${date})`);
}

/** What people copy from: wherever the version of now stands. */
const named = (text, version, _date, current) => {
  const parts = text.split(new RegExp(`(?<![\\w.])${current.replaceAll('.', '\\.')}(?!\\.?\\d)`));
  if (parts.length === 1) throw new Error(`no version ${current} is where it was expected`);
  return parts.join(version);
};

const json = (text, version) => once(text, /("version": )"[^"]*"/, `"${version}"`, 'the version');
/**
 * Every file that names the version, and how it is changed: by the new version, the date and the version of now. appVersion of kasm-single-zone is Kasm's release, not ours; its dependency on
 * kasm-db has ours.
 */
export const FILES = {
  'package.json': json,
  'package-lock.json': (text, version) =>
    once(
      json(text, version),
      /(\n {2}"packages": \{\n {4}"": \{\n {6}"name": "kasm-db",\n {6}"version": )"[^"]*"/,
      `"${version}"`,
      'the version of packages',
    ),
  'chart/kasm-db/Chart.yaml': (text, version) =>
    once(once(text, /^(version: ).*$/m, version, 'version'), /^(appVersion: ).*$/m, version, 'appVersion'),
  'chart/kasm-single-zone/Chart.yaml': (text, version) =>
    once(
      once(text, /^(version: ).*$/m, version, 'version'),
      /^( {2}- name: kasm-db\n {4}version: ).*$/m,
      version,
      'the version of the dependency kasm-db',
    ),
  ...Object.fromEntries(
    [
      'README.md',
      'chart/kasm-db/README.md',
      'chart/kasm-single-zone/README.md',
      'docs/HELM.md',
      'docs/INSTALL.md',
      'docs/TROUBLESHOOTING.md',
      'examples/argocd/application.yaml',
      'examples/ci/workflow.yaml',
      'examples/compose/compose.yaml',
      'examples/flux/helmrelease.yaml',
      'examples/kasm-helm/parent-chart/Chart.yaml',
      'examples/terraform/main.tf',
    ].map((file) => [file, named]),
  ),
  'CHANGELOG.md': changelog,
};
