/** Snapshots as files: `<index>-<term>-<digest prefix>.snap` in one folder, each whole or not there. */
import { crc32 } from "node:zlib";
import { failpoints } from "@aether/core/kernel/failpoint";
import type { EntryId, Membership, SnapMeta, SnapshotChunk, SnapshotStore, SnapshotWriter } from "@aether/raft/types";
import { type FileFolder, openFileFolder, type OpenFile, withFile } from "./file-folder.ts";
import { orMissing } from "./log/folder.ts";
import { noPace, ownPace, type Pace } from "./pace.ts";
import { encodeSnapshot, SnapshotDamaged, type SnapshotHead, SnapshotParser } from "./snapshot-file.ts";

/** The newest and the one before it, which a slow reader may still be streaming. */
const keep = 2;
/** Received and not restored yet: so many are kept besides, the oldest of them first, because they are restored in order. */
const awaitedMax = 4;
const readMax = 1024 * 1024;
const readAhead = 256 * 1024;
/**
 * A file of hundreds of megabytes that is synced only when it is whole makes every other sync of the disk wait for all of it, the log's
 * among them. So each so many bytes are synced when they have been written.
 */
const syncBytes = 1024 * 1024;
const partialFile = "receive.part";
const partialKey = "receive.key";
/** More than any key has; a longer one is none. */
const partialKeyMax = 1024;
const makingFile = "create.tmp";

/**
 * Opens the snapshots of a folder, made if need be. Every file is read and verified; one that is damaged is set aside as
 * `<name>.damaged` and does not count. What a crash left unfinished is removed, except a partial receive, which resumes.
 */
export const openSnapshots = async (dir: string): Promise<SnapshotStore> => openSnapshotsOn(await openFileFolder(dir), ownPace);

/** The same in any folder. `pace` is asked for one each time that a snapshot is made, or read again when it has come in. */
export async function openSnapshotsOn(folder: FileFolder, pace: () => Pace = () => noPace): Promise<SnapshotStore> {
  await folder.remove(makingFile);
  const found: SnapMeta[] = [];
  const names = (await folder.list()).filter((name) => name.endsWith(".snap"));
  for (const name of names) {
    try {
      const meta = await verifySnapshot(folder, name, noPace);
      if (nameOf(meta) !== name) throw new SnapshotDamaged("it is not the snapshot that its name says");
      found.push(meta);
    } catch (error) {
      if (!(error instanceof SnapshotDamaged)) throw error;
      await setAside(folder, name);
    }
  }
  // More than are kept stay until the next one comes: the log may have been begun anew with an older one, still to be restored.
  return new FileSnapshots(folder, found.toSorted(newestFirst), pace);
}

/** Durably, or it would be found damaged at every start. */
async function setAside(folder: FileFolder, name: string): Promise<void> {
  await folder.rename(name, `${name}.damaged`);
  await folder.sync();
}

/** The rows of a snapshot, in order, from any store that holds it; throws {@link SnapshotDamaged} when a check fails. */
export async function* readRows(store: SnapshotStore, meta: SnapMeta): AsyncGenerator<Uint8Array> {
  const parser = new SnapshotParser(chunksOf(store, meta));
  checkHead(await parser.head(), meta);
  yield* parser.rows();
}

async function* chunksOf(store: SnapshotStore, meta: SnapMeta): AsyncGenerator<Uint8Array> {
  for (let offset = 0, eof = false; !eof;) {
    const chunk = await store.read(meta, offset, readAhead);
    yield chunk.bytes;
    offset += chunk.bytes.length;
    ({ eof } = chunk);
  }
}

/** Reads a whole file and gives what it is a snapshot of. Throws {@link SnapshotDamaged}. */
const verifySnapshot = (folder: FileFolder, name: string, pace: Pace): Promise<SnapMeta> =>
  withFile(folder, name, "read", async (file) => {
    const parser = new SnapshotParser(piecesOf(file, pace));
    const { id, membership, digest } = await parser.head();
    await parser.finish();
    return { id, membership, digest, bytes: await file.size() };
  });

