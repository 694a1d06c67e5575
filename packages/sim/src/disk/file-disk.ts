import type { FileFolder, OpenFile } from "@aether/store/file-folder";
import type { Stream } from "../world/stream.ts";
import type { Device } from "./device.ts";
import { tear } from "./sectors.ts";

/** A file's bytes, whatever its name: as they are read, and as they were last synced. Neither array is ever changed. */
interface Content {
  now: Uint8Array;
  synced: Uint8Array;
  /** The name that it had when its bytes came to be others than were written; null while they are what was written. */
  damagedAs: string | null;
}

type Names = Map<string, Content>;
const nothing = new Uint8Array(0);

/**
 * One folder of files on a member's disk, and what a crash leaves of it. Sectors that were not synced are kept, lost or torn, each
 * by itself; a file is as long as it was, or became, or something between. Names that were not synced are as they were or as they
 * became: up to some change in half of the crashes, each by itself in the others.
 */
export class FileDisk {
  #names: Names;
  #syncedNames: Names;
  /** Since the folder was synced last, in order. */
  #changes: ((names: Names) => void)[] = [];
  /** Begun and not ended, in order; each may have come to be. */
  readonly #flying = new Set<() => void>();
  readonly #lane: string;

  /** `lane`: of the device, for what is written here. */
  constructor(names: Names = new Map(), lane = "snapshot") {
    this.#lane = lane;
    this.#names = new Map(names);
    this.#syncedNames = new Map(names);
  }

