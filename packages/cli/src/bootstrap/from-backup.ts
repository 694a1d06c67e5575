/** The two steps of a bootstrap from a backup: prove the commit before anything is made, and restore it before the cluster is called ready. */
import { randomBytes } from "node:crypto";
import { rm } from "node:fs/promises";
import { join } from "node:path";
import type { Manifest } from "@aether/core/backup/manifest";
import type { WantedThing } from "@aether/core/backup/thing-files";
import { reject } from "@aether/core/kernel/command";
import { registry } from "@aether/core/registry";
import { RestoreRunner, type Submit } from "@aether/node/backup/restore-runner";
import { shortCommit } from "../backup/commit-text.ts";
import { openPlace, reading, type OpenedPlace } from "../backup/open-place.ts";
import { credentialsFor, type BackupPlace } from "../backup/place.ts";
import type { Api, RestorationAnswer, Written } from "../context/api.ts";
import { counted } from "../shell/counted.ts";
import { exit, Failure, refused } from "../shell/failure.ts";
import { remoteOf } from "./cluster-plan.ts";
import type { FromBackup } from "./journal.ts";
import type { Peers } from "./form.ts";
import { nounsOfThePlace, readWorld } from "./new-world.ts";
import type { Bootstrap, Did } from "./steps.ts";

const faultsShown = 10;

/** Null: an earlier run has restored it already. */
export type SourceBackup = (OpenedPlace & { readonly manifest: Manifest; readonly things: readonly WantedThing[] }) | null;

/** Of a repository on the network; it goes when it is restored. */
const copyOf = (b: Bootstrap): string => join(b.folder.root, "from-backup.git");

/** The whole commit: every object, every file, every count. From here on this commit is meant, wherever the branch moves to. */
export async function verifyBackup(b: Bootstrap, place: BackupPlace): Promise<Did<SourceBackup>> {
  const begun = b.steps.journal.fromBackup;
  if (begun !== undefined && begun.restored !== null) {
    return { result: null, detail: `already there: restored from commit ${shortCommit(begun.commit)}` };
  }
  const opened = await openPlace(begun === undefined ? place : { ...place, commit: begun.commit }, {
    credentials: credentialsFor(place, b.shell, await remoteOf(b.plan, b.folder, b.shell)),
    copyTo: copyOf(b),
    say: (text) => b.steps.say(text),
  });
  b.steps.say(`commit ${shortCommit(opened.commit)}`);
  const things: WantedThing[] = [];
  const verified = await reading(() => opened.reader.verify(opened.commit, (thing) => void things.push(thing)));
  const { sound, faults, faultsTotal, files, manifest } = verified;
  if (!sound || manifest === null) {
    const list = faults.slice(0, faultsShown).map(({ path, what }) => `  ${path}: ${what}`);
    const message = `commit ${shortCommit(opened.commit)} is damaged, ${counted(faultsTotal, "fault")}:\n${list.join("\n")}`;
    throw new Failure(exit.failed, message, "try an older commit, REPO@COMMIT, or another copy of the repository");
  }
  const { index, cluster } = manifest;
  const restoration = begun?.restoration ?? null;
  await b.steps.write({
    fromBackup: { repository: place.repository, commit: opened.commit, index, restoration, restored: null },
  });
  const detail = `commit ${shortCommit(opened.commit)} of cluster ${cluster.name} at index ${index}: ${counted(files, "file")}, all sound`;
  return { result: { ...opened, manifest, things }, detail };
}

/** In one step of the log, so that a bootstrap that is killed here has restored all of it or nothing. */
export async function restoreBackup(b: Bootstrap, peers: Peers, backup: SourceBackup): Promise<Did<null>> {
  const begun = b.steps.journal.fromBackup;
  if (begun === undefined) throw new Error("the backup is verified before it is restored");
  if (backup === null) return { result: null, detail: "already there" };
  const earlier = await appliedBefore(peers.api, begun);
  const restored = earlier ?? (await restoreNow(b, peers.api, backup, begun));
  await b.steps.write({ fromBackup: { ...begun, restoration: null, restored } });
  await rm(copyOf(b), { recursive: true, force: true });
  return { result: null, detail: `${counted(restored.things, "thing")} at index ${restored.index}` };
}

/** A run that was killed may not have heard that it was done. */
async function appliedBefore(api: Api, { restoration }: FromBackup): Promise<FromBackup["restored"]> {
  if (restoration === null) return null;
  try {
    const row = await api.call<RestorationAnswer>("GET", `/v1/restorations/${restoration}`);
    return row["state"] === "applied" ? { index: Number(row["appliedAt"]), things: Number(row["things"]) } : null;
  } catch (error) {
    if (error instanceof Failure && error.code === exit.notFound) return null;
    throw error;
  }
}

async function restoreNow(b: Bootstrap, api: Api, { things, commit, manifest }: NonNullable<SourceBackup>, begun: FromBackup) {
  const restoration = `from-backup-${randomBytes(8).toString("hex")}`;
  const runner = new RestoreRunner({ registry, drawId: () => restoration });
  const plan = await runner.plan(await readWorld(api), things, (noun) => !nounsOfThePlace.includes(noun));
  if (plan.refused !== null) throw refused(plan.refused);
  if (plan.kept.length > 0) throw keptFailure(plan.kept);
  await b.steps.write({ fromBackup: { ...begun, restoration } });
  const source = { commit, index: manifest.index, at: manifest.at };
  const done = await runner.run(plan, source, submitter(api, b.waitMs), ({ staged, parts }) =>
    b.steps.say(`staged ${staged} of ${parts} parts`),
  );
  if ("rejected" in done) throw refused(done);
  const index = done.index ?? (await api.call<{ readonly index: number }>("GET", "/v1/cluster")).index;
  return { index, things: done.things };
}

/** A thing that a new cluster cannot take is no cause to go on without it. */
function keptFailure(kept: readonly { readonly noun: string; readonly id: string; readonly why: string }[]): Failure {
  const list = kept.slice(0, faultsShown).map(({ noun, id, why }) => `  ${noun} ${id}: ${why}`);
  const message = `${counted(kept.length, "thing")} of the backup cannot be restored by this version:\n${list.join("\n")}`;
  return new Failure(exit.failed, message, "use the version of aether that the backup was made with, or a newer one");
}

function submitter(api: Api, timeoutMs: number): Submit {
  return async (body, idempotencyKey) => {
    try {
      return await api.call<Written>("POST", "/v1/commands", { body, idempotencyKey, timeoutMs });
    } catch (error) {
      if (!(error instanceof Failure) || error.reason === null) throw error;
      return reject(error.reason, error.message, error.hint);
    }
  };
}
