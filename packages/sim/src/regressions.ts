/** Seeds that once found something wrong, with what it was. They are lived again in every run of the tests. */
import type { LifeOptions } from "./plan.ts";

export interface Regression {
  readonly name: string;
  readonly options: LifeOptions;
}

export const regressions: readonly Regression[] = [
  {
    name: "a joining node that was given a number adopts no other, late answer's number",
    options: { seed: 15 },
  },
];
