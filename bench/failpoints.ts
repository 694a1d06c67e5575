/**
 * What an unarmed failpoint costs: the null check as it stands in the log, the flush and the apply, beside the same loop
 * without it. CPU time of this thread, median of nine rounds, in nanoseconds a passage.
 *
 *   node bench/failpoints.ts
 */
import { failpoints } from "@aether/core/kernel/failpoint";

const passages = 20_000_000;
const rounds = 9;

const cpuNs = (): number => {
  const { user, system } = process.threadCpuUsage();
  return (user + system) * 1_000;
};
const median = (values: readonly number[]): number => values.toSorted((a, b) => a - b)[values.length >> 1] ?? 0;

let sum = 0;
function work(n: number): void {
  sum = (sum + Math.imul(n, 2_654_435_761)) | 0;
}
function bare(): void {
  for (let n = 0; n < passages; n++) work(n);
}
function checked(): void {
  for (let n = 0; n < passages; n++) {
    if (failpoints.now !== null) failpoints.now("beforeApply");
    work(n);
  }
}
function took(f: () => void): number {
  const began = cpuNs();
  f();
  return (cpuNs() - began) / passages;
}

const without: number[] = [];
const withCheck: number[] = [];
for (let round = 0; round < rounds; round++) {
  without.push(took(bare));
  withCheck.push(took(checked));
}
const [before, after] = [median(without), median(withCheck)];
console.log(
  `without ${before.toFixed(2)} ns, with the check ${after.toFixed(2)} ns: ${(after - before).toFixed(2)} ns a passage (${sum})`,
);
