import type { Range, StateDb } from "@aether/store/events/state-db";
import type { Stream } from "../world/stream.ts";
import { Database, keyText } from "./database.ts";
import type { Device } from "./device.ts";

type Pairs = ReturnType<Database["pairs"]>;

/** What stands on a member's disk of its rows. */
export class StateFolder {
  database: Database;

  constructor(database = new Database()) {
    this.database = database;
  }

  clone(): StateFolder {
    return new StateFolder(this.database.clone());
  }

  /** The product keeps it for forensics; here nobody looks. */
  setAside(): void {
    this.database = new Database();
  }

  crash(stream: Stream): void {
    this.database.crash(stream);
  }

  open(device: Device): StateDb {
    const { database } = this;
    const within = ({ gte, lt }: Range): Pairs => database.pairs(keyText(gte), keyText(lt));
    return {
      write: (ops) => device.write("rows", () => database.begin(ops, !device.lies)),
      get: (key) => Promise.resolve(database.get(key)),
      scan: (range) => pageOf(within(range)),
      last: (range) => Promise.resolve(within(range).at(-1)),
      view: () => {
        const frozen = new Map(database.values);
        const view = new Database();
        view.values = frozen;
        return {
          scan: ({ gte, lt }) => pageOf(view.pairs(keyText(gte), keyText(lt))),
          close: () => Promise.resolve(),
        };
      },
      clear: (range) =>
        device.write("rows", () =>
          database.begin(
            within(range).map(([key]) => ({ type: "del", key })),
            false,
          ),
        ),
      close: () => Promise.resolve(),
    };
  }
}

async function* pageOf(pairs: Pairs): AsyncGenerator<Pairs> {
  await Promise.resolve();
  if (pairs.length > 0) yield pairs;
}
