/**
 * Lives that once broke a rule, each in a file of packages/sim/regressions: what it found, and its whole plan, because a seed
 * alone names another life as soon as plans are drawn otherwise. What streams of chance give during the life still follows the
 * code, so a finding in the product has a test beside the code that was wrong as well.
 */
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { basename, join } from "node:path";
import type { PinnedPlan } from "./plan.ts";

export const regressionsFolder = join(import.meta.dirname, "../regressions");

export interface Regression {
  /** What was wrong, and where. */
  readonly found: string;
  /** Commit at which the life was pinned, with the fault it found still in, or put in again. */
  readonly commit: string;
  readonly rule: string;
  readonly plan: PinnedPlan;
}

/** All of them by name, in the order of their names. */
export function readRegressions(): ReadonlyMap<string, Regression> {
  const files = readdirSync(regressionsFolder).filter((file) => file.endsWith(".json"));
  return new Map(files.toSorted().map((file) => [basename(file, ".json"), readRegression(join(regressionsFolder, file))]));
}

/** Throws when the file holds no pinned life. */
export function readRegression(path: string): Regression {
  const regression = JSON.parse(readFileSync(path, "utf8")) as Regression;
  if (typeof regression.plan?.seed !== "number") throw new Error(`${path} holds no plan`);
  return regression;
}

export function writeRegression(path: string, regression: Regression): void {
  writeFileSync(path, `${JSON.stringify(regression, null, 2)}\n`, { flag: "wx" });
}