async function* piecesOf(file: OpenFile, pace: Pace): AsyncGenerator<Uint8Array> {
  const buffer = Buffer.allocUnsafe(readAhead);
  for (let offset = 0; ;) {
    const piece = await file.read(offset, readAhead, buffer);
    if (piece.length === 0) return;
    yield piece;
    offset += piece.length;
    await pace.rest();
  }
}

/** Whether `length` bytes more after `before` reach the next place at which a growing file is synced. */
const endsSyncRun = (before: number, length: number): boolean =>
  Math.floor(before / syncBytes) < Math.floor((before + length) / syncBytes);

const newestFirst = (a: SnapMeta, b: SnapMeta): number => b.id.index - a.id.index || b.id.term - a.id.term;
/** Members pack the same state each in its own way: snapshots of it are one, though their sizes differ. */
const isSame = (a: SnapMeta, b: SnapMeta): boolean =>
  a.id.index === b.id.index && a.id.term === b.id.term && a.digest === b.digest;
const nameOf = ({ id, digest }: Pick<SnapMeta, "id" | "digest">): string =>
  `${id.index}-${id.term}-${digest.slice(0, 16).replaceAll(/[^A-Za-z0-9]/g, "_")}.snap`;
/** Names one snapshot for resuming: the same text for equal metas, whatever made the objects. */
const keyOf = ({ id, digest, bytes }: SnapMeta): string => `${id.index}/${id.term}/${digest}/${bytes}\n`;

function checkHead(head: SnapshotHead, meta: SnapMeta): void {
  const same = head.id.index === meta.id.index && head.id.term === meta.id.term && head.digest === meta.digest;
  if (!same || membersOf(head) !== membersOf(meta)) throw new SnapshotDamaged(`the file is not snapshot ${nameOf(meta)}`);
}

const membersOf = ({ membership: m }: SnapshotHead): string =>
  JSON.stringify([m.voters, m.outgoing, m.learners, m.learnersNext, m.autoLeave]);

class FileSnapshots implements SnapshotStore {
  readonly #folder: FileFolder;
  readonly #pace: () => Pace;
  /** Verified and durable, newest first. */
  #held: SnapMeta[];
  #making = false;
  /** Snapshots get their names one after the other. */
  #adopting: Promise<unknown> = Promise.resolve();
  #receiving: PartialReceive | null = null;
  #beginning: Promise<unknown> = Promise.resolve();
  /** Begun to be read last and not read to its end: a restore takes its time, and newer ones may come in meanwhile. */
  #reading: SnapMeta | null = null;
  /** Received and not read to their end: the log may already begin with one whose restore waits its turn. Oldest first. */
  #awaited: SnapMeta[] = [];

  constructor(folder: FileFolder, held: SnapMeta[], pace: () => Pace) {
    this.#folder = folder;
    this.#held = held;
    this.#pace = pace;
  }

  async create(at: EntryId, membership: Membership, digest: string, rows: AsyncIterable<Uint8Array>): Promise<SnapMeta> {
    if (this.#making) throw new Error("a snapshot is being made already");
    this.#making = true;
    try {
      let bytes = 0;
      const pace = this.#pace();
      await withFile(this.#folder, makingFile, "write", async (file) => {
        for await (const piece of encodeSnapshot({ id: at, membership, digest }, rows)) {
          await file.write(piece);
          if (endsSyncRun(bytes, piece.length)) await file.sync();
          bytes += piece.length;
          await pace.rest();
        }
        await failpoints.at?.("beforeSnapSync");
        await file.sync();
      });
      const meta = { id: at, membership, digest, bytes };
      const adopted = await this.#adopt(makingFile, meta, false);
      if (adopted !== meta) await this.#folder.remove(makingFile);
      return adopted;
    } catch (error) {
      await this.#folder.remove(makingFile);
      throw error;
    } finally {
      this.#making = false;
    }
  }

  latest(): SnapMeta | null {
    return this.#held[0] ?? null;
  }

  has(m: SnapMeta): boolean {
    return this.#find(m) !== undefined;
  }

