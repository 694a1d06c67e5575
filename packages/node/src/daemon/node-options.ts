/**
 * What node is given before the daemon's program, by everything that starts one; the first line of bin/aetherd.js says the same.
 *
 * V8 lets the young generation of a busy process grow to 128 MiB and keeps it, most of a member's memory that is not in use. Two halves of
 * 16 MiB cost no CPU that shows; with 8 MiB a leader keeps more of what is in flight for too long: docs/measurements.md, "Resident memory".
 */
export const daemonNodeOptions: readonly string[] = ["--max-semi-space-size=16"];
