/** New objects as one pack: named by what they are, compressed as they come. */
import type { FileFolder } from "../file-folder.ts";
import { deflated } from "./compress.ts";
import { type GitObject, oidOf, type Oid } from "./object.ts";
import { PackBuilder } from "./pack-builder.ts";
import { kindCodes, type PackMade } from "./pack-format.ts";
import type { Steps } from "./steps.ts";

/** What takes new objects. */
export interface ObjectSink {
  /** Adds the object unless it is there; gives its name. `oid`: that name, where it is known. */
  add(object: GitObject, oid?: Oid): Oid;
  /** Whether {@link spill} is due: what was added takes memory until then. */
  readonly full: boolean;
  spill(): Promise<void>;
}

/** git's own default: of objects as small as these it costs no more than less would. Folders are hashes mostly, of which zlib makes nothing less. */
const levels = { blob: 6, commit: 6, tag: 6, tree: 0 } as const;

/** One at a time of one name in a folder, which is part of its files' names until it is finished. */
export class ObjectPack implements ObjectSink {
  private readonly builder: PackBuilder;

  constructor(folder: FileFolder, name: string) {
    this.builder = new PackBuilder(folder, name, 0);
  }

  get objects(): number {
    return this.builder.size;
  }

  get full(): boolean {
    return this.builder.full;
  }

  add({ kind, bytes }: GitObject, oid: Oid = oidOf({ kind, bytes })): Oid {
    const name = Buffer.from(oid, "hex");
    if (this.builder.find(name) < 0) this.builder.put(name, kindCodes[kind], bytes.length, deflated(bytes, levels[kind]));
    return oid;
  }

  spill(): Promise<void> {
    return this.builder.flush();
  }

  /** The pack is durable, and seen by whoever looks, when this resolves. Null when nothing was added. */
  finish(steps: Steps): Promise<PackMade | null> {
    return this.builder.finish(steps);
  }

  /** Takes back what was added. */
  discard(): Promise<void> {
    return this.builder.discard();
  }
}
