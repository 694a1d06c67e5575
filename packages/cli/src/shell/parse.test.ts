import { describe, expect, it } from "vitest";
import { commands, groups } from "../commands.ts";
import { globalFlags } from "./command.ts";
import { exit, Failure } from "./failure.ts";
import { parseCommandLine, parseDuration } from "./parse.ts";

const parse = (line: string) => parseCommandLine(line.split(" ").filter(Boolean), commands, groups);
const parsed = (line: string) => {
  const result = parse(line);
  if (result.kind !== "run") throw new Error(`${line} asks for help`);
  return result.call;
};
const failure = (line: string): Failure => {
  try {
    parse(line);
  } catch (error) {
    if (error instanceof Failure) return error;
    throw error;
  }
  throw new Error(`${line} was accepted`);
};

describe("a command line", () => {
  it("names a command by its words and finds its flags and arguments anywhere after them", () => {
    const call = parsed("node drain --reason disk n2 --detach");
    expect(call.command.path).toEqual(["node", "drain"]);
    expect([call.arg("node"), call.text("reason"), call.switched("detach")]).toEqual(["n2", "disk", true]);
  });

  it("takes the flags of every command before, between and after its words", () => {
    for (const line of ["-o json cluster status", "cluster -o json status", "cluster status --output=json"]) {
      expect(parsed(line).output).toBe("json");
    }
    expect(parsed("--context prod cluster status").text("context")).toBe("prod");
  });

  it("knows help and --version as other tools have taught them", () => {
    expect(parse("help")).toEqual({ kind: "help", path: [] });
    expect(parse("help node drain")).toEqual({ kind: "help", path: ["node", "drain"] });
    expect(parse("help help node")).toEqual({ kind: "help", path: ["node"] });
    expect(parsed("--version").command.path).toEqual(["version"]);
    for (const line of ["help nodee", "nodee --help"]) {
      expect(failure(line)).toMatchObject({ code: exit.usage, hint: "did you mean: aether node" });
    }
  });

  it("takes negative numbers and what follows -- as arguments", () => {
    expect(parsed("settings set delta -5").arg("value")).toBe("-5");
    expect(parsed("settings set text -- --help").arg("value")).toBe("--help");
  });

  it.each([
    ["clutser status", 'aether has no command "clutser"', "did you mean: aether cluster"],
    ["cluster statsu", 'aether cluster has no command "statsu"', "did you mean: aether cluster status"],
    ["frobnicate", 'aether has no command "frobnicate"', "see: aether --help"],
    ["cluster", "aether cluster needs a command", "see: aether cluster --help"],
    ["events --folow", "aether events has no flag --folow", "did you mean: --follow"],
    ["cluster bootstrap", "aether cluster bootstrap needs --config FILE", "see: aether cluster bootstrap --help"],
    ["cluster scale --nodes five", '--nodes "five": a whole number is expected', "--nodes 3"],
    ["cluster scale --nodes", "--nodes needs a value", "how many members"],
    ["cluster scale --nodes 3 --nodes 5", "--nodes is given twice", "see:"],
    ["cluster start --timeout soon", '--timeout "soon": a duration', "--timeout 30s"],
    ["cluster status -o xml", '"xml": one of table, wide, json is expected', "for example --output json"],
    ["settings get a -o wide", "aether settings get has no output wide", "it has: table, json"],
    ["node drain", "aether node drain needs NODE", "see: aether node drain --help"],
    ["node drain n1 n2", 'aether node drain takes NODE: what is "n2" for?', "see:"],
    ["node drain n1 --detach=yes", "--detach takes no value", "see:"],
    ["completion tcsh --bogus", "aether completion has no flag --bogus", ""],
  ])("refuses `%s` as a usage error that says what would be right", (line, message, hint) => {
    const refused = failure(line);
    expect(refused.code).toBe(exit.usage);
    expect(refused.message).toContain(message);
    expect(refused.hint).toContain(hint);
  });

  it("asks for help with --help at every level, also where something else is missing", () => {
    expect(parse("")).toEqual({ kind: "help", path: [] });
    expect(parse("--help")).toEqual({ kind: "help", path: [] });
    expect(parse("cluster --help")).toEqual({ kind: "help", path: ["cluster"] });
    expect(parse("cluster bootstrap -h")).toEqual({ kind: "help", path: ["cluster", "bootstrap"] });
  });
});

describe("durations", () => {
  it("are read in their units, seconds without one", () => {
    expect(["500ms", "30s", "30", "1.5s", "5m", "1h"].map(parseDuration)).toEqual([
      500, 30_000, 30_000, 1_500, 300_000, 3_600_000,
    ]);
  });

  it("are refused when they are none, negative or longer than a day", () => {
    expect(["", "s", "-1s", "1d", "25h", "1e3"].map(parseDuration)).toEqual([null, null, null, null, null, null]);
  });
});

describe("the command table", () => {
  it("gives every command a summary, and an example that parses", () => {
    for (const command of commands.filter(({ hidden }) => hidden !== true)) {
      expect(command.summary).not.toMatch(/\.$/);
      expect(command.examples.length).toBeGreaterThan(0);
      for (const { line } of command.examples) {
        const first = line.replace(/^source <\(|\)$| \| source$/g, "").split(" && ")[0] ?? "";
        const words = [...first.matchAll(/'([^']*)'|(\S+)/g)].map((match) => match[1] ?? match[2] ?? "").slice(1);
        expect(parseCommandLine(words, commands, groups)).toMatchObject({
          kind: "run",
          call: { command: { path: command.path } },
        });
      }
    }
  });

  it("names no path and no flag twice, and shadows no flag that all commands have", () => {
    expect(new Set(commands.map(({ path }) => path.join(" "))).size).toBe(commands.length);
    for (const { flags } of commands) {
      const names = [...flags, ...globalFlags].flatMap((flag) =>
        flag.short === undefined ? [flag.name] : [flag.name, flag.short],
      );
      expect(new Set(names).size).toBe(names.length);
    }
  });

  it("loads the code of every command", async () => {
    for (const command of commands) expect(await command.load()).toHaveProperty("run");
  });
});
