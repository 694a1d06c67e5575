/** Real stores over real logs, snapshots and drivers in one process; only the network between them is played. */
import { cp, mkdtemp, rename, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Command } from "@aether/core/kernel/command";
import { defaultDriverOptions } from "@aether/raft/driver/default-options";
import { startDriver } from "@aether/raft/driver/driver";
import type { Driver } from "@aether/raft/driver/driver";
import { makeInProcessNetwork } from "@aether/raft/driver/in-process";
import type { InProcessNetwork } from "@aether/raft/driver/in-process";
import { systemClock } from "@aether/raft/driver/system-clock";
import type { LogStorage, NodeId, Transport } from "@aether/raft/types";
import { formatLog, openLog } from "../../log/open.ts";
import { openSnapshots } from "../../snapshots.ts";
import type { Answer, EventStore } from "../../types.ts";
import { openEventStore } from "../open.ts";
import { boxRegistry } from "./box-noun.ts";
import { operator } from "./one-member.ts";

const clusterId = "0123456789abcdef0123456789abcdef";

export interface ClusterMember {
  readonly id: NodeId;
  readonly store: EventStore;
  readonly driver: Driver;
  readonly storage: LogStorage;
  readonly transport: Transport;
}

export interface StoreClusterOptions {
  readonly rng: () => number;
  readonly snapshotEveryEntries: number;
  readonly keepEntries: number;
}

export class StoreCluster {
  readonly dir: string;
  readonly network: InProcessNetwork;
  readonly members = new Map<NodeId, ClusterMember>();
  readonly ids: readonly NodeId[] = [1, 2, 3];
  /** Failures that would have ended a process. */
  readonly fatal: Error[] = [];
  private readonly options: StoreClusterOptions;

  private constructor(dir: string, options: StoreClusterOptions) {
    this.dir = dir;
    this.options = options;
    this.network = makeInProcessNetwork({ clock: systemClock, rng: options.rng });
  }

  static async start(options: StoreClusterOptions): Promise<StoreCluster> {
    const cluster = new StoreCluster(await mkdtemp(join(tmpdir(), "aether-stores-")), options);
    for (const id of cluster.ids) {
      await formatLog(cluster.folder(id), { clusterId, nodeId: id }, cluster.ids);
      await cluster.open(id);
    }
    return cluster;
  }

  folder(id: NodeId): string {
    return join(this.dir, `n${id}`);
  }

  async open(id: NodeId): Promise<ClusterMember> {
    const dir = this.folder(id);
    const { verdict, storage } = await openLog(dir, { clusterId, nodeId: id });
    if (storage === undefined || (verdict.v !== "clean" && verdict.v !== "tornTail")) throw new Error(JSON.stringify(verdict));
    const snapshots = await openSnapshots(join(dir, "snap"));
    const onFatal = (e: Error): never => {
      this.fatal.push(e);
      return undefined as never;
    };
    const { rng, snapshotEveryEntries, keepEntries } = this.options;
    const given = {
      dir: join(dir, "state"),
      now: Date.now,
      drawBits: () => "0".repeat(32),
      flushMs: 20,
      flushRows: 1_000,
      maxInFlight: 1_000,
    };
    const store = await openEventStore(
      { ...given, snapshotEveryEntries, keepEntries, onFatal },
      boxRegistry,
      storage.view,
      snapshots,
    );
    const transport = this.network.join(id, snapshots);
    const driver = startDriver({
      id,
      boot: { ...verdict.boot, applied: store.stateMachine.applied, membership: store.membership },
      log: storage,
      snapshots,
      transport,
      stateMachine: store.stateMachine,
      clock: systemClock,
      rng,
      addressOf: (other) => `in-process:${other}`,
      options: { ...defaultDriverOptions, tickMs: 10, electionTicks: 15, onFatal },
      checks: "full",
    });
    store.attach(driver);
    const member = { id, store, driver, storage, transport };
    this.members.set(id, member);
    return member;
  }

  /** Ends a member as kill -9 would leave it: what its rows were behind the log is lost, the log is not. */
  async kill(id: NodeId): Promise<void> {
    const member = this.member(id);
    this.members.delete(id);
    await member.transport.close();
    await member.driver.stop();
    const kept = join(this.folder(id), "state-kept");
    await cp(join(this.folder(id), "state"), kept, { recursive: true });
    await member.store.close();
    await member.storage.close();
    await rm(join(this.folder(id), "state"), { recursive: true });
    await rename(kept, join(this.folder(id), "state"));
  }

  member(id: NodeId): ClusterMember {
    const member = this.members.get(id);
    if (member === undefined) throw new Error(`member ${id} is not running`);
    return member;
  }

  /** The members that think they lead, newest term first. */
  leaders(): ClusterMember[] {
    const leading = [...this.members.values()].filter(({ store }) => store.role.state === "leader");
    return leading.toSorted((a, b) => b.store.role.term - a.store.role.term);
  }

  async until(what: string, seen: () => boolean, limitMs = 15_000): Promise<void> {
    const began = performance.now();
    while (!seen()) {
      if (performance.now() - began > limitMs) throw new Error(`not within ${limitMs} ms: ${what}`);
      await new Promise((f) => setTimeout(f, 10));
    }
  }

  /** Asks one member once. */
  ask(id: NodeId, command: Command, client: string, request: string): Promise<Answer> {
    return new Promise((resolve) => {
      this.member(id).store.submit({ command, actor: operator, request: { client, id: request } }, resolve);
    });
  }

  /** Asks as a client does: any member, again under the same request id, until there is an answer. Returns it and the tries. */
  async insist(command: Command, client: string, request: string): Promise<{ answer: Answer; tries: number }> {
    for (let tries = 1; tries <= 2_000; tries++) {
      const target = this.leaders()[Math.floor(this.options.rng() * 2)] ?? this.leaders()[0];
      if (target !== undefined) {
        const answer = await this.ask(target.id, command, client, request);
        if (answer.ok || !["no_leader", "not_ready", "ambiguous", "overloaded"].includes(answer.rejection.reason))
          return { answer, tries };
      }
      await new Promise((f) => setTimeout(f, 5));
    }
    throw new Error(`${request} of ${client} got no answer`);
  }

  async end(): Promise<void> {
    for (const { driver, store, storage, transport } of this.members.values()) {
      await driver.stop();
      await transport.close();
      await store.close();
      await storage.close();
    }
    await rm(this.dir, { recursive: true, force: true });
  }
}
