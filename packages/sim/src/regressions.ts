/** Seeds that once found something wrong, with what it was. They are lived again in every run of the tests. */
import type { LifeOptions } from "./plan.ts";

export interface Regression {
  readonly name: string;
  readonly options: LifeOptions;
}

export const regressions: readonly Regression[] = [
  {
    // The simulator itself took it for a failure of its own.
    name: "a disk that fails while a member opens it ends that member and nothing else",
    options: { seed: 1112 },
  },
];