  /** Gives how many files came back with other bytes than they had, and how many changes of names were lost. */
  crash(stream: Stream): { readonly torn: number; readonly forgotten: number } {
    for (const effect of this.#flying) if (stream.chance(0.5)) effect();
    this.#flying.clear();
    const [killed, cut] = [stream.chance(0.3), stream.chance(0.5)];
    const end = killed ? this.#changes.length : stream.below(this.#changes.length + 1);
    const kept = this.#changes.filter((_, at) => (killed || cut ? at < end : stream.chance(0.5)));
    const forgotten = this.#changes.length - kept.length;
    for (const change of kept) change(this.#syncedNames);
    this.#changes = [];
    this.#names = new Map(this.#syncedNames);
    let torn = 0;
    for (const [name, content] of this.#names) {
      const left = killed ? content.now : leftOf(content, stream);
      if (Buffer.compare(left, content.now) !== 0) torn += 1;
      if (!isBeginning(left, content.now)) content.damagedAs = name;
      content.now = content.synced = left;
    }
    return { torn, forgotten };
  }

  /** The same files, on a disk that nothing writes at the moment. */
  clone(): FileDisk {
    return new FileDisk(new Map([...this.#names].map(([name, content]) => [name, { ...content }])), this.#lane);
  }

  /** Is there such a file, and would no crash change or lose any? */
  isDurable(named: (name: string) => boolean): boolean {
    const found = [...this.#names].filter(([name]) => named(name));
    return found.length > 0 && found.every(([name, one]) => this.#syncedNames.get(name) === one && one.now === one.synced);
  }

  has(name: string): boolean {
    return this.#names.has(name);
  }

  /** The files that are not what was written to them, by name; each with the name that it had when that happened. */
  damaged(): Map<string, string> {
    return new Map([...this.#names].flatMap(([name, { damagedAs }]) => (damagedAs === null ? [] : [[name, damagedAs]])));
  }

  /** One bit of a file whose name ends so is not what it was; false when there is none. */
  rot(ending: string, stream: Stream): boolean {
    const names = [...this.#names.keys()].filter((name) => name.endsWith(ending)).toSorted();
    if (names.length === 0) return false;
    const name = stream.pick(names);
    const content = this.#names.get(name) as Content;
    const bit = stream.below(content.now.length * 8);
    const altered = (bytes: Uint8Array): Uint8Array => {
      const copy = new Uint8Array(bytes);
      const at = Math.floor(bit / 8);
      if (at < copy.length) copy[at] = (copy[at] as number) ^ (1 << (bit % 8));
      return copy;
    };
    const whole = content.now === content.synced;
    content.now = altered(content.now);
    content.synced = whole ? content.now : altered(content.synced);
    content.damagedAs = name;
    return true;
  }

  /** `stream` draws how much of a write that fails is there all the same. */
  open(device: Device, stream: Stream): FileFolder {
    return {
      list: () => Promise.resolve([...this.#names.keys()]),
      open: async (name, how) => {
        const there = this.#names.get(name);
        if (there === undefined && how === "read") throw missing(name);
        if (there !== undefined && how === "create") throw present(name);
        const content = there ?? { now: nothing, synced: nothing, damagedAs: null };
        if (there === undefined) await this.#change(device, true, (names) => names.set(name, content));
        else if (how === "write") await this.#do(device, true, () => ((content.now = nothing), (content.damagedAs = null)));
        return this.#file(content, device, stream);
      },
      rename: async (from, to) => {
        const content = this.#find(from);
        await this.#change(device, false, (names) => {
          if (names.get(from) === content) names.delete(from);
          names.set(to, content);
        });
      },
      remove: async (name) => {
        const content = this.#names.get(name);
        if (content === undefined) return;
        await this.#change(device, false, (names) => {
          if (names.get(name) === content) names.delete(name);
        });
      },
      sync: () => {
        const upTo = this.#changes.length;
        return this.#do(device, false, () => {
          if (device.lies) return;
          for (const change of this.#changes.splice(0, upTo)) change(this.#syncedNames);
        });
      },
    };
  }

  #file(content: Content, device: Device, stream: Stream): OpenFile {
    return {
      size: () => Promise.resolve(content.now.length),
      read: (offset, max) => Promise.resolve(content.now.slice(offset, offset + max)),
      write: async (bytes) => {
        const copy = new Uint8Array(bytes);
        const add = (some: Uint8Array): void => {
          content.now = Buffer.concat([content.now, some]);
        };
        await this.#do(device, true, () => add(copy)).catch((error: unknown) => {
          // A full disk takes what it has room for.
          add(copy.subarray(0, stream.below(copy.length + 1)));
          throw error;
        });
      },
      sync: () => {
        const { now } = content;
        return this.#do(device, true, () => {
          if (!device.lies) content.synced = now;
        });
      },
      close: () => Promise.resolve(),
    };
  }

  #find(name: string): Content {
    const content = this.#names.get(name);
    if (content === undefined) throw missing(name);
    return content;
  }

  /** The names change at once for whoever looks, and for good when the folder is synced. */
  #change(device: Device, takesRoom: boolean, change: (names: Names) => void): Promise<void> {
    return this.#do(device, takesRoom, () => {
      change(this.#names);
      this.#changes.push(change);
    });
  }

  async #do(device: Device, takesRoom: boolean, effect: () => void): Promise<void> {
    try {
      await device.write(
        this.#lane,
        () => {
          this.#flying.add(effect);
          return () => {
            this.#flying.delete(effect);
            effect();
          };
        },
        takesRoom,
      );
    } finally {
      this.#flying.delete(effect);
    }
  }
}

const isBeginning = (some: Uint8Array, whole: Uint8Array): boolean =>
  some.length <= whole.length && Buffer.compare(some, whole.subarray(0, some.length)) === 0;

/** What a crash leaves of a file. */
function leftOf({ now, synced }: Content, stream: Stream): Uint8Array {
  if (now === synced) return now;
  const [least, most] = [Math.min(now.length, synced.length), Math.max(now.length, synced.length)];
  const size = stream.pick([now.length, synced.length, least + stream.below(most - least + 1)]);
  const left = new Uint8Array(size);
  left.set(synced.subarray(0, size));
  tear(left, now.subarray(0, size), stream);
  return left;
}

const present = (name: string): Error => Object.assign(new Error(`EEXIST: there is a ${name}`), { code: "EEXIST" });

const missing = (name: string): Error => Object.assign(new Error(`ENOENT: there is no ${name}`), { code: "ENOENT" });
