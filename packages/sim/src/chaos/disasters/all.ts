/** Every disaster that a chaos run can have: a new one is a file in this folder and a line here. */
import type { Disaster } from "../disaster.ts";
import { failpointKills } from "./failpoints.ts";
import { fullDisk } from "./full-disk.ts";
import { newDisk } from "./new-disk.ts";
import { oldDisk } from "./old-disk.ts";
import { slowDisk } from "./slow-disk.ts";

/** Fresh ones: a disaster remembers what it did between its beginning and its end. */
export const allDisasters = (): readonly Disaster[] => [failpointKills(), slowDisk(), fullDisk(), oldDisk(), newDisk()];
