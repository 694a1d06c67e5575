import { describe, expect, it } from "vitest";
import { painter } from "../shell/shell.ts";
import { printable } from "../shell/printable.ts";
import { renderEntry } from "./render.ts";

const entry = { index: 7, term: 2, at: Date.UTC(2026, 10, 21, 13, 0, 5), actor: "operator:operator", cause: "SetSetting" };

describe("entries for people", () => {
  it("say what consensus did for itself: who came into the membership and who went", () => {
    const config = {
      ...entry,
      kind: "config",
      actor: "member:raft",
      cause: "MembershipChanged: learner 4 added",
      events: [],
    } as const;
    expect(renderEntry(config, painter(false))).toBe(
      "      7  2026-11-21 13:00:05  member:raft         MembershipChanged: learner 4 added\n",
    );
  });

  it("keep a value with line ends and terminal codes on the event's own line, as text", () => {
    const event = { type: "SettingChanged", v: 1, id: "motto", value: "one\ntwo\u001B[2J" };
    expect(renderEntry({ ...entry, kind: "events", events: [event] }, painter(false))).toBe(
      "      7  2026-11-21 13:00:05  operator:operator   SettingChanged motto  value=one\\ntwo\\u001b[2J\n",
    );
  });
});

describe("what a terminal is shown of a text", () => {
  it("is the text itself in any script, and controls and turns of direction by their names", () => {
    expect(printable("žluť 漢字 🐎")).toBe("žluť 漢字 🐎");
    expect(printable("a\tb\r\u0007\u009B\u202Ec")).toBe("a\\tb\\r\\u0007\\u009b\\u202ec");
  });
});
