import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { Noun } from "../kernel/noun.ts";
import type { Stored } from "../kernel/world.ts";
import { registry } from "../registry.ts";
import { readyCluster } from "../testing/rules-bench.ts";
import { actorOf, story } from "../testing/rules-stories.ts";
import { BackupFault, filesOf, parseObserved, parseThing, pathOf } from "./thing-files.ts";

const noun = (name: string): Noun => registry.noun(name) as Noun;
const setting = noun("setting");
const row = { value: { limit: 0.8 }, description: "how full" };
const storedAs = (id: string): Stored => ({ id, version: 2, index: 7, at: 1_700_000_000_123, row });

describe("a thing's file", () => {
  it("lies where its id says, under a name that every file system takes, and no two things share one", () => {
    const id = fc.oneof(
      fc.string({ unit: "binary", maxLength: 300 }),
      fc.constantFrom("a/b", "A/b", "..", ".", "CON", "a%2fb", "", " ", "\0"),
    );
    fc.assert(
      fc.property(id, id, (one, other) => {
        const path = pathOf("settings", one);
        expect(path).toMatch(
          /^settings\/[0-9a-f]{2}\/[0-9a-f]\/[a-z0-9_%~-][a-z0-9_.%~-]*\.json$|^settings\/[0-9a-f]{2}\/[0-9a-f]\/\.json$/,
        );
        expect(path.length).toBeLessThan(220);
        if (one.isWellFormed() && other.isWellFormed() && one !== other) expect(pathOf("settings", other)).not.toBe(path);
      }),
      { numRuns: 2_000 },
    );
  });

  it("says which thing it is of, what is wanted of it, and beside it what was seen", () => {
    expect(filesOf(setting, storedAs("disk/warning"))).toEqual([
      {
        path: pathOf("settings", "disk/warning"),
        text: [
          "{",
          '  "id": "disk/warning",',
          '  "noun": "setting",',
          '  "wanted": {',
          '    "description": "how full",',
          '    "value": {',
          '      "limit": 0.8',
          "    }",
          "  }",
          "}",
          "",
        ].join("\n"),
      },
    ]);
    const [wanted, observed] = filesOf(noun("node"), readyCluster(3).world.get("node", "n2")!);
    expect(JSON.parse(wanted!.text)).toEqual({ noun: "node", id: "n2", wanted: { duty: "on-duty" } });
    expect(observed?.path).toBe(`observed/${wanted?.path}`);
    expect(JSON.parse(observed!.text)).toMatchObject({ observed: { member: 2, address: "127.0.0.1:7402" } });
    expect(filesOf({ ...setting, backup: undefined } as unknown as Noun, storedAs("x"))).toEqual([]);
  });

  it("comes back as it went, and nothing else does", () => {
    const [file] = filesOf(setting, storedAs("cpu_warning"));
    const { path, text } = file!;
    expect(parseThing(registry, path, text)).toEqual({ noun: "setting", id: "cpu_warning", wanted: row });
    const refused: readonly (readonly [string, string])[] = [
      [path, "{"],
      [path, "null"],
      [path, "[]\n"],
      [path, text.replace("cpu_warning", "cpu_critical")],
      [path, text.replaceAll("\n", "")],
      [path, text.replace("{", '{\n  "author": 1,')],
      [path, text.replace('"setting"', '"planet"')],
      ["settings/cpu_warning.json", text],
    ];
    for (const [where, what] of refused) expect(() => parseThing(registry, where, what), what).toThrow(BackupFault);
  });

  it("beside it says of which moment its row is, and nothing else does", () => {
    const n2 = readyCluster(3).world.get("node", "n2")!;
    const { path, text } = filesOf(noun("node"), n2)[1]!;
    const { id, version, index, at } = n2;
    const observed = noun("node").backup?.observed?.(n2.row);
    expect(parseObserved(registry, path, text)).toEqual({ noun: "node", id, version, index, at, observed });
    const refused = [
      [path, text.replace(/"version": \d+/, '"version": "2"')],
      [path, text.replace("{", '{\n  "aaa": 1,')],
      [path, text.replace('"id": "n2"', '"id": "n3"')],
      [path.replace("observed/nodes", "observed/settings"), text],
    ] as const;
    for (const [where, what] of refused) expect(() => parseObserved(registry, where, what), what).toThrow(BackupFault);
  });

  it("and the one beside it hold the whole row, whatever was asked before", () => {
    fc.assert(
      fc.property(story, (commands) => {
        const bench = readyCluster(3);
        for (const command of commands) bench.try(command, actorOf(command));
        for (const { name, backup } of registry.nouns.filter((one) => one.backup !== undefined))
          for (const stored of bench.world.all(name)) {
            const [wanted, observed] = filesOf(noun(name), stored).map(({ text }) => JSON.parse(text) as Record<string, unknown>);
            const whole = backup?.row(wanted!["wanted"], observed?.["observed"]);
            // as JSON has it, which knows no -0
            expect(whole).toEqual(JSON.parse(JSON.stringify(stored.row)));
          }
      }),
      { numRuns: 200 },
    );
  });

  it("is made for every noun but those that say why not, each in a folder of its own", () => {
    const without = {
      backup: "a restore must not undo what is known of backups",
      restoration: "a record of what was restored, which a restore must not undo either",
      instance: "what a vendor has made and deleted, which no restore can undo",
      fleet: "what stands in the leader's way at the vendor's",
      "restoration-part": "what is on its way into the rows, and wanted by nobody yet",
    };
    const [inBackups, others] = [true, false].map((has) => registry.nouns.filter((one) => (one.backup !== undefined) === has));
    expect(others?.map(({ name }) => name).toSorted()).toEqual(Object.keys(without).toSorted());
    expect(new Set(inBackups?.map((one) => one.backup?.folder)).size).toBe(inBackups?.length);
  });
});
