/**
 * Reads a whole log database once, in key order, and checks everything that can be checked: own CRCs, the chain,
 * contiguity, terms, and that the hard state ends where the entries end.
 */
import type { EntryId, HardState, Index, OpenVerdict, SnapMeta } from "@aether/raft/types";
import { type Block, chainWithin, decodeEntries, readHead } from "./block.ts";
import { Blocks } from "./blocks.ts";
import type { LogDamaged } from "./errors.ts";
import type { Guard } from "./guard.ts";
import {
  blockKey,
  blockOf,
  decodeFloor,
  decodeFormat,
  decodeHard,
  decodeSnap,
  type Floor,
  floorKey,
  type FolderIdentity,
  formatKey,
  formatVersion,
  hardKey,
  type HardRecord,
  snapKey,
} from "./keys.ts";
import type { KeyValue } from "./ports.ts";

export type Lost = Extract<OpenVerdict, { v: "lost" }>;
export type Foreign = Extract<OpenVerdict, { v: "foreign" }>;
type Why = Lost["why"];

/** A log that is whole. `stale` are the keys of blocks below the floor, left by a compaction that was cut off. */
export interface Found {
  readonly v: "found";
  readonly blocks: Blocks;
  readonly hard: HardState;
  readonly snap: SnapMeta;
  readonly stale: readonly Buffer[];
}

/** Ends the reading with a verdict; never leaves this file. */
class Verdict extends Error {
  readonly verdict: Lost | Foreign;
  constructor(verdict: Lost | Foreign) {
    super(verdict.v);
    this.verdict = verdict;
  }
}

function lost(why: Why, detail: string, floor: Index = 0): never {
  throw new Verdict({ v: "lost", why, detail, floor });
}

function foreign(why: string): never {
  throw new Verdict({ v: "foreign", why });
}

export interface VerifyOptions {
  readonly cacheBytes: number;
  readonly onDamage: (e: LogDamaged) => void;
}

/** Never rejects and never throws: a database that cannot be read is `lost` as `unreadable`. */
export async function verifyLog(
  keyValue: KeyValue,
  identity: FolderIdentity,
  options: VerifyOptions,
): Promise<Found | Lost | Foreign> {
  const reader = new Reader(keyValue, identity, options);
  try {
    for await (const page of keyValue.pages()) for (const [key, value] of page) reader.take(key, value);
    return reader.end();
  } catch (error) {
    if (error instanceof Verdict) return error.verdict;
    return { v: "lost", why: "unreadable", floor: 0, detail: `the log database cannot be read: ${(error as Error).message}` };
  }
}

interface Records {
  readonly hard: HardRecord;
  readonly floor: Floor;
  readonly snap: SnapMeta;
  readonly blocks: Blocks;
}

class Reader {
  readonly #keyValue: KeyValue;
  readonly #identity: FolderIdentity;
  readonly #options: VerifyOptions;
  readonly #values = new Map<string, Uint8Array>();
  readonly #stale: Buffer[] = [];
  /** Known once all keys before the blocks were read. */
  #records: Records | null = null;
  /** A block that begins at or below the floor and is altered: no loss if the next block shows that it lay wholly below. */
  #doubt: string | null = null;
  #joined = false;

  constructor(keyValue: KeyValue, identity: FolderIdentity, options: VerifyOptions) {
    this.#keyValue = keyValue;
    this.#identity = identity;
    this.#options = options;
  }

  take(key: Uint8Array, value: Uint8Array): void {
    if (key[0] === 0) this.#values.set(Buffer.from(key).toString("latin1"), value);
    else this.#takeBlock((this.#records ??= this.#readRecords()), key, value);
  }

