/** Lives seeds one after the other and tells of each, until one breaks a rule. Started by trial.ts in a copy of the sources. */
import { live } from "../life.ts";
import type { FromLives } from "./trial.ts";

const seeds = JSON.parse(process.argv[2] ?? "[]") as number[];
const tell = (told: FromLives): Promise<void> =>
  new Promise((resolve, reject) => {
    process.send?.(told, (error: Error | null) => (error === null ? resolve() : reject(error)));
  });

await tell({ told: "loaded" });
for (const seed of seeds) {
  const { violation } = await live({ seed });
  await tell({ told: "lived", seed, violation });
  if (violation !== null) break;
}
process.disconnect();