  async check(m: SnapMeta): Promise<boolean> {
    const held = this.#find(m);
    if (held === undefined) return false;
    try {
      await verifySnapshot(this.#folder, nameOf(held), this.#pace());
      return true;
    } catch (error) {
      // a newer one may have taken its place while it was read
      if (this.#find(m) !== held) return false;
      if (!(error instanceof SnapshotDamaged)) throw error;
      this.#held = this.#held.filter((one) => one !== held);
      await setAside(this.#folder, nameOf(held));
      return false;
    }
  }

  async read(m: SnapMeta, offset: number, max: number): Promise<SnapshotChunk> {
    const held = this.#find(m);
    if (held === undefined) throw new Error(`snapshot ${nameOf(m)} is not held here any more`);
    const size = Math.max(0, Math.min(max, readMax, held.bytes - offset));
    const eof = offset + size >= held.bytes;
    if (offset === 0) this.#reading = m;
    if (eof) this.#readToEnd(m);
    const parts: Uint8Array[] = [];
    await withFile(this.#folder, nameOf(m), "read", async (file) => {
      for (let done = 0; done < size;) {
        const part = await file.read(offset + done, size - done);
        if (part.length === 0) throw new SnapshotDamaged(`${nameOf(m)} ends at byte ${offset + done} of ${held.bytes}`);
        parts.push(part);
        done += part.length;
      }
    });
    const [bytes = new Uint8Array(0)] = parts.length === 1 ? parts : [Buffer.concat(parts)];
    return { bytes, crc: crc32(bytes), eof };
  }

  /** What the receive before is doing is done first: all of them use the same files. */
  begin(m: SnapMeta): Promise<SnapshotWriter> {
    const begun = this.#beginning.then(() => this.#beginNow(m));
    this.#beginning = begun.catch(() => undefined);
    return begun;
  }

  async #beginNow(m: SnapMeta): Promise<SnapshotWriter> {
    this.#receiving?.supersede();
    await this.#receiving?.done();
    const receiving = await PartialReceive.resume(this.#folder, m, this.#pace, async () => {
      if (this.#awaited.length < awaitedMax) this.#awaited.push(m);
      await this.#adopt(partialFile, m, true);
    });
    this.#receiving = receiving;
    return receiving;
  }

  #find(m: SnapMeta): SnapMeta | undefined {
    return this.#held.find((held) => isSame(held, m));
  }

  /** What was received before it will not be restored any more: the state has gone past it. */
  #readToEnd(m: SnapMeta): void {
    if (this.#reading !== null && isSame(this.#reading, m)) this.#reading = null;
    this.#awaited = this.#awaited.filter((waiting) => waiting.id.index > m.id.index);
  }

  /** Removes all but the newest few, the one that is being read, and those that wait to be restored. */
  async #prune(): Promise<void> {
    const needed = [...this.#awaited, ...(this.#reading === null ? [] : [this.#reading])];
    const old = this.#held.filter((meta, place) => place >= keep && !needed.some((one) => isSame(one, meta)));
    this.#held = this.#held.filter((meta) => !old.includes(meta));
    for (const meta of old) await this.#folder.remove(nameOf(meta));
    if (old.length > 0) await this.#folder.sync();
  }

  /** Makes a whole, synced file one of the snapshots, and gives the one that counts. */
  #adopt(name: string, meta: SnapMeta, received: boolean): Promise<SnapMeta> {
    const adopted = this.#adopting.then(() => this.#adoptNow(name, meta, received));
    this.#adopting = adopted.catch(() => undefined);
    return adopted;
  }

  /** The same one, made and received at once, stays as it came first: somebody may be reading its file, and its name is durable. */
  async #adoptNow(name: string, meta: SnapMeta, received: boolean): Promise<SnapMeta> {
    const known = this.#find(meta);
    if (known !== undefined) return known;
    await failpoints.at?.(received ? "beforeReceivedRename" : "beforeSnapRename");
    await this.#folder.rename(name, nameOf(meta));
    await failpoints.at?.(received ? "afterReceivedRename" : "afterSnapRename");
    await this.#folder.sync();
    this.#held = [...this.#held.filter((held) => nameOf(held) !== nameOf(meta)), meta].toSorted(newestFirst);
    await this.#prune();
    return meta;
  }
}

