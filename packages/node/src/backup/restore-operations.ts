/** Plans of restores and restores, as the API offers them: from a commit, or from any moment that the log can still give. */
import type * as shapes from "@aether/core/api/backup-shapes";
import { thingsLimitDefault } from "@aether/core/api/backup-shapes";
import { chosenBy } from "@aether/core/backup/plan";
import type { WantedThing } from "@aether/core/backup/thing-files";
import { reject, type Rejection } from "@aether/core/kernel/command";
import type { World } from "@aether/core/kernel/world";
import type { RestoreSource } from "@aether/core/restoration/state";
import type { BackupReader } from "@aether/store/backup/backup-reader";
import { indexAt, worldAt } from "@aether/store/backup/moment";
import { readPoint, type Asked } from "../server/operations.ts";
import { clientOf } from "../server/stream-session.ts";
import type { Found } from "./last-moment.ts";
import { commitNamed, reading, upToDate, type BackupDeps } from "./operations.ts";
import { planAnswer } from "./plan-answer.ts";
import { RestoreRunner, type RestorePlan, type Submit } from "./restore-runner.ts";

type Asking = typeof shapes.PlanRequest.Type;
type ShownSource = (typeof shapes.RestorePlan.Type)["source"];

const submitMs = 10_000;

export async function planRestoration(d: BackupDeps, asked: Asking): Promise<typeof shapes.RestorePlan.Type | Rejection> {
  const planned = await planOf(d, asked, true);
  if ("rejected" in planned) return planned;
  const { plan, source } = planned;
  if (plan.refused !== null) return plan.refused;
  const from = source.commit ?? `index ${source.index}`;
  const shown = planAnswer(plan, { from: "now", to: from, limit: asked.limit ?? thingsLimitDefault });
  return { index: d.store.applied, ...shown, digest: plan.digest, source: shownSource(source) };
}

/** The caller's rights count for every step: commands are submitted as the caller. */
export async function restoreBackup(
  d: BackupDeps,
  { caller }: Asked,
  asked: typeof shapes.RestoreRequest.Type,
): Promise<typeof shapes.RestoreAnswer.Type | Rejection> {
  const planned = await planOf(d, asked, false);
  if ("rejected" in planned) return planned;
  const { plan, source } = planned;
  if (asked.plan !== undefined && asked.plan !== plan.digest)
    return reject("stale", "what this restore would change is not what was planned any more", "plan it again");
  if (plan.refused !== null) return plan.refused;
  const submit: Submit = async (command, request) => {
    const done = await d.gateway.settle({ command, actor: caller, request: { client: clientOf(caller), id: request } }, submitMs);
    return done.ok ? { index: done.index, answer: done.answer } : done.rejection;
  };
  const done = await new RestoreRunner({ registry: d.registry }).run(plan, source, submit);
  if ("rejected" in done) return done;
  const index = done.index ?? d.store.applied;
  const before = done.index === null ? index : index - 1;
  return { restore: done.restore, index, before, things: done.things, kept: plan.kept, source: shownSource(source) };
}

/** `more`: a restore of the same may follow. */
async function planOf(
  d: BackupDeps,
  asked: Asking,
  more: boolean,
): Promise<{ readonly plan: RestorePlan; readonly source: RestoreSource } | Rejection> {
  const at = await readPoint(d, "linearizable");
  if (typeof at !== "number") return at;
  return reading(d, async (reader) => {
    const chosen = chosenBy(d.registry, asked.only ?? []);
    const found = await find(d, reader, asked);
    if ("rejected" in found) return found;
    if (more && found.source.commit === null) d.backups.moments.keep(found);
    const plan = await new RestoreRunner({ registry: d.registry }).plan(d.store.world, found.things, chosen);
    return { plan, source: found.source };
  });
}

/** What is asked for: a commit (the newest, if nothing is named), or the state at an index or a time. */
async function find(d: BackupDeps, reader: BackupReader, asked: Asking): Promise<Found | Rejection> {
  const { commit, atIndex, atTime } = asked;
  if ([commit, atIndex, atTime].filter((one) => one !== undefined).length > 1)
    return reject("invalid", "a restore is of a commit, of an index or of a time", "give one of them");
  if (atIndex !== undefined) return atMoment(d, reader, atIndex);
  if (atTime === undefined) return ofCommit(d, reader, commit ?? "HEAD");
  const index = await indexAt(d.store, atTime);
  if (index !== null) return atMoment(d, reader, index);
  const message = `the log does not reach back to ${new Date(atTime).toISOString()}`;
  return reject("compacted", message, "aether backup list shows the commits of earlier times");
}

async function ofCommit(d: BackupDeps, reader: BackupReader, name: string): Promise<Found> {
  const commit = await commitNamed(d, reader, name);
  const { index, at } = await reader.manifest(commit);
  const things: WantedThing[] = [];
  for await (const thing of reader.things(commit)) things.push(thing);
  return { source: { commit, index, at }, things };
}

async function atMoment(d: BackupDeps, reader: BackupReader, index: number): Promise<Found | Rejection> {
  const { registry, store } = d;
  const kept = d.backups.moments.take(index);
  if (kept !== null) return kept;
  let moment = await worldAt({ registry, store, reader }, index);
  if (!moment.ok) {
    await upToDate(d, reader, `index ${index}`);
    moment = await worldAt({ registry, store, reader }, index);
  }
  if (!moment.ok) {
    const ranges = moment.ranges.map(({ from, to }) => `${from} to ${to}`).join(", ");
    return reject("compacted", moment.why, ranges === "" ? "no moment can be had" : `what can be had: ${ranges}`);
  }
  return { source: { commit: null, index: moment.index, at: moment.at }, things: wantedOf(d, moment.world) };
}

const wantedOf = ({ registry }: BackupDeps, world: World): WantedThing[] =>
  registry.nouns.flatMap(({ name: noun, backup }) =>
    backup === undefined ? [] : [...world.all(noun)].map(({ id, row }) => ({ noun, id, wanted: backup.wanted(row) })),
  );

const shownSource = ({ commit, index, at }: RestoreSource): ShownSource => ({
  ...(commit === null ? {} : { commit }),
  index,
  at,
});
