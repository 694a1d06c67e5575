/** The data folder of member 2 of a cluster of three, as its daemon left it: written by the test, entry by entry, through the real parts. */
import { join } from "node:path";
import { type Command, isRejection } from "@aether/core/kernel/command";
import type { Identity } from "@aether/core/kernel/event";
import { registry } from "@aether/core/registry";
import { clusterId, initialise, memberOf, operator, RulesBench } from "@aether/core/testing/rules-bench";
import { applyConfigChange, decodeConfigChange, encodeConfigChange } from "@aether/raft/config-change";
import { logSlice } from "@aether/raft/core/slice";
import { type ConfigChange, type Entry, Kind, type LogStorage, type Membership } from "@aether/raft/types";
import { encodeEntry } from "@aether/store/events/entry-codec";
import { openEventStore } from "@aether/store/events/open";
import { formatLog, openLog } from "@aether/store/log/open";
import { openSnapshots } from "@aether/store/snapshots";
import type { EventStore } from "@aether/store/types";

export const oldMember = 2;
export const oldIdentity = { clusterId, nodeId: oldMember };
const nobody: Membership = { voters: [], outgoing: [], learners: [], learnersNext: [], autoLeave: false };

export class OldFolder {
  readonly dir: string;
  /** What the rules make of all entries, the uncommitted ones included. */
  readonly bench = new RulesBench();
  term = 2;
  #storage: LogStorage;
  #store: EventStore;
  #membership = nobody;
  #at = 1_000;

  private constructor(dir: string, storage: LogStorage, store: EventStore) {
    this.dir = dir;
    this.#storage = storage;
    this.#store = store;
  }

  /** Formatted, initialised and ready; everything committed. */
  static async make(dir: string): Promise<OldFolder> {
    await formatLog(dir, oldIdentity, [1, 2, 3]);
    const { storage } = await openLog(dir, oldIdentity);
    if (storage === undefined) throw new Error("a log that was just formatted does not open");
    const options = {
      dir: join(dir, "state"),
      now: () => 1_000,
      drawBits: () => "0".repeat(32),
      flushMs: 60_000,
      flushRows: 100_000,
      keepEntries: 10,
      snapshotEveryEntries: 1_000_000,
      maxInFlight: 10,
      onFatal: (error: Error): never => {
        throw error;
      },
    };
    const folder = new OldFolder(
      dir,
      storage,
      await openEventStore(options, registry, storage.view, await openSnapshots(join(dir, "snap"))),
    );
    await folder.consensus(Kind.noop, new Uint8Array());
    await folder.write(initialise(3));
    for (const name of ["n1", "n2", "n3"])
      await folder.write({ type: "AdmitNode", id: name, member: Number(name[1]) }, memberOf("n1"));
    await folder.write({ type: "MarkClusterReady", id: "home" });
    await folder.commit();
    return folder;
  }

  get last(): number {
    return this.#storage.view.last().index;
  }

  /** The entry of a command, durable in the log; committed when {@link commit} says so. */
  async write(command: Command, actor: Identity = operator): Promise<number> {
    const done = this.bench.try(command, actor);
    if (isRejection(done)) throw new Error(JSON.stringify(done));
    const { events } = done;
    this.#at += 1_000;
    return this.#append(Kind.normal, encodeEntry({ at: this.#at, actor, cause: command.type, request: null, events }));
  }

  set(key: string, value: unknown): Promise<number> {
    return this.write({ type: "SetSetting", id: key, value });
  }

  change(change: Pick<ConfigChange, "changes"> & Partial<ConfigChange>): Promise<number> {
    return this.consensus(
      Kind.config,
      encodeConfigChange({ transition: "auto", leave: false, context: new Uint8Array(), ...change }),
    );
  }

  consensus(kind: Kind, data: Uint8Array): Promise<number> {
    return this.#append(kind, data);
  }

  /** Everything written so far is committed, and applied here. */
  async commit(): Promise<number> {
    const { view } = this.#storage;
    const last = view.last();
    const hard = { term: this.term, vote: oldMember, commit: last.index };
    await this.#storage.append([{ token: 1, term: this.term, hard, slice: null, snap: null, last, sync: true, thenSend: [] }]);
    while (this.#store.applied < last.index) {
      const page = view.read(this.#store.applied + 1, last.index + 1, 1);
      if (page === "compacted") throw new Error("the log has lost what is not applied");
      for (const entry of page) {
        if (entry.kind === Kind.config) {
          const next = applyConfigChange(this.#membership, decodeConfigChange(entry.data));
          if (!("reason" in next)) this.#membership = next;
        }
        this.#store.stateMachine.apply([entry], this.#membership);
      }
    }
    return last.index;
  }

  async flush(): Promise<void> {
    await this.#store.flush();
  }

  /** A snapshot of what is committed, and the log cut off behind it but for `kept` entries. */
  async compact(kept: number): Promise<void> {
    const snapshots = await openSnapshots(join(this.dir, "snap"));
    const { id } = await this.#store.stateMachine.snapshot(snapshots);
    await this.#storage.compact(id.index - kept);
  }

  digest(): string {
    return this.#store.stateDigest().digest;
  }

  chain(): string {
    return this.#store.auditHead().chain;
  }

  async close(): Promise<void> {
    await this.#store.close();
    await this.#storage.close();
  }

  async #append(kind: Kind, data: Uint8Array): Promise<number> {
    const prev = this.#storage.view.last();
    const entry: Entry = { term: this.term, index: prev.index + 1, kind, data };
    const hard = { term: this.term, vote: oldMember, commit: Math.min(prev.index, this.#store.applied || 1) };
    const last = { term: this.term, index: entry.index };
    const slice = logSlice(this.term, prev, [entry]);
    await this.#storage.append([{ token: 1, term: this.term, hard, slice, snap: null, last, sync: true, thenSend: [] }]);
    return entry.index;
  }
}
