/** Differences and plans as the API shows them: counted, the first ones field by field, and a digest over all of it. */
import { createHash } from "node:crypto";
import type * as shapes from "@aether/core/api/backup-shapes";
import { changesOf, chosenBy, type KeptThing, type PlannedThing } from "@aether/core/backup/plan";
import type { WantedThing } from "@aether/core/backup/thing-files";
import { canonicalJson } from "@aether/core/kernel/canonical-json";
import { jsonEqual } from "@aether/core/kernel/json";
import type { Registry } from "@aether/core/kernel/registry";
import type { ThingChange } from "@aether/store/backup/types";
import type { FrozenState } from "@aether/store/types";

/** A plan without what carries it out. */
export interface ShownPlan {
  readonly things: readonly Pick<PlannedThing, "noun" | "id" | "kind" | "fields">[];
  readonly kept: readonly KeptThing[];
  readonly unchanged: number;
}

/** What leads from the things of a commit to what is wanted in a state, which stays as it is while it is gone through. */
export async function differencesToState(
  registry: Registry,
  state: Pick<FrozenState, "rows">,
  before: AsyncIterable<WantedThing>,
  patterns: readonly string[],
): Promise<ShownPlan> {
  const chosen = chosenBy(registry, patterns);
  const was = new Map<string, WantedThing>();
  for await (const thing of before) if (chosen(thing.noun, thing.id)) was.set(`${thing.noun}/${thing.id}`, thing);
  const things: ShownPlan["things"][number][] = [];
  let unchanged = 0;
  for await (const rows of state.rows()) {
    for (const { noun, stored } of rows) {
      const { id } = stored;
      const facet = registry.noun(noun)?.backup;
      if (facet === undefined || !chosen(noun, id)) continue;
      const from = was.get(`${noun}/${id}`)?.wanted;
      was.delete(`${noun}/${id}`);
      const to = facet.wanted(stored.row);
      if (from !== undefined && jsonEqual(from, to)) unchanged++;
      else things.push({ noun, id, kind: from === undefined ? "created" : "changed", fields: changesOf(from, to, "") });
    }
  }
  for (const { noun, id, wanted } of was.values())
    things.push({ noun, id, kind: "removed", fields: changesOf(wanted, undefined, "") });
  return { things: inOrder(registry, things), kept: [], unchanged };
}

/** What leads from one commit to another. What is the same in both is not counted. */
export async function planOfChanges(
  registry: Registry,
  changes: AsyncIterable<ThingChange>,
  patterns: readonly string[],
): Promise<ShownPlan> {
  const chosen = chosenBy(registry, patterns);
  const things: ShownPlan["things"][number][] = [];
  for await (const { noun, id, kind, from, to } of changes)
    if (chosen(noun, id)) things.push({ noun, id, kind, fields: changesOf(from, to, "") });
  return { things: inOrder(registry, things), kept: [], unchanged: 0 };
}

/** Nouns in the registry's order, things by id: as plans have them. */
export function inOrder<T extends { readonly noun: string; readonly id: string }>(registry: Registry, things: readonly T[]): T[] {
  const places = new Map(registry.nouns.map(({ name }, place) => [name, place]));
  const place = (noun: string): number => places.get(noun) ?? places.size;
  return things.toSorted((a, b) => place(a.noun) - place(b.noun) || (a.id < b.id ? -1 : a.id > b.id ? 1 : 0));
}

export function planAnswer(
  plan: ShownPlan,
  { from, to, limit }: { readonly from: string; readonly to: string; readonly limit: number },
): Omit<typeof shapes.BackupPlan.Type, "index"> {
  const count = (kind: string): number => plan.things.filter((thing) => thing.kind === kind).length;
  return {
    from,
    to,
    created: count("created"),
    changed: count("changed"),
    removed: count("removed"),
    unchanged: plan.unchanged,
    kept: plan.kept,
    things: plan.things.slice(0, limit).map(({ noun, id, kind, fields }) => ({ noun, id, kind, fields: fields.map(shown) })),
    truncated: plan.things.length > limit,
    digest: planDigest(plan),
  };
}

/** SHA-256, hex: the same for plans that change the same things in the same way. */
export function planDigest({ things, kept }: ShownPlan): string {
  const sum = createHash("sha256");
  for (const { noun, id, kind, fields } of things) sum.update(canonicalJson({ noun, id, kind, fields }));
  for (const one of kept) sum.update(canonicalJson({ ...one }));
  return sum.digest("hex");
}

/** JSON has no undefined: a side that is not there is left out. */
const shown = ({ field, from, to }: PlannedThing["fields"][number]) => ({
  field,
  ...(from === undefined ? {} : { from }),
  ...(to === undefined ? {} : { to }),
});
