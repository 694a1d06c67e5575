/** The product's log and state machine with somebody looking on: what they do is told to the life's history, and done. */
import {
  type Entry,
  Kind,
  type LogStorage,
  type LogView,
  type Membership,
  type NodeId,
  type SnapMeta,
  type SnapshotStore,
  type StateMachine,
} from "@aether/raft/types";
import type { FileFolder } from "@aether/store/file-folder";
import { openSnapshotsOn } from "@aether/store/snapshots";
import type { LogPorts } from "@aether/store/log/start";
import type { EventStore } from "@aether/store/types";
import { hold } from "../checks/violation.ts";
import type { Cluster } from "./cluster.ts";
import type { SimNode } from "./node.ts";

/** What became of a write that failed nobody knows, and what is written after it lies behind that. */
export function observedPorts(cluster: Cluster, node: SimNode, { keyValue, guard }: LogPorts): LogPorts {
  let failed = "";
  return {
    guard,
    keyValue: {
      ...keyValue,
      batch: async (ops, options) => {
        const why = (): string => `${node.name} writes to its log, which has failed a write: ${failed}`;
        cluster.observe(() => hold(failed === "", "a log that failed a write is not written any more", why));
        await keyValue.batch(ops, options).catch((error: unknown) => {
          failed = String(error);
          throw error;
        });
      },
    },
  };
}

/** A log that holds the snapshot's last entry may hold acknowledged ones after it. */
function checkKept(view: LogView, { id: { index, term } }: SnapMeta, member: NodeId): void {
  const why = (): string => `member ${member} begins its log anew at ${index}/${term}, which it has`;
  hold(view.term(index) !== term, "a snapshot replaces no log that holds its entry", why);
}

export function observedLog(cluster: Cluster, storage: LogStorage, member: NodeId): LogStorage {
  const { history } = cluster;
  return {
    view: storage.view,
    append: async (batches) => {
      for (const { snap } of batches) if (snap !== null) cluster.observe(() => checkKept(storage.view, snap, member));
      history.replaces(member, batches);
      await storage.append(batches);
      history.durable(member, batches);
    },
    compact: (upTo) => storage.compact(upTo),
    stats: () => storage.stats(),
    close: () => storage.close(),
  };
}

/** Snapshots that the product finds damaged are renamed. */
function observedFiles(cluster: Cluster, node: SimNode, files: FileFolder): FileFolder {
  return {
    ...files,
    rename: (from, to) => {
      if (to.endsWith(".damaged")) cluster.snapshotDamaged(node, from);
      else
        cluster.observe(() =>
          hold(!node.disk.snapshots.has(to), "a snapshot that counts is not replaced", () => `${node.name}: ${to}`),
        );
      return files.rename(from, to);
    },
  };
}

/** Opens a node's snapshots: those whose files are damaged must not count. */
export async function openWholeSnapshots(cluster: Cluster, node: SimNode, files: FileFolder): Promise<SnapshotStore> {
  const { snapshots } = node.disk;
  const damaged = [...snapshots.damaged().keys()].filter((name) => name.endsWith(".snap"));
  const store = await openSnapshotsOn(observedFiles(cluster, node, files));
  const counts = damaged.find((name) => snapshots.damaged().has(name));
  cluster.observe(() => hold(counts === undefined, "a damaged snapshot does not count", () => `${node.name}: ${counts}`));
  return observedSnapshots(cluster, node, store);
}

/** A snapshot counts once it is made or received whole: then no crash may take it away, but newer ones may have taken its place. */
function observedSnapshots(cluster: Cluster, node: SimNode, store: SnapshotStore): SnapshotStore {
  const { snapshots } = node.disk;
  const check = (meta: SnapMeta): void => {
    const { id } = meta;
    const named = (name: string): boolean => name.startsWith(`${id.index}-${id.term}-`) && name.endsWith(".snap");
    const newest = store.latest();
    const replaced = newest !== null && newest.id.index > id.index && !store.has(meta);
    if (cluster.plan.defect === "lyingDisk" || replaced) return;
    const why = (): string => `${node.name}: a crash could take the one at ${id.index} away`;
    cluster.observe(() => hold(snapshots.isDurable(named), "a snapshot that counts is durable", why));
    const before = [...snapshots.damaged()].find(([name, as]) => named(name) && !named(as));
    const which = (): string => `${node.name} takes the one at ${id.index}, damaged as ${before?.[1]}`;
    cluster.observe(() => hold(before === undefined, "a snapshot that counts is whole", which));
  };
  return {
    create: async (at, membership, digest, rows) => {
      const made = await store.create(at, membership, digest, rows);
      check(made);
      return made;
    },
    latest: () => store.latest(),
    has: (m) => store.has(m),
    check: (m) => store.check(m),
    read: (m, offset, max) => store.read(m, offset, max),
    begin: async (m) => {
      const writer = await store.begin(m);
      return {
        get offset() {
          return writer.offset;
        },
        write: async (offset, bytes, crc) => {
          await writer.write(offset, bytes, crc);
          cluster.onReceived(node, "a piece");
        },
        commit: async () => {
          await writer.commit();
          check(m);
          cluster.onReceived(node, "all");
        },
        abort: () => writer.abort(),
      };
    },
  };
}

/** Who acted on a change must find it committed after a restart: those that it removed may be gone for good. */
function checkCommit(node: SimNode, [first]: readonly Entry[]): void {
  if (first?.kind !== Kind.config) return;
  const commit = node.hardRecord()?.hard.commit ?? 0;
  const why = (): string => `${node.name} applies the change ${first.index}, its disk knows of commit ${commit}`;
  hold(commit >= first.index, "a change is applied when its commit is durable", why);
}

export function observedStore(cluster: Cluster, node: SimNode, store: EventStore, log: LogView, member: NodeId): StateMachine {
  const { history, world } = cluster;
  const inner = store.stateMachine;
  const compare = (): void => {
    const { index, digest } = store.stateDigest();
    history.digest(member, index, digest);
    world.mix(digest);
  };
  return {
    get applied() {
      return inner.applied;
    },
    apply: (entries, membership: Membership) => {
      cluster.observe(() => {
        history.applies(member, entries, { membership, log, now: world.now });
        checkCommit(node, entries);
      });
      inner.apply(entries, membership);
      cluster.observe(compare);
    },
    restore: async (m, src: SnapshotStore) => {
      await inner.restore(m, src);
      history.counts.restores += 1;
      world.tell(node.name, `restores the snapshot at ${m.id.index}`);
      cluster.observe(compare);
    },
    snapshot: (src) => inner.snapshot(src),
    onRole: (role) => {
      cluster.observe(() => {
        if (!history.leads(member, role)) return;
        world.tell(node.name, `leads term ${role.term}`);
        if (node.running !== null) cluster.elected(node, node.running, role.term);
      });
      inner.onRole(role);
    },
    onDropped: (runs) => inner.onDropped(runs),
  };
}
