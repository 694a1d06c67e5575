import { describe, expect, it } from "vitest";
import { painter } from "../shell/shell.ts";
import { renderPlan, type ShownPlan, type ShownThing } from "./plan-text.ts";

const plain = painter(false);
const plan = (change: Partial<ShownPlan>): ShownPlan => ({
  ...{ created: 0, changed: 0, removed: 0, unchanged: 0, kept: [], things: [] },
  ...change,
});

describe("a plan", () => {
  it("is one line a thing, what is kept with its reason, and the counts", () => {
    const things: readonly ShownThing[] = [
      { noun: "setting", id: "app/x", kind: "created", fields: [{ field: "", to: { value: { on: true }, description: "" } }] },
      { noun: "setting", id: "cpu_warning", kind: "changed", fields: [{ field: "value", from: 0.9, to: 0.8 }] },
      { noun: "setting", id: "app/y", kind: "removed", fields: [{ field: "", from: { value: 1 } }] },
    ];
    const kept = [{ noun: "node", id: "n4", why: "it is not in this cluster" }];
    expect(renderPlan(plan({ created: 1, changed: 1, removed: 1, unchanged: 14, kept, things }), plain)).toBe(
      [
        '+ setting app/x        value {"on":true}',
        "~ setting cpu_warning  value 0.9 → 0.8",
        "- setting app/y",
        "= node n4 stays as it is: it is not in this cluster",
        "1 created, 1 changed, 1 removed, 1 kept, 14 unchanged",
        "",
      ].join("\n"),
    );
  });

  it("says so when there is no difference", () => {
    expect(renderPlan(plan({ unchanged: 9 }), plain)).toBe("no difference, 9 unchanged\n");
  });

  it("shortens long values and long lists, and says how to see all", () => {
    const fields = Array.from({ length: 7 }, (_, at) => ({ field: `f${at}`, from: "x".repeat(500), to: at }));
    const many = Array.from({ length: 60 }, (_, at) => ({ noun: "setting", id: `s${at}`, kind: "changed" as const, fields }));
    const lines = renderPlan(plan({ changed: 12_000, unchanged: 3, things: many }), plain).split("\n");
    expect(lines[0]).toMatch(/^~ setting s0 +f0 "x{39}… → 0, f1 .*, … 3 more fields$/);
    expect(lines.slice(-3)).toEqual(["… and 11950 more (-o json shows up to 10,000)", "12000 changed, 3 unchanged", ""]);
  });

  it("lets no value or name write to the terminal", () => {
    const things: readonly ShownThing[] = [
      { noun: "setting", id: "app/\u001b[2J", kind: "changed", fields: [{ field: "value", from: "\u202e", to: "\n" }] },
    ];
    expect(renderPlan(plan({ changed: 1, things }), plain)).toBe(
      '~ setting app/\\u001b[2J  value "\\u202e" → "\\n"\n1 changed\n',
    );
  });
});
