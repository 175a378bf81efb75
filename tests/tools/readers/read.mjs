// Reads every entry of a zip with `yauzl` and with `adm-zip`, and prints a JSON line per entry; see ../README.md.
//
// `node read.mjs ARCHIVE.zip`, after `npm ci` in this directory or a copy of it. Exit code 0 if both agree and nothing
// is wrong, 1 otherwise, with the complaint on stderr.

import { createHash } from 'node:crypto';
import { buffer } from 'node:stream/consumers';
import { crc32 } from 'node:zlib';
import AdmZip from 'adm-zip';
import yauzl from 'yauzl';

const HOST_UNIX = 3;

/** The canonical line of an entry, once its content agrees with what its central directory record says. */
function lineOf({ name, size, crc, madeBy, attributes, method }, content) {
  if (content.length !== size || crc32(content) !== crc) throw new Error(`size or checksum is wrong: ${name}`);
  const mode = ((attributes >>> 16) & 0o7777).toString(8).padStart(4, '0');
  return {
    name,
    size,
    crc32: crc.toString(16).padStart(8, '0'),
    sha256: createHash('sha256').update(content).digest('hex'),
    mode: madeBy >>> 8 === HOST_UNIX ? mode : null,
    method,
  };
}

// Both readers give their lines by the raw bytes of the name: a name that is not flagged as UTF-8 can be decoded in more
// than one way, and they differ in it.

/** `yauzl` refuses names that are absolute or hold `..`, and with `strictFileNames` a backslash too. */
async function withYauzl(path) {
  const archive = await yauzl.openPromise(path, { strictFileNames: true, validateEntrySize: true, autoClose: false });
  const lines = new Map();
  for await (const entry of archive.eachEntry()) {
    const key = entry.fileNameRaw.toString('latin1');
    if (lines.has(key)) throw new Error(`a name occurs twice: ${entry.fileName}`);
    const record = {
      name: entry.fileName,
      size: entry.uncompressedSize,
      crc: entry.crc32,
      madeBy: entry.versionMadeBy,
      attributes: entry.externalFileAttributes,
      method: entry.compressionMethod,
    };
    lines.set(key, lineOf(record, await buffer(await archive.openReadStreamPromise(entry))));
  }
  archive.close();
  return lines;
}

function withAdmZip(path) {
  const lines = new Map();
  for (const entry of new AdmZip(path).getEntries()) {
    const { size, crc, made, attr, method } = entry.header;
    const key = entry.rawEntryName.toString('latin1');
    const record = { name: entry.entryName, size, crc: crc >>> 0, madeBy: made, attributes: attr, method };
    lines.set(key, lineOf(record, entry.isDirectory ? Buffer.alloc(0) : entry.getData()));
  }
  return lines;
}

async function read(path) {
  const lines = await withYauzl(path);
  const others = withAdmZip(path);
  if (lines.size !== others.size) throw new Error(`yauzl finds ${lines.size} entries, adm-zip ${others.size}`);
  for (const [key, line] of lines) {
    const other = others.get(key);
    if (!other || JSON.stringify({ ...other, name: line.name }) !== JSON.stringify(line)) {
      throw new Error(`the readers disagree: ${JSON.stringify(line)}, ${JSON.stringify(other)}`);
    }
  }
  return [...lines.values()].sort((a, b) => Buffer.compare(Buffer.from(a.name), Buffer.from(b.name)));
}

const [path] = process.argv.slice(2);
if (!path) {
  console.error('usage: node read.mjs ARCHIVE.zip');
  process.exit(1);
}
try {
  for (const line of await read(path)) console.log(JSON.stringify(line));
} catch (error) {
  console.error(`${path}: ${error.message}`);
  process.exitCode = 1;
}
