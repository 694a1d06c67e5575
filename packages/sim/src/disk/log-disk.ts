import { type GuardFile, guardSlotBytes, type KeyValue } from "@aether/store/log/ports";
import type { LogPorts } from "@aether/store/log/start";
import type { Stream } from "../world/stream.ts";
import { Database } from "./database.ts";
import type { Device } from "./device.ts";
import { tear } from "./sectors.ts";

/** Pairs of one page when the log is read as a whole. */
const pagePairs = 64;

/** What stands on a member's disk of its log: the database and the guard beside it. */
export class LogDisk {
  readonly database: Database;
  readonly #slots: [Uint8Array, Uint8Array];
  #flying: { readonly slot: 0 | 1; readonly bytes: Uint8Array }[] = [];

  constructor(database = new Database(), slots: readonly Uint8Array[] = []) {
    this.database = database;
    this.#slots = [slots[0] ?? new Uint8Array(guardSlotBytes), slots[1] ?? new Uint8Array(guardSlotBytes)];
  }

  clone(): LogDisk {
    return new LogDisk(this.database.clone(), this.#slots);
  }

  ports(device: Device): LogPorts {
    return { keyValue: this.#keyValue(device), guard: this.#guard(device) };
  }

  /** A guard slot, which is a sector, and whose write was under way is kept, lost or torn, each by itself. */
  crash(stream: Stream): void {
    this.database.crash(stream);
    for (const { slot, bytes } of this.#flying) {
      const torn = new Uint8Array(this.#slots[slot]);
      tear(torn, bytes, stream);
      this.#slots[slot] = torn;
    }
    this.#flying = [];
  }

  #keyValue(device: Device): KeyValue {
    const { database } = this;
    return {
      batch: (ops, { sync }) => device.write("log", () => database.begin(ops, sync && !device.lies)),
      getSync: (key) => database.get(key),
      pages: async function* () {
        const pairs = database.pairs();
        for (let at = 0; at < pairs.length; at += pagePairs) yield pairs.slice(at, at + pagePairs);
      },
      close: () => Promise.resolve(),
    };
  }

  #guard(device: Device): GuardFile {
    return {
      read: (slot) => Promise.resolve(new Uint8Array(this.#slots[slot])),
      write: (slot, bytes) => {
        const write = { slot, bytes: new Uint8Array(bytes) };
        return device.write("guard", () => {
          this.#flying.push(write);
          return () => {
            this.#flying = this.#flying.filter((other) => other !== write);
            this.#slots[slot] = write.bytes;
          };
        });
      },
      close: () => Promise.resolve(),
    };
  }
}
