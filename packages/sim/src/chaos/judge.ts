/** Was everything as promised? Judges what a run left behind; knows nothing of how it was run. */
import { isDeepStrictEqual } from "node:util";
import { checkLinearizable } from "../checks/linearizability.ts";
import type { Evidence, LogEntry, RecordedOperation, SeenEntry, Watched } from "./evidence.ts";

export interface Finding {
  readonly rule: string;
  readonly detail: string;
}

/** Findings of one rule that are told; the others are only counted. */
const toldMax = 5;

/** Everything that is wrong; empty when the run was sound. */
export function judge(e: Evidence): readonly Finding[] {
  const findings: Finding[] = [];
  const effects = new Map<string, number>();
  for (const rule of [theLog, theRequests, theMembers, theWatchers]) findings.push(...atMost(rule(e, effects)));
  findings.push(...atMost(e.incidents.map((detail) => ({ rule: "no incident", detail }))));
  // Which operations took effect is only known from a log that is in order.
  if (findings.length === 0) findings.push(...theHistory(e, effects));
  return findings;
}

function atMost(found: readonly Finding[]): readonly Finding[] {
  const more = found.length - toldMax;
  const last = found[0];
  if (more <= 0 || last === undefined) return found;
  return [...found.slice(0, toldMax), { rule: last.rule, detail: `and ${more} more` }];
}

/** Indexes without a gap, terms that never fall, one leader a term, each request once. Fills in where requests took effect. */
function theLog({ log }: Evidence, effects: Map<string, number>): readonly Finding[] {
  const found: Finding[] = [];
  const say = (rule: string, detail: string): void => void found.push({ rule, detail });
  const leaders = new Map<unknown, unknown>();
  if (log.length === 0) say("the log is whole", "it is empty");
  for (const [at, { index, term, request, events }] of log.entries()) {
    if (index !== at + 1) {
      say("the log is whole", `entry ${index} stands where ${at + 1} must`);
      return found;
    }
    const before = log[at - 1]?.term ?? 0;
    if (term < before) say("terms never fall", `entry ${index} is of term ${term}, the one before of ${before}`);
    for (const event of events) {
      if (event.type !== "LeaderElected") continue;
      const { term: led, member } = event as unknown as { readonly term: unknown; readonly member: unknown };
      const known = leaders.get(led) ?? member;
      if (known !== member) say("one leader per term", `members ${String(known)} and ${String(member)} led term ${String(led)}`);
      leaders.set(led, member);
    }
    if (request === null) continue;
    const earlier = effects.get(request);
    if (earlier !== undefined) say("one effect per request", `${request} took effect at ${earlier} and at ${index}`);
    else effects.set(request, index);
  }
  return found;
}

/** What was acknowledged is in the log, once, where it was said to be, as it was asked; what was refused is not. */
function theRequests({ operations, log }: Evidence, effects: ReadonlyMap<string, number>): readonly Finding[] {
  return operations.flatMap(({ request, index, refused, result, call, key }) => {
    if (request === null) return [];
    const effect = effects.get(request);
    if (result.told === "done") {
      if (effect === undefined || effect !== index) {
        const detail = `${request}: ${call.op} of ${key} was acknowledged at entry ${index}, took effect at ${effect ?? "none"}`;
        return [{ rule: "what is acknowledged is in the log", detail }];
      }
      return holds(log[effect - 1], key, call)
        ? []
        : [{ rule: "what is acknowledged is in the log", detail: `${request}: altered` }];
    }
    if (refused === null || effect === undefined) return [];
    return [{ rule: "what is refused has no effect", detail: `${request} was refused as ${refused}, took effect at ${effect}` }];
  });
}

function holds(entry: LogEntry | undefined, key: string, call: RecordedOperation["call"]): boolean {
  const value = "value" in call ? call.value : null;
  return entry?.events.some((event) => event.id === key && (event as { readonly value?: unknown }).value === value) === true;
}

/** All stand at one index with one digest and one chain, and every digest and signature in their logs is right. */
function theMembers({ members, log }: Evidence): readonly Finding[] {
  const [first] = members;
  return members.flatMap((member) => {
    const { node, index, digest, chain, disproved } = member;
    const found: Finding[] = [];
    if (disproved !== null) found.push({ rule: "audit verifies", detail: `${node}: ${disproved}` });
    if (index !== log.length)
      found.push({ rule: "all agree", detail: `${node} stands at ${index}, the log ends at ${log.length}` });
    if (digest !== first?.digest || chain !== first.chain) {
      found.push({
        rule: "all agree",
        detail: `${node} has digest ${digest}, chain ${chain}; ${first?.node}: ${first?.digest}, ${first?.chain}`,
      });
    }
    return found;
  });
}

/** Every entry, once, in order, whole, as it stands in the log. */
function theWatchers({ watched, log }: Evidence): readonly Finding[] {
  return watched.flatMap(({ name, seen, refusals }) => {
    const found: Finding[] = refusals.map((why) => ({ rule: "watch", detail: `${name} was refused: ${why}` }));
    let next = 1;
    for (const entry of seen) {
      const wrong = judgeSeen(entry, next, log[next - 1]);
      if (wrong !== null) return [...found, { rule: "watch", detail: `${name}: ${wrong}` }];
      next += 1;
    }
    if (next <= log.length) found.push({ rule: "watch", detail: `${name} saw ${next - 1} of ${log.length} entries` });
    return found;
  });
}

function judgeSeen(seen: SeenEntry, next: number, entry: LogEntry | undefined): string | null {
  if (seen.index !== next) return `entry ${seen.index} comes where ${next} belongs`;
  if (entry === undefined) return `entry ${seen.index} is shown, which the log does not hold`;
  if (entry.term !== seen.term) return `entry ${seen.index} is shown in term ${seen.term}, the log has it in ${entry.term}`;
  return isDeepStrictEqual(entry.events, seen.events)
    ? null
    : `entry ${seen.index} is shown with other events than the log holds`;
}

/**
 * The operations of every key must fit into one order. The log tells of a write whose client never heard: not in it, it
 * never was; in it, it took effect before the first watcher saw it, or before the log was read.
 */
function theHistory({ operations, watched, readAt }: Evidence, effects: ReadonlyMap<string, number>): readonly Finding[] {
  const closed = operations.flatMap((operation): RecordedOperation[] => {
    if (operation.result.told !== "unknown") return [operation];
    const effect = operation.request === null ? undefined : effects.get(operation.request);
    return effect === undefined ? [] : [{ ...operation, answeredAt: firstSeen(watched, effect) ?? readAt }];
  });
  const judgement = checkLinearizable(closed);
  if (judgement.v === "linearizable") return [];
  if (judgement.v === "unknown") {
    return [{ rule: "linearizability", detail: `${judgement.key}: given up after ${judgement.tried} configurations` }];
  }
  const stuck = judgement.stuck.map(({ call, result }) => `${JSON.stringify(call)} → ${JSON.stringify(result)}`);
  const detail = `${judgement.key}: after ${judgement.placed} operations none of these can follow: ${stuck.join(" | ")}`;
  return [{ rule: "linearizability", detail }];
}

/** When a watcher first showed this entry; null when none did. Watchers' entries are in order, so the index is the place. */
function firstSeen(watched: readonly Watched[], index: number): number | null {
  const times = watched.flatMap(({ seen }) => seen[index - 1]?.at ?? []);
  return times.length === 0 ? null : Math.min(...times);
}
