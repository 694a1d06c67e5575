/**
 * Checks the files of a LevelDB database before it is opened. LevelDB verifies no checksum of a table on read, leaves out
 * write-ahead records that do not verify without an error, and ends the process when a compaction meets keys out of order; so
 * whatever is altered must be found here.
 */
import { open, readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { orMissing } from "../folder.ts";
import { type FileState, readRecords } from "./records.ts";
import { tableFault } from "./table.ts";
import { VarintReader } from "./varint.ts";

/** The worst state of the files that the database is made of. Rejects when the folder itself cannot be read. */
export async function inspectDatabase(folder: string): Promise<FileState> {
  const names = await readdir(folder);
  const current = (await readFile(join(folder, "CURRENT"), "utf8").catch(orMissing)) ?? "";
  if (!/^MANIFEST-\d+\n$/.test(current)) return damaged("CURRENT", "it names no manifest");
  const manifest = await readFile(join(folder, current.trim())).catch(orMissing);
  if (manifest === undefined) return damaged(current.trim(), "it is gone");
  const live: Live = { tables: new Set(), log: 0 };
  let worst = await named(current.trim(), () => readRecords(manifest, (record) => applyEdit(live, record)));
  const room = new Room();
  for (const name of names.toSorted()) {
    const number = Number.parseInt(name, 10);
    if (worst.state === "damaged") return worst;
    let state: FileState = { state: "whole" };
    // An older log or a table outside the manifest is what a crash left of work that was done again or never finished.
    if (name.endsWith(".log") && number >= live.log) state = await named(name, () => inspectLog(join(folder, name), room));
    else if (/\.(ldb|sst)$/.test(name) && live.tables.delete(number))
      state = await named(name, () => inspectTable(join(folder, name), room));
    if (state.state !== "whole") worst = state;
  }
  const [gone] = live.tables;
  return gone === undefined ? worst : damaged(`table ${gone}`, "it is gone");
}

const damaged = (name: string, detail: string): FileState => ({ state: "damaged", detail: `${name}: ${detail}` });

async function named(name: string, inspect: () => FileState | Promise<FileState>): Promise<FileState> {
  const found = await inspect();
  return found.state === "whole" ? found : { state: found.state, detail: `${name}: ${found.detail}` };
}

/** Files may go while another process has the database open; then opening it is refused anyway. */
async function inspectLog(path: string, room: Room): Promise<FileState> {
  const file = await room.read(path).catch(orMissing);
  return file === undefined ? { state: "whole" } : readRecords(file, () => undefined);
}

async function inspectTable(path: string, room: Room): Promise<FileState> {
  const file = await room.read(path).catch(orMissing);
  const detail = file === undefined ? undefined : tableFault(file);
  return detail === undefined ? { state: "whole" } : { state: "damaged", detail };
}

/**
 * One buffer for all files, each of some megabytes: buffers of their own make V8 look through its whole heap now and then, which took a
 * quarter of the checks' time.
 */
class Room {
  #bytes = Buffer.alloc(0);

  /** The whole file; valid until the next one is read. Rejects as open and read do. */
  async read(path: string): Promise<Buffer> {
    const file = await open(path);
    try {
      const { size } = await file.stat();
      if (size > this.#bytes.length) this.#bytes = Buffer.allocUnsafeSlow(size);
      let have = 0;
      while (have < size) {
        const { bytesRead } = await file.read(this.#bytes, have, size - have, have);
        if (bytesRead === 0) break;
        have += bytesRead;
      }
      return this.#bytes.subarray(0, have);
    } finally {
      await file.close();
    }
  }
}

interface Live {
  readonly tables: Set<number>;
  /** Write-ahead logs with a lower number are wholly in tables. */
  log: number;
}

const tag = {
  comparator: 1,
  log: 2,
  nextFile: 3,
  lastSequence: 4,
  pointer: 5,
  deletedTable: 6,
  newTable: 7,
  previousLog: 9,
} as const;

/** One manifest record: which tables come and go. Throws RangeError on a tag of another LevelDB. */
function applyEdit(live: Live, record: Buffer): void {
  const edit = new VarintReader(record);
  while (!edit.done) {
    const kind = edit.number();
    if (kind === tag.comparator) edit.string();
    else if (kind === tag.log) live.log = edit.number();
    else if (kind === tag.nextFile || kind === tag.lastSequence || kind === tag.previousLog) edit.number();
    else if (kind === tag.pointer) {
      edit.number();
      edit.string();
    } else if (kind === tag.deletedTable) {
      edit.number();
      live.tables.delete(edit.number());
    } else if (kind === tag.newTable) {
      edit.number();
      live.tables.add(edit.number());
      edit.number();
      edit.string();
      edit.string();
    } else throw new RangeError(`the manifest holds an edit of kind ${kind}`);
  }
}
