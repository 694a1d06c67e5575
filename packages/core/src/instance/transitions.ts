/** The life of a node's machine in a cloud, as data. Each step is an intent before a call to the vendor, or a receipt after it. */

export const instanceStates = [
  "wanted",
  "accepted",
  "running",
  "enrolled",
  "stopping",
  "stopped",
  "removing",
  "gone",
  "refused",
] as const;
export type InstanceState = (typeof instanceStates)[number];

export interface InstanceTransition {
  /** Null: the node has never had a machine. */
  readonly from: InstanceState | null;
  readonly event: string;
  readonly to: InstanceState;
  /** Who says so, and on which evidence. */
  readonly by: string;
}

/** In these there is, or may be, a machine that somebody pays for. */
const living: readonly InstanceState[] = ["wanted", "accepted", "running", "enrolled", "stopping", "stopped", "removing"];
/** The vendor has named it. */
const known: readonly InstanceState[] = ["accepted", "running", "enrolled", "stopping", "stopped"];
const none: readonly (InstanceState | null)[] = [null, "refused", "gone"];

const seenGone = "leader: the vendor says that it has none such, twice and a while apart, or has finished its deletion";

export const instanceTransitions: readonly InstanceTransition[] = [
  ...none.map((from) => ({ from, event: "InstanceWanted", to: "wanted", by: "leader: intent" }) as const),
  ...none.map((from) => ({ from, event: "InstanceAdopted", to: "enrolled", by: "bootstrap: it made it" }) as const),
  { from: "wanted", event: "InstanceAccepted", to: "accepted", by: "leader: the vendor has named it" },
  { from: "wanted", event: "InstanceRefused", to: "refused", by: "leader: the vendor has surely made none" },
  { from: "refused", event: "InstanceRetried", to: "refused", by: "operator" },
  { from: "gone", event: "InstanceRetried", to: "gone", by: "operator" },
  { from: "accepted", event: "InstanceRunning", to: "running", by: "leader: the vendor says so, and where" },
  { from: "running", event: "InstanceEnrolled", to: "enrolled", by: "leader: it has its certificate" },
  ...(["accepted", "running", "enrolled"] as const).map(
    (from) =>
      ({ from, event: "InstanceStopWanted", to: "stopping", by: "leader: intent, before it takes its place away" }) as const,
  ),
  { from: "stopping", event: "InstanceStopped", to: "stopped", by: "leader: the vendor says that it is off" },
  ...known.map((from) => ({ from, event: "InstanceRemovalWanted", to: "removing", by: "leader: intent" }) as const),
  ...living.map((from) => ({ from, event: "InstanceGone", to: "gone", by: seenGone }) as const),
];

const key = (from: InstanceState | null, event: string): string => `${from ?? ""}/${event}`;
const table = new Map(instanceTransitions.map((row) => [key(row.from, row.event), row.to]));
if (table.size !== instanceTransitions.length) throw new Error("two transitions of an instance have one start and one event");

/** The state after the event; undefined when the table does not allow it. `from` undefined: the node never had a machine. */
export const stateAfter = (from: InstanceState | undefined, event: string): InstanceState | undefined =>
  table.get(key(from ?? null, event));

/** Whether there is, or may be, a machine. */
export const mayLive = (state: InstanceState): boolean => living.includes(state);

/** The table as Markdown, for the docs. */
export function renderInstanceTable(): string {
  const rows = instanceTransitions.map(({ from, event, to, by }) => `| ${from ?? "–"} | \`${event}\` | ${to} | ${by} |`);
  return ["| from | event | to | by, when |", "|---|---|---|---|", ...rows, ""].join("\n");
}
