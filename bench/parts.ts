/** Every part of the bench, in the order in which they run, whatever the order they were asked in. */
import { measureBackup } from "./backup.ts";
import { measureBringBack } from "./bring-back.ts";
import { measureClouds } from "./clouds.ts";
import { measureFailover } from "./failover.ts";
import { measureGrowth } from "./growth.ts";
import { measureGuards } from "./guards.ts";
import { measureMemory } from "./memory.ts";
import { measureCommits, measureReads } from "./points.ts";
import { measureReplay } from "./replay.ts";
import { measureRestart } from "./restart.ts";
import type { PartName, Results } from "./results.ts";
import { measureSnapshot } from "./snapshot.ts";
import type { Scene, Stage } from "./stage.ts";

export interface Part<P extends PartName = PartName> {
  readonly name: P;
  readonly about: string;
  /** On two quiet cores, scenes included that no earlier part has set up; measured. */
  readonly minutes: number;
  readonly quickMinutes: number;
  readonly scene: Scene | null;
  readonly measure: (stage: Stage) => Promise<Results[P]>;
}

const part = <P extends PartName>(p: Part<P>): Part => p;

/** `memory` before `restart`: resident memory is of processes that have not been started again. */
export const parts: readonly Part[] = [
  part({
    name: "commits",
    about: "committed writes at several numbers in flight, beside etcd",
    minutes: 4,
    quickMinutes: 0.8,
    scene: "small",
    measure: measureCommits,
  }),
  part({
    name: "reads",
    about: "linearizable reads, packed by our client and one a message, beside etcd",
    minutes: 5,
    quickMinutes: 0.8,
    scene: "small",
    measure: measureReads,
  }),
  part({
    name: "failover",
    about: "SIGKILL of the leader until the first new commit, beside etcd",
    minutes: 3,
    quickMinutes: 0.6,
    scene: "small",
    measure: measureFailover,
  }),
  part({
    name: "memory",
    about: "resident memory with 1,000,000 events behind, beside etcd (fills both clusters)",
    minutes: 7,
    quickMinutes: 0.4,
    scene: "deep",
    measure: measureMemory,
  }),
  part({
    name: "restart",
    about: "a member's way back with 1,000,000 entries behind it, beside etcd (the clusters of memory)",
    minutes: 2,
    quickMinutes: 0.4,
    scene: "deep",
    measure: measureRestart,
  }),
  part({
    name: "growth",
    about: "writes with up to 5,000,000 entries and 1,000,000 rows behind (fills a cluster of our own)",
    minutes: 13,
    quickMinutes: 0.6,
    scene: "wide",
    measure: measureGrowth,
  }),
  part({
    name: "snapshot",
    about: "writes while a lagging member is sent 1,000,000 rows (the cluster of growth)",
    minutes: 2,
    quickMinutes: 0.7,
    scene: "wide",
    measure: measureSnapshot,
  }),
  part({
    name: "replay",
    about: "events replayed by one core, without a cluster",
    minutes: 1.5,
    quickMinutes: 1.5,
    scene: null,
    measure: measureReplay,
  }),
  part({
    name: "backup",
    about: "backups beside git on the same files, and commits while one is made",
    minutes: 9,
    quickMinutes: 1,
    scene: null,
    measure: measureBackup,
  }),
  part({
    name: "restore",
    about: "a backup brought into an empty cluster, beside etcd's snapshot",
    minutes: 3,
    quickMinutes: 0.7,
    scene: null,
    measure: measureBringBack,
  }),
  part({
    name: "clouds",
    about: "machines made at the clouds' fakes, each call taking 100 ms, and looks at 1,000 of them",
    minutes: 3,
    quickMinutes: 1,
    scene: null,
    measure: measureClouds,
  }),
  part({
    name: "guards",
    about: "fails when a decision that the speed stands on is lost",
    minutes: 6,
    quickMinutes: 1.5,
    scene: null,
    measure: measureGuards,
  }),
];
