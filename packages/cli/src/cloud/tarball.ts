/** A tar archive (POSIX ustar) through gzip, the same bytes for the same files: no times, owners or order of this computer are in it. */
import { createHash } from "node:crypto";
import { createReadStream, createWriteStream } from "node:fs";
import { rename, rm, stat } from "node:fs/promises";
import { Readable, Transform } from "node:stream";
import { pipeline } from "node:stream/promises";
import { createGzip } from "node:zlib";

export interface ArchiveFile {
  /** In the archive, with `/`. At most 99 characters, or a folder of at most 154 and a name of at most 99. */
  readonly name: string;
  /** On this computer; or the file's bytes themselves. */
  readonly from: string | Buffer;
  readonly executable: boolean;
}

const block = 512;
/** 2020-01-01: tar warns of times before it was invented. */
const mtimeS = 1_577_836_800;

/**
 * Writes `path`, whole or not at all. `level`: of gzip, 1 to 9. Resolves with the archive's size and SHA-256 (hex); rejects with the
 * system's error, and with a RangeError for a name that does not fit.
 */
export async function writeTarball(
  path: string,
  files: readonly ArchiveFile[],
  level: number,
): Promise<{ readonly bytes: number; readonly sha256: string }> {
  const draft = `${path}.part`;
  const digest = createHash("sha256");
  let bytes = 0;
  const count = new Transform({
    transform(chunk: Buffer, _encoding, done) {
      digest.update(chunk);
      bytes += chunk.length;
      done(null, chunk);
    },
  });
  const sorted = files.toSorted((a, b) => (a.name < b.name ? -1 : 1));
  try {
    await pipeline(Readable.from(archive(sorted)), createGzip({ level }), count, createWriteStream(draft));
  } catch (error) {
    await rm(draft, { force: true });
    throw error;
  }
  await rename(draft, path);
  return { bytes, sha256: digest.digest("hex") };
}

async function* archive(files: readonly ArchiveFile[]): AsyncGenerator<Buffer> {
  for (const { name, from, executable } of files) {
    const size = typeof from === "string" ? (await stat(from)).size : from.length;
    yield header(name, size, executable ? 0o755 : 0o644);
    let sent = 0;
    for await (const chunk of typeof from === "string" ? createReadStream(from, { highWaterMark: 1 << 20 }) : [from]) {
      sent += (chunk as Buffer).length;
      yield chunk as Buffer;
    }
    if (sent !== size) throw new Error(`${name} changed while it was packed`);
    yield Buffer.alloc((block - (size % block)) % block);
  }
  yield Buffer.alloc(2 * block);
}

/** IEEE 1003.1-1990, "ustar interchange format". */
function header(path: string, size: number, mode: number): Buffer {
  const [prefix, name] = split(path);
  const bytes = Buffer.alloc(block);
  const octal = (value: number, at: number, width: number): unknown =>
    bytes.write(value.toString(8).padStart(width - 1, "0"), at, "latin1");
  bytes.write(name, 0);
  octal(mode, 100, 8);
  octal(0, 108, 8);
  octal(0, 116, 8);
  octal(size, 124, 12);
  octal(mtimeS, 136, 12);
  bytes.write(" ".repeat(8), 148);
  bytes.write("0", 156);
  bytes.write("ustar\u000000", 257, "latin1");
  bytes.write("root", 265);
  bytes.write("root", 297);
  bytes.write(prefix, 345);
  const sum = bytes.reduce((all, byte) => all + byte, 0);
  bytes.write(`${sum.toString(8).padStart(6, "0")}\0 `, 148, "latin1");
  return bytes;
}

function split(path: string): readonly [string, string] {
  if (Buffer.byteLength(path) < 100) return ["", path];
  for (let at = path.indexOf("/"); at >= 0; at = path.indexOf("/", at + 1)) {
    const [prefix, name] = [path.slice(0, at), path.slice(at + 1)];
    if (Buffer.byteLength(name) < 100 && Buffer.byteLength(prefix) < 155) return [prefix, name];
  }
  throw new RangeError(`${path} is too long a name for a tar archive`);
}
