/** When the cluster backs itself up and where to: one set of defaults and rules for cluster.toml and the daemon's file. */

export interface BackupSettings {
  /** Whether it backs up by itself; asked for, it does in any case. */
  readonly enabled: boolean;
  /** Between two backups when nothing that is wanted has changed. */
  readonly intervalMs: number;
  /** Quiet after a change before it is backed up. */
  readonly debounceMs: number;
  /** Folder of the members' repositories, `<node>.git` each; null: `backup.git` in each member's data folder. */
  readonly path: string | null;
  /** An https URL without user and password, or an absolute path; null: nothing is pushed. */
  readonly remote: string | null;
  readonly remoteUser: string;
  /** Commits that are kept. */
  readonly keep: number;
}

export const backupDefaults: BackupSettings = {
  enabled: true,
  intervalMs: 3_600_000,
  debounceMs: 30_000,
  path: null,
  remote: null,
  remoteUser: "git",
  keep: 10_000,
};

/** Inclusive. */
export const backupRanges = { intervalMs: [1_000, 2_592_000_000], debounceMs: [100, 3_600_000], keep: [1, 10_000_000] } as const;

const units = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 } as const;
export const durationGrammar = /^([1-9]\d{0,8})(ms|s|m|h|d)$/;

/** "90s" in milliseconds. Throws on what is no duration. */
export function parseDuration(text: string): number {
  const [, count, unit] = durationGrammar.exec(text) ?? [];
  if (count === undefined || unit === undefined) throw new RangeError(`${text} is no duration`);
  return Number(count) * units[unit as keyof typeof units];
}

/** The shortest text that {@link parseDuration} makes `ms` of. */
export function durationText(ms: number): string {
  const fitting = (Object.keys(units) as (keyof typeof units)[]).toReversed().find((unit) => ms % units[unit] === 0) ?? "ms";
  return `${ms / units[fitting]}${fitting}`;
}

export const remoteGrammar = {
  pattern: /^(?:https:\/\/[^\s@\0/?#]+(?:\/[^\s\0@?#]*)?|\/[^\0]{1,1023})$/,
  expected: "an https URL without user and password, or an absolute path",
} as const;
export const remoteUserGrammar = {
  pattern: /^[^\s:\0]{1,128}$/,
  expected: "1 to 128 characters without space and colon",
} as const;
