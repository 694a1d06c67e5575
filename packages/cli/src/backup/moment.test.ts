import { describe, expect, it } from "vitest";
import { momentText, parseMoment } from "./moment.ts";

const now = Date.UTC(2026, 10, 21, 12, 0, 0);
const read = (text: string): string | null => {
  const ms = parseMoment(text, now);
  return ms === null ? null : new Date(ms).toISOString();
};

describe("a moment on the command line", () => {
  it("is a time of the calendar, in UTC unless it names its zone", () => {
    expect(read("2026-11-21 11:58:07")).toBe("2026-11-21T11:58:07.999Z");
    expect(read("2026-11-21 11:58:07.0")).toBe("2026-11-21T11:58:07.000Z");
    expect(read("2026-11-21T11:58")).toBe("2026-11-21T11:58:00.000Z");
    expect(read("2026-11-20")).toBe("2026-11-20T00:00:00.000Z");
    expect(read("2026-11-21T12:58:07.25+01:00")).toBe("2026-11-21T11:58:07.250Z");
    expect(read("2026-11-21t11:58:07z")).toBe("2026-11-21T11:58:07.999Z");
  });

  it("or so long ago, with or without the word", () => {
    expect(read("10m ago")).toBe("2026-11-21T11:50:00.000Z");
    expect(read("2h")).toBe("2026-11-21T10:00:00.000Z");
    expect(read("1d 6h ago")).toBe("2026-11-20T06:00:00.000Z");
    expect(read("1h30m")).toBe("2026-11-21T10:30:00.000Z");
  });

  it.each([
    "",
    "yesterday",
    "10",
    "10 m",
    "2026-02-30",
    "2026-13-01",
    "2026-11-21 25:00",
    "11:58",
    "m ago",
    "9999d",
    "2026-11-21 11:58 CET",
  ])("and %j is none", (text) => expect(read(text)).toBeNull());

  it("is shown as it may be given back: what happened in that second has happened then", () => {
    for (const ms of [now, now + 1, now + 999]) {
      const back = parseMoment(momentText(ms), now) ?? 0;
      expect(back).toBeGreaterThanOrEqual(ms);
      expect(momentText(back)).toBe(momentText(ms));
    }
  });
});