  end(): Found {
    const { hard, floor, snap, blocks } = (this.#records ??= this.#readRecords());
    if (this.#doubt !== null && hard.last.index > blocks.last().index) lost("crc", this.#doubt);
    checkEnd(hard, blocks);
    // The commit index rides other writes and so may trail; what was compacted or came as a snapshot was committed.
    const commit = Math.max(hard.hard.commit, floor.id.index);
    return { v: "found", blocks, hard: { ...hard.hard, commit }, snap, stale: this.#stale };
  }

  #readRecords(): Records {
    if (this.#values.size === 0) lost("unreadable", "the log database is empty, though this folder was formatted");
    this.#checkFormat();
    const hard = this.#record(hardKey, "hard state", decodeHard, "hardState");
    const floor = this.#record(floorKey, "compaction point", decodeFloor, "hole");
    const snap = this.#record(snapKey, "snapshot record", decodeSnap, "hole");
    if (this.#values.size > 0) lost("crc", "the log database holds a record that no program writes");
    if (hard.snap.index !== snap.id.index || hard.snap.term !== snap.id.term) {
      lost("hardState", `the hard state belongs to snapshot ${hard.snap.index}, the snapshot record is of ${snap.id.index}`);
    }
    const { cacheBytes, onDamage } = this.#options;
    return { hard, floor, snap, blocks: new Blocks(this.#keyValue, floor, cacheBytes, onDamage) };
  }

  #checkFormat(): void {
    const format = this.#record(formatKey, "format record", decodeFormat, "hole");
    if (format.format !== formatVersion) foreign(`the log has format ${format.format}, this program knows ${formatVersion}`);
    const { clusterId, nodeId } = this.#identity;
    if (format.clusterId !== clusterId || format.nodeId !== nodeId) {
      foreign(
        `the log is of member ${format.nodeId} of cluster ${format.clusterId}, not of member ${nodeId} of cluster ${clusterId}`,
      );
    }
  }

  #record<T>(key: Buffer, name: string, decode: (bytes: Uint8Array) => T | undefined, why: Why): T {
    const letter = key.toString("latin1");
    const bytes = this.#values.get(letter);
    if (bytes === undefined) return lost(why, `the log's ${name} is gone`);
    this.#values.delete(letter);
    return decode(bytes) ?? lost("crc", `the log's ${name} is altered`);
  }

  #takeBlock(records: Records, key: Uint8Array, value: Uint8Array): void {
    const { floor, blocks } = records;
    const first = blockOf(key);
    if (first === undefined) return lost("crc", "the log database holds a key that no program writes");
    const block = readHead(value);
    if ("fault" in block) {
      if (block.fault === "version") return foreign(`entry ${first}: ${block.detail}`);
      const detail = `the block at entry ${first}: ${block.detail}`;
      if (this.#joined || first > floor.id.index) return lost("crc", detail);
      this.#doubt = detail;
      return;
    }
    const { head } = block;
    const last = head.first + head.count - 1;
    if (head.first !== first || head.count === 0) return lost("crc", `the block at entry ${first} is another block`);
    if (!this.#joined && first <= floor.id.index + 1) this.#doubt = null;
    if (last <= floor.id.index) {
      this.#stale.push(blockKey(first));
      return;
    }
    if (this.#doubt !== null) return lost("crc", this.#doubt);
    if (this.#joined) checkNext(blocks, block);
    else checkJoint(floor, block);
    this.#joined = true;
    blocks.add(block, entriesOf(block));
  }
}

function entriesOf(block: Block): ReturnType<typeof decodeEntries> {
  try {
    return decodeEntries(block);
  } catch (error) {
    // The CRCs hold, so a program wrote it like this: one that knows more than we do.
    return foreign((error as Error).message);
  }
}

/** The first block above the floor begins right after it, or covers it. */
function checkJoint(floor: Floor, block: Block): void {
  const { head } = block;
  const { index, term } = floor.id;
  if (head.first > index + 1)
    lost("hole", `entries ${index + 1} to ${head.first - 1} are gone: the log begins with entry ${head.first}`);
  const before = index - head.first + 1;
  const chain = before === 0 ? head.seed : chainWithin(block, before);
  const termThere = before === 0 ? head.prevTerm : entriesOf(block)[before - 1]?.term;
  if (chain !== floor.chain || termThere !== term) lost("chain", `the log does not follow its compaction point, entry ${index}`);
}

function checkNext(blocks: Blocks, block: Block): void {
  const { head } = block;
  const last = blocks.last();
  if (head.first > last.index + 1) lost("hole", `entries ${last.index + 1} to ${head.first - 1} are gone`);
  if (head.first <= last.index) lost("chain", `the blocks overlap at entry ${head.first}`);
  if (head.seed !== blocks.chain || head.prevTerm !== last.term)
    lost("chain", `entry ${head.first} does not follow entry ${last.index}`);
}

function checkEnd({ hard, last, chain }: HardRecord, blocks: Blocks): void {
  const end = blocks.last();
  if (last.index > end.index) lost("hole", `entries ${end.index + 1} to ${last.index} are gone from the end`, last.index);
  if (last.index < end.index)
    lost("hardState", `the hard state is older than the entries: it ends at ${last.index}, they at ${end.index}`, end.index);
  if (last.term !== end.term || chain !== blocks.chain)
    lost("chain", `entry ${end.index} is not the one that the hard state was written with`);
  if (hard.commit > end.index || hard.term < end.term) {
    lost(
      "hardState",
      `commit ${hard.commit} and term ${hard.term} do not fit a log that ends at entry ${end.index} of term ${end.term}`,
    );
  }
}

/** What the guard says about a log that is whole in itself. `floor` is what others vouch that this member has held. */
export function checkGuard(found: Found, guard: Guard, floor: Index): Lost | null {
  const { blocks, hard } = found;
  const last: EntryId = blocks.last();
  const promised = Math.max(guard.last.index, floor);
  const verdict = (why: Why, detail: string): Lost => ({ v: "lost", why, floor: promised, detail });
  if (last.index < promised) {
    return verdict(
      "belowFloor",
      `the log ends at entry ${last.index}, but this member has held entry ${promised}: it is an older copy, or its end is gone`,
    );
  }
  const { index } = guard.last;
  const held = index >= blocks.floor.id.index;
  if (held && (blocks.term(index) !== guard.last.term || blocks.chainAt(index) !== guard.chain)) {
    return verdict("chain", `entry ${index} is not the one that the guard was written with`);
  }
  if (guard.term > hard.term || (guard.term === hard.term && guard.vote !== 0 && guard.vote !== hard.vote)) {
    const was = `term ${guard.term} with a vote for ${guard.vote || "nobody"}`;
    return verdict("hardState", `this member had promised ${was}; the log remembers term ${hard.term}, ${hard.vote || "nobody"}`);
  }
  return null;
}
