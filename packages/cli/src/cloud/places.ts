/** Where a node's machine is tried: its zone first, then the others; the wanted size first, then the others. Pure. */
import { sizesOf, zonesOf } from "@aether/cloud/machine";
import type { CloudSettings } from "@aether/core/config/cloud-settings";

export interface Place {
  readonly zone: string;
  readonly size: string;
}

/** All of them, in the order in which the `at`-th node (from 0) tries them: neighbours begin in different zones. Never empty. */
export function placesFor(settings: CloudSettings, at: number): readonly Place[] {
  const zones = zonesOf(settings);
  const first = at % zones.length;
  const rotated = [...zones.slice(first), ...zones.slice(0, first)];
  return sizesOf(settings).flatMap((size) => rotated.map((zone) => ({ zone, size })));
}

/** The place to try after this one; null after the last. */
export function placeAfter(settings: CloudSettings, at: number, place: Place): Place | null {
  const places = placesFor(settings, at);
  const tried = places.findIndex(({ zone, size }) => zone === place.zone && size === place.size);
  return places[tried + 1] ?? null;
}
