/** From a life that broke a rule to a smaller one that still breaks it: fewer kinds of faults, then less time. */
import type { LifeReport } from "./life.ts";
import { faultKinds, type LifeOptions } from "./plan.ts";

/** A safety phase is not made shorter than this. */
const shortestMs = 250;
/** Lives lived at most to make one smaller. */
const livesMax = 40;

export interface Shrunk {
  readonly options: LifeOptions;
  readonly report: LifeReport;
  readonly lives: number;
}

/** `broken` is what `options` gave. A smaller life counts when it breaks the same rule. */
export async function shrink(
  options: LifeOptions,
  broken: LifeReport,
  live: (options: LifeOptions) => Promise<LifeReport>,
): Promise<Shrunk> {
  let best: Shrunk = { options, report: broken, lives: 0 };
  let lives = 0;
  const keep = async (smaller: LifeOptions): Promise<boolean> => {
    if (lives >= livesMax) return false;
    lives += 1;
    const report = await live(smaller);
    const same = report.violation?.rule === broken.violation?.rule;
    if (same) best = { options: smaller, report, lives };
    return same;
  };
  for (const kind of faultKinds) await keep({ ...best.options, without: [...(best.options.without ?? []), kind] });
  for (let ms = best.report.plan.forMs / 2; ms >= shortestMs; ms /= 2) {
    if (!(await keep({ ...best.options, forMs: Math.ceil(ms) }))) break;
  }
  return { ...best, lives };
}

/** The one command that lives this life again. */
export function commandFor({ seed, forMs, without = [], defect }: LifeOptions): string {
  const parts = [`npm run sim -- --seed ${seed}`];
  if (forMs !== undefined) parts.push(`--for ${forMs}`);
  if (without.length > 0) parts.push(`--without ${without.join()}`);
  if (defect !== undefined) parts.push(`--defect ${defect}`);
  return `${parts.join(" ")} --timeline`;
}
