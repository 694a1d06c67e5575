/** The order of the test files: those that take long by waiting first, so that no worker is left with one of them at the end. */
import { BaseSequencer, type TestSpecification } from "vitest/node";

/** Vitest goes by their size where it knows no times, as on a fresh checkout; these are short to read and long to run. */
const long = [
  "failpoints.process",
  "failing-disk.process",
  "from-backup.process",
  "cloud/lifecycle.process",
  "pages.process",
  "recover.process",
  "cluster/cluster.process",
  "cloud/commands.process",
  "sim/src/soak/slice",
  "chaos/chaos.process",
  "large-restore.process",
  "drill.process",
  "disasters.process",
  "store/src/git/consolidate",
  "backup-line.process",
];

export class LongFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const sorted = await super.sort(files);
    const place = ({ moduleId }: TestSpecification): number => {
      const at = long.findIndex((name) => moduleId.includes(`${name}.test.ts`));
      return at === -1 ? long.length : at;
    };
    return sorted.toSorted((a, b) => place(a) - place(b));
  }
}
