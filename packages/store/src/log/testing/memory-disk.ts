import { type GuardFile, guardSlotBytes, type KeyValue, type Op } from "../ports.ts";

/** One durable step of a disk, in the order in which steps became durable. */
export type Step =
  | { readonly on: "batch"; readonly ops: readonly Op[]; readonly sync: boolean }
  | { readonly on: "guard"; readonly slot: 0 | 1; readonly bytes: Uint8Array };

/**
 * Both of the log's ports in memory, with a journal: any prefix of it is a disk that a crash could have left.
 * `refuse` makes the next matching write fail, as a full or broken disk would.
 */
export class MemoryDisk {
  readonly values = new Map<string, Uint8Array>();
  readonly slots: [Uint8Array, Uint8Array] = [new Uint8Array(guardSlotBytes), new Uint8Array(guardSlotBytes)];
  readonly journal: Step[] = [];
  refuse: ((step: Step) => boolean) | null = null;

  /** The disk that the first `steps` of a journal leave behind; `lose` leaves out un-synced batches. */
  static replay(journal: readonly Step[], steps: number, lose: (step: Step, at: number) => boolean = () => false): MemoryDisk {
    const disk = new MemoryDisk();
    journal.slice(0, steps).forEach((step, at) => {
      if (!lose(step, at)) disk.#take(step);
    });
    return disk;
  }

  copy(): MemoryDisk {
    return MemoryDisk.replay(this.journal, this.journal.length);
  }

  get keyValue(): KeyValue {
    return {
      batch: (ops, { sync }) => this.#write({ on: "batch", ops: ops.map(detached), sync }),
      getSync: (key) => copied(this.values.get(hex(key))),
      pages: () => this.#pages(),
      close: () => Promise.resolve(),
    };
  }

  get guard(): GuardFile {
    return {
      read: (slot) => Promise.resolve(copied(this.slots[slot])),
      write: (slot, bytes) => this.#write({ on: "guard", slot, bytes: copied(bytes) }),
      close: () => Promise.resolve(),
    };
  }

  get ports(): { keyValue: KeyValue; guard: GuardFile } {
    return { keyValue: this.keyValue, guard: this.guard };
  }

  async *#pages(): AsyncGenerator<(readonly [Uint8Array, Uint8Array])[]> {
    const keys = [...this.values.keys()].toSorted();
    for (const key of keys) yield [[Buffer.from(key, "hex"), copied(this.values.get(key) as Uint8Array)]];
  }

  async #write(step: Step): Promise<void> {
    await Promise.resolve();
    if (this.refuse?.(step) === true) throw new Error("no space left on device");
    this.#take(step);
  }

  #take(step: Step): void {
    this.journal.push(step);
    if (step.on === "guard") this.slots[step.slot] = step.bytes;
    else {
      for (const op of step.ops) {
        if (op.type === "put") this.values.set(hex(op.key), op.value);
        else this.values.delete(hex(op.key));
      }
    }
  }
}

/** A Buffer's own slice() would be a view. */
function copied<B extends Uint8Array | undefined>(bytes: B): B {
  return (bytes === undefined ? undefined : new Uint8Array(bytes)) as B;
}

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString("hex");
/** As LevelDB does, the bytes are copied when the batch is handed over. */
const detached = (op: Op): Op =>
  op.type === "put" ? { ...op, key: copied(op.key), value: copied(op.value) } : { ...op, key: copied(op.key) };
