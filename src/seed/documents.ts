import { isUtf8 } from 'node:buffer';
import { readdirSync, statSync } from 'node:fs';
import { basename, join } from 'node:path';
import { KasmDbError, messageOf } from '../app/errors.js';
import { readFile } from '../app/read-file.js';
import type { SeedDocument } from './document.js';

/** The name that the vendor gives the overlay; a customer's file may begin with "custom" too. */
const OVERLAY = /^custom(_properties)?\.ya?ml$/;

/** Of all documents of a folder together; one alone has limits of its own (src/app/yaml.ts, FILE_LIMITS). */
const MOST_BYTES = 16 << 20;
const MOST_ROWS = 40_000;

/** The documents that ship with this build, read when it was built. */
async function shippedDocuments(): Promise<SeedDocument[]> {
  const { documents } = await import('kasm-db:seeds');
  return documents.map(({ file, alembicVersion, rows }) => ({
    file,
    alembicVersion,
    rows: rows.map(({ cells, ...row }) => ({ ...row, file, cells: new Map(Object.entries(cells)) })),
    overlay: false,
  }));
}

/**
 * Reads `--seeds`: a file (such as Kasm's default_properties.yaml or export_data.yaml), or a folder of them. What Kasm's preseed generator makes
 * (custom_properties.yaml, rows without an alembic_version) is an overlay; alone, it goes over the documents that ship with this build.
 * @throws KasmDbError seed, usage; the signal's reason
 */
export async function readDocuments(path: string | undefined, signal?: AbortSignal): Promise<SeedDocument[]> {
  if (path === undefined) return shippedDocuments();
  const documents: SeedDocument[] = [];
  let bytes = 0;
  let count = 0;
  // One after the other: each may take as much memory as a small pod has.
  for (const file of listFiles(path)) {
    const text = readText(file);
    const document = await parseSeed(file, text, signal);
    const { overlay, alembicVersion, rows } = document;
    bytes += text.length;
    count += rows.length;
    if (bytes > MOST_BYTES || count > MOST_ROWS) {
      const most = `${MOST_ROWS.toLocaleString('en-US')} rows or ${MOST_BYTES >> 20} MB`;
      throw new KasmDbError('seed', `--seeds: the documents in ${path} together hold more than ${most}`, {
        hint: 'name the folder of the documents that are meant; what is seeded once need not stay there',
      });
    }
    // Under another name an overlay is told by what it is: every document of Kasm's has an alembic_version.
    documents.push({ ...document, overlay: overlay || (alembicVersion === undefined && rows.length > 0) });
  }
  if (documents.every((document) => document.overlay)) return [...(await shippedDocuments()), ...documents];
  const tables = new Set(documents.flatMap(({ rows }) => rows.map(({ table }) => table)));
  // Kasm's own seed file and a complete Export Configuration have these; what stands in their place is a whole deployment.
  const isWhole = tables.has('settings') && tables.has('users');
  // Kasm makes this row when it initialises a database; its seed files and exports leave the table out.
  if (!isWhole || tables.has('installation')) return documents;
  const initial = (await shippedDocuments()).filter(({ rows }) => rows[0]?.table === 'installation');
  return [...documents, ...initial];
}

function listFiles(path: string): string[] {
  try {
    if (!statSync(path).isDirectory()) return [path];
    const files = readdirSync(path)
      .filter((file) => /\.ya?ml$/.test(file) && !file.startsWith('.'))
      .sort();
    if (files.length === 0)
      throw new KasmDbError('usage', `--seeds: ${path} holds no .yaml file`, {
        hint: 'name the folder of the documents, or one of them',
      });
    return files.map((file) => join(path, file));
  } catch (error) {
    if (error instanceof KasmDbError) throw error;
    throw new KasmDbError('usage', `--seeds: cannot read ${path} (${messageOf(error)})`, { hint: 'correct --seeds' });
  }
}

function readText(file: string): string {
  const bytes = readBytes(file);
  const refused = (what: string, hint: string) => new KasmDbError('seed', `${file} ${what}`, { file, hint });
  if (bytes.subarray(0, 4).equals(Buffer.from('PK\u0003\u0004', 'latin1')))
    throw refused(
      "is a ZIP archive, such as Kasm's Export Configuration makes",
      'unpack it with its password (its encryption is AES-256: 7z x FILE), and name the export_data.yaml that is in it with --seeds',
    );
  if (!isUtf8(bytes)) throw refused('is not UTF-8 text', 'save it as UTF-8');
  if (bytes.includes(0)) throw refused('holds a NUL byte; it is not text', 'name a document in YAML');
  return new TextDecoder().decode(bytes);
}

function readBytes(file: string): Buffer {
  try {
    return readFile(file, 'seeds').bytes;
  } catch (error) {
    throw new KasmDbError('usage', `--seeds: cannot read ${file} (${messageOf(error)})`, {
      file,
      hint: 'correct --seeds',
    });
  }
}

/**
 * Reads one document of Kasm's seed format: `alembic_version`, and a list of rows for each table.
 * @throws KasmDbError seed, with file and line
 */
export async function parseSeed(file: string, text: string, signal?: AbortSignal): Promise<SeedDocument> {
  // Imported when it is needed: the documents that ship need no parser.
  const { readYaml } = await import('./yaml.js');
  return { ...(await readYaml(file, text, signal)), file, overlay: OVERLAY.test(basename(file)) };
}
