/** What an operator writes for a moment: `--at`. */

const daysMax = 3_650;

/**
 * Unix milliseconds of "2026-11-21 12:01:07", "2026-11-21T12:01:07.250+01:00", "2026-11-21", or of a time ago: "10m ago", "2h", "1d 6h", "1h30m".
 * A time of day without a zone is UTC, as all times that aether prints are; one in whole seconds is the end of its second, so that what was
 * shown to happen then has happened. Null when it is none of these, no day of the calendar, or
 * more than ten years ago.
 */
export function parseMoment(text: string, nowMs: number): number | null {
  const ago = parseAgo(text.trim().replace(/\s+ago$/, ""));
  if (ago !== null) return nowMs - ago;
  const match = /^(\d{4}-\d{2}-\d{2})(?:[T ](\d{2}:\d{2})(?::(\d{2})(?:\.(\d{1,3}))?)?\s*(Z|[+-]\d{2}:\d{2})?)?$/i.exec(
    text.trim(),
  );
  if (match === null) return null;
  const [, day = "", minutes = "00:00", second, digits, zone = "Z"] = match;
  const [seconds, fraction] = second === undefined ? ["00", "0"] : [second, digits ?? "999"];
  // Date.parse takes 31 February for 3 March.
  const there = Date.parse(`${day}T00:00:00Z`);
  if (Number.isNaN(there) || new Date(there).toISOString().slice(0, 10) !== day) return null;
  const at = Date.parse(`${day}T${minutes}:${seconds}.${fraction.padEnd(3, "0")}${zone.toUpperCase()}`);
  return Number.isNaN(at) ? null : at;
}

function parseAgo(text: string): number | null {
  if (!/^\d{1,6}[dhms](\s*\d{1,6}[dhms])*$/.test(text)) return null;
  const units = { d: 86_400_000, h: 3_600_000, m: 60_000, s: 1_000 };
  const parts = [...text.matchAll(/(\d+)([dhms])/g)];
  const ms = parts.reduce((sum, [, count, unit]) => sum + Number(count) * units[unit as keyof typeof units], 0);
  return ms <= daysMax * units.d ? ms : null;
}

/** "2026-11-21 12:01:07", UTC, as the events are shown. */
export const momentText = (ms: number): string => new Date(ms).toISOString().slice(0, 19).replace("T", " ");
