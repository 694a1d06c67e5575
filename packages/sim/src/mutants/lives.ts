/** Lives seeds one after the other and tells of each, until one breaks a rule. Started by trial.ts in a copy of the sources. */
import { live } from "../life.ts";
import type { FromLives } from "./trial.ts";

const [from = 0, to = 0] = process.argv.slice(2).map(Number);
const tell = (told: FromLives): Promise<void> =>
  new Promise((resolve, reject) => {
    process.send?.(told, (error: Error | null) => (error === null ? resolve() : reject(error)));
  });

await tell({ told: "loaded" });
for (let seed = from; seed <= to; seed++) {
  const { violation } = await live({ seed });
  await tell({ told: "lived", seed, violation });
  if (violation !== null) break;
}
process.disconnect();
