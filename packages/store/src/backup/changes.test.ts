import { registry } from "@aether/core/registry";
import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { type ChangeKind, Changes, messageOf, parseMessage } from "./changes.ts";

const moment = { index: 812, at: 1_700_000_000_123 };
const kind = fc.constantFrom<ChangeKind>("created", "changed", "removed");
const noun = fc.constantFrom("setting", "node", "cluster");

const of = (list: readonly (readonly [string, string, ChangeKind])[]): Changes => {
  const changes = new Changes(registry);
  for (const [each, id, how] of list) changes.add(each, id, how);
  return changes;
};

describe("a backup's message", () => {
  it("says first what changed, then each, then of what it is", () => {
    const changes = of([
      ["setting", "cpu_warning", "changed"],
      ["node", "n2", "created"],
      ["node", "n1", "changed"],
    ]);
    expect(messageOf(changes, moment, 12, "asked by operator:olga").split("\n")).toEqual([
      "2 nodes, setting cpu_warning",
      "",
      "changed node n1",
      "created node n2",
      "changed setting cpu_warning",
      "",
      "Index: 812",
      "Time: 2023-11-14T22:13:20.123Z",
      "Things: 12",
      "Changed: 3",
      "Cause: asked by operator:olga",
    ]);
    expect(of([]).subject()).toBe("nothing wanted has changed");
  });

  it("is the same in whatever order changes come, is not long, and says again what was said", () => {
    const change = fc.tuple(noun, fc.oneof(fc.string({ unit: "binary", maxLength: 200 }), fc.nat(300).map(String)), kind);
    const some = fc.uniqueArray(change, { maxLength: 300, selector: ([one, id]) => `${one}/${id}` });
    fc.assert(
      fc.property(some, fc.nat(1_000), fc.string({ unit: "binary", maxLength: 300 }), (list, things, cause) => {
        const message = messageOf(of(list), moment, things, cause);
        expect(messageOf(of(list.toReversed()), moment, things, cause)).toBe(message);
        expect(message.split("\n").length).toBeLessThan(32);
        expect(message.length).toBeLessThan(4_000);
        expect(message.replaceAll("\n", "")).not.toMatch(/\p{Cc}/u);
        expect(parseMessage(`${message}\n`)).toMatchObject({
          ...moment,
          things,
          changed: list.length,
          subject: message.split("\n")[0],
        });
      }),
    );
  });

  it("of somebody else is none", () => {
    const ours = messageOf(of([]), moment, 1, "why");
    for (const text of [
      "",
      "hello\n",
      "Index: 1\n",
      ours.replace("2023", "none"),
      ours.replace("812", "-1"),
      `${ours}\n\nmore\n`,
    ])
      expect(parseMessage(text), text).toBeNull();
    expect(parseMessage(ours)?.cause).toBe("why");
  });
});
