/** Every disaster that a chaos run can have: a new one is a file in this folder and a line here. */
import type { Disaster } from "../disaster.ts";
import { newDisk } from "./new-disk.ts";

/** Fresh ones: a disaster remembers what it did between its beginning and its end. */
export const allDisasters = (): readonly Disaster[] => [newDisk()];
