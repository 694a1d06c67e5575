/** What was wanted, brought from the form of an older backup to the form of today, as events are. */
import type { BackupFacet } from "../kernel/noun.ts";
import { BackupFault } from "./thing-files.ts";

/** `v`: the form that `wanted` has. Throws {@link BackupFault} on a form that is newer than the facet's, or that it never had. */
export function upcastWanted(facet: BackupFacet, v: number, wanted: unknown): unknown {
  if (v > facet.v) throw new BackupFault(`${facet.folder} are in form ${v}, and ${facet.v} is the newest known here`);
  let current = wanted;
  for (let at = v; at < facet.v; at++) {
    const step = facet.upcast[at];
    if (step === undefined) throw new BackupFault(`${facet.folder} never had a form ${at}`);
    current = step(current);
  }
  return current;
}
