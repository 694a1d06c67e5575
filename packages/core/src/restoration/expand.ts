/** What `RestoreApplied` stands for. */
import type { DomainEvent } from "../kernel/event.ts";
import type { World } from "../kernel/world.ts";
import { RestoreApplied, RestorePartDropped } from "./events.ts";
import { partId, type RestorationPartRow } from "./state.ts";

/** The events of one part after the other, and after each part's its end. */
export function* expandRestoration(event: DomainEvent, world: World): Generator<DomainEvent, void, undefined> {
  if (event.type !== RestoreApplied.type) return;
  const parts = (event["entries"] as readonly number[]).length;
  for (let part = 1; part <= parts; part++) {
    const id = partId(event.id, part);
    const stored = world.get<RestorationPartRow>("restoration-part", id);
    if (stored === undefined) throw new Error(`restoration ${event.id} is applied without its part ${part}`);
    yield* stored.row.events;
    yield RestorePartDropped.of(id, {});
  }
}
