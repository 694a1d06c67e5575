/** The settings that Aether itself reads, with their defaults. Other keys are the operators' own. */

export interface Threshold {
  readonly key: string;
  /** Used while the setting is absent; a share of the whole, 0..1. */
  readonly default: number;
  readonly description: string;
  /** The other one of the pair; a warning must stay below its critical. */
  readonly partner: string;
  readonly level: "warning" | "critical";
}

const pair = (what: string, words: string, warning: number, critical: number): readonly Threshold[] => [
  {
    key: `${what}_warning`,
    default: warning,
    description: `Share of ${words} in use that raises a warning`,
    partner: `${what}_critical`,
    level: "warning",
  },
  {
    key: `${what}_critical`,
    default: critical,
    description: `Share of ${words} in use that raises a critical alert`,
    partner: `${what}_warning`,
    level: "critical",
  },
];

export const thresholds: readonly Threshold[] = [
  ...pair("cpu", "processor time", 0.75, 0.9),
  ...pair("memory", "memory", 0.8, 0.95),
  ...pair("disk", "disk space", 0.8, 0.9),
];

const byKey = new Map(thresholds.map((threshold) => [threshold.key, threshold]));

export const thresholdOf = (key: string): Threshold | undefined => byKey.get(key);