/** The one partial snapshot that may be on its way in, with a note beside it of which one it is. */
class PartialReceive implements SnapshotWriter {
  readonly #folder: FileFolder;
  readonly #meta: SnapMeta;
  readonly #pace: () => Pace;
  readonly #adopt: () => Promise<void>;
  #offset: number;
  /** What it is doing with its files, or was. */
  #doing: Promise<unknown> = Promise.resolve();
  #state: "open" | "superseded" | "ended" = "open";

  static async resume(folder: FileFolder, meta: SnapMeta, pace: () => Pace, adopt: () => Promise<void>): Promise<PartialReceive> {
    const known = await withFile(folder, partialKey, "read", (file) => file.read(0, partialKeyMax)).catch(orMissing);
    const size = (await withFile(folder, partialFile, "read", (file) => file.size()).catch(orMissing)) ?? 0;
    const key = Buffer.from(keyOf(meta));
    const resumes = known !== undefined && key.equals(known) && size <= meta.bytes;
    if (!resumes) {
      await folder.remove(partialFile);
      await withFile(folder, partialKey, "write", async (file) => {
        await file.write(key);
        await file.sync();
      });
    }
    return new PartialReceive(folder, meta, resumes ? size : 0, pace, adopt);
  }

  private constructor(folder: FileFolder, meta: SnapMeta, offset: number, pace: () => Pace, adopt: () => Promise<void>) {
    this.#folder = folder;
    this.#meta = meta;
    this.#offset = offset;
    this.#pace = pace;
    this.#adopt = adopt;
  }

  get offset(): number {
    return this.#offset;
  }

  async write(offset: number, bytes: Uint8Array, crc: number): Promise<void> {
    this.#checkOpen();
    if (offset !== this.#offset)
      throw new Error(`bytes from ${offset} do not follow byte ${this.#offset} of ${nameOf(this.#meta)}`);
    if (offset + bytes.length > this.#meta.bytes)
      throw new Error(`${nameOf(this.#meta)} has ${this.#meta.bytes} bytes, not ${offset + bytes.length}`);
    if (crc32(bytes) !== crc) throw new Error(`bytes from ${offset} of ${nameOf(this.#meta)} were altered on the way`);
    // Counted before it is written, so that a second call cannot put its bytes at the same place.
    this.#offset += bytes.length;
    // Opened anew each time: a receive that its sender gives up holds no file open.
    await this.#do(() =>
      withFile(this.#folder, partialFile, "append", async (file) => {
        await file.write(bytes);
        if (endsSyncRun(offset, bytes.length)) await file.sync();
      }),
    );
  }

  async commit(): Promise<void> {
    this.#checkOpen();
    if (this.#offset !== this.#meta.bytes)
      throw new Error(`${nameOf(this.#meta)} has ${this.#offset} of ${this.#meta.bytes} bytes so far`);
    this.#state = "ended";
    await this.#do(() => this.#finish());
  }

  async #finish(): Promise<void> {
    try {
      await failpoints.at?.("beforeReceivedSync");
      await withFile(this.#folder, partialFile, "read", (file) => file.sync());
      checkHead(await verifySnapshot(this.#folder, partialFile, this.#pace()), this.#meta);
      await this.#adopt();
    } finally {
      // Damaged as well as done: what is here cannot be gone on with.
      await this.#discard();
    }
  }

  async abort(): Promise<void> {
    if (this.#state !== "open") return;
    this.#state = "ended";
    await this.#do(() => this.#discard());
  }

  /** Another receive takes the place; what came so far stays on disk for it, should it be the same snapshot. */
  supersede(): void {
    if (this.#state === "open") this.#state = "superseded";
  }

  /** Resolves when nothing of it is under way: the next receive uses the same files. */
  async done(): Promise<void> {
    await this.#doing;
  }

  #do(step: () => Promise<void>): Promise<void> {
    const doing = step();
    this.#doing = Promise.allSettled([this.#doing, doing]);
    return doing;
  }

  #checkOpen(): void {
    if (this.#state !== "open")
      throw new Error(`the receive of ${nameOf(this.#meta)} has ${this.#state === "ended" ? "ended" : "been taken over"}`);
  }

  async #discard(): Promise<void> {
    await this.#folder.remove(partialFile);
    await this.#folder.remove(partialKey);
  }
}
