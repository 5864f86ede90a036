// What a release can be checked by: where it came from (in-toto, SLSA provenance), and signatures as `cosign sign-blob` makes them.
import { createHash, createPrivateKey, sign } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

const BUILD_TYPE = 'https://slsa.dev/provenance/v1';
const STATEMENT = 'application/vnd.in-toto+json';

/**
 * The provenance of a release's files: an in-toto statement with SLSA's predicate (slsa.dev/spec/v1.0/provenance).
 * @param {string} out folder of the release
 * @param {string[]} files relative to it
 * @param {{version: string, commit: string, repository: string, parts: string[]}} from
 */
export function provenance(out, files, { version, commit, repository, parts }) {
  const sha256 = (file) =>
    createHash('sha256')
      .update(readFileSync(join(out, file)))
      .digest('hex');
  return {
    _type: 'https://in-toto.io/Statement/v1',
    subject: files.map((name) => ({ name, digest: { sha256: sha256(name) } })),
    predicateType: BUILD_TYPE,
    predicate: {
      buildDefinition: {
        buildType: `${repository}/scripts/release.mjs`,
        externalParameters: { version, parts },
        resolvedDependencies: [{ uri: `git+${repository}`, digest: { gitCommit: commit } }],
      },
      runDetails: { builder: { id: `${repository}/docs/RELEASING.md` } },
    },
  };
}

/**
 * Signs files, one `.sig` beside each: Base64 of ECDSA (P-256, SHA-256) over the file, which `cosign verify-blob --key` reads.
 * @param {string} keyFile PEM, unencrypted PKCS #8, as `openssl genpkey` writes it
 */
export function signFiles(out, files, keyFile) {
  const key = readKey(keyFile);
  for (const file of files)
    writeFileSync(join(out, `${file}.sig`), `${signature(readFileSync(join(out, file)), key)}\n`);
}

/** A statement in a signed envelope (DSSE), as `cosign verify-blob-attestation` reads it; without a key it is unsigned. */
export function envelope(statement, keyFile) {
  const payload = Buffer.from(JSON.stringify(statement));
  const signed = Buffer.concat([Buffer.from(`DSSEv1 ${STATEMENT.length} ${STATEMENT} ${payload.length} `), payload]);
  const signatures = keyFile === undefined ? [] : [{ sig: signature(signed, readKey(keyFile)) }];
  return { payloadType: STATEMENT, payload: payload.toString('base64'), signatures };
}

/** @throws Error when the file holds no private key that signs */
export function readKey(file) {
  let key;
  try {
    key = createPrivateKey(readFileSync(file));
  } catch (error) {
    throw new Error(`--key: ${file} cannot be read as a private key (${error.message})`);
  }
  const curve = key.asymmetricKeyDetails?.namedCurve ?? key.asymmetricKeyType;
  if (curve !== 'prime256v1') throw new Error(`${file}: the key is ${curve}, not P-256, which cosign makes itself`);
  return key;
}

function signature(bytes, key) {
  return sign('sha256', bytes, key).toString('base64');
}
