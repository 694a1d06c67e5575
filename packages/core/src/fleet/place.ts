/** Where the next machine goes: the wanted size in the emptiest zone that has not refused it, then the next size. */
import type { InstanceRow, Tried } from "../instance/state.ts";

export interface Places {
  /** In the order in which they are preferred. */
  readonly zones: readonly string[];
  readonly sizes: readonly string[];
}

/** Whether there is a place that has not refused this machine, besides the one that does now. */
export const hasOtherPlace = (
  places: Places,
  row: Pick<InstanceRow, "tried"> | undefined,
  here: { readonly zone: string; readonly size: string },
): boolean => choosePlace(places, [...(row?.tried ?? []), here], new Map()) !== null;

/** Null when every place was tried. `inZone`: how many machines are in each; none is 0. */
export function choosePlace(
  { zones, sizes }: Places,
  tried: readonly Pick<Tried, "zone" | "size">[],
  inZone: ReadonlyMap<string, number>,
): { readonly zone: string; readonly size: string } | null {
  for (const size of sizes) {
    const open = zones.filter((zone) => !tried.some((one) => one.zone === zone && one.size === size));
    const [zone] = open.toSorted((a, b) => (inZone.get(a) ?? 0) - (inZone.get(b) ?? 0));
    if (zone !== undefined) return { zone, size };
  }
  return null;
}
