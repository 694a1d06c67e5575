import { stripVTControlCharacters } from "node:util";
import { describe, expect, it } from "vitest";
import { commands, groups } from "../commands.ts";
import { counted } from "./counted.ts";
import { renderHelp } from "./help.ts";
import { follow, stepProgress } from "./progress.ts";
import { painter } from "./shell.ts";
import { suggest } from "./suggest.ts";
import { humanDuration, renderTable } from "./table.ts";

const plain = painter(false);
const sink = (errIsTerminal: boolean) => {
  const written: string[] = [];
  return { written, err: (text: string) => void written.push(text), errIsTerminal, columns: 60, paintErr: plain, now: () => 0 };
};

describe("tables", () => {
  const columns = [
    { title: "NODE", cell: (row: { name: string }) => row.name },
    { title: "LAG", cell: () => "7", right: true },
    { title: "ADDRESS", cell: () => "127.0.0.1:1", wide: true },
  ];

  it("align their columns and end no line with blanks", () => {
    expect(renderTable(columns, [{ name: "n1" }, { name: "long-name" }])).toBe(
      "NODE        LAG\nn1            7\nlong-name     7\n",
    );
  });

  it("show wide columns only when asked to", () => {
    expect(renderTable(columns, [{ name: "n1" }], true)).toBe("NODE   LAG   ADDRESS\nn1       7   127.0.0.1:1\n");
  });

  it("do not count colours as width", () => {
    const paint = painter(true);
    const colored = renderTable(
      [
        { title: "A", cell: (row: string) => paint("red", row) },
        { title: "B", cell: () => "x" },
      ],
      ["long", "s"],
    );
    expect(stripVTControlCharacters(colored)).toBe("A      B\nlong   x\ns      x\n");
  });
});

describe("counts", () => {
  it("agree with their word", () => {
    expect([0, 1, 2].map((count) => counted(count, "first voter"))).toEqual([
      "0 first voters",
      "1 first voter",
      "2 first voters",
    ]);
  });
});

describe("progress of steps", () => {
  it("is one plain line a step when nobody looks: begun when the step begins", () => {
    const out = sink(false);
    const progress = stepProgress(["look", "leap"], out);
    progress.begin(0);
    expect(out.written.join("")).toBe("[1/2] look … ");
    progress.say("around");
    progress.done("nothing there");
    progress.begin(1);
    progress.failed("too far");
    expect(out.written.join("")).toBe("[1/2] look … nothing there (0.0 s)\n[2/2] leap … FAILED: too far (0.0 s)\n");
  });

  it("redraws the list in place on a terminal, and never lets a line wrap", () => {
    const out = sink(true);
    const progress = stepProgress(["look", "leap"], out);
    progress.begin(0);
    progress.say("x".repeat(200));
    const frames = out.written;
    expect(frames).toHaveLength(2);
    expect(frames[1]).toContain("\u001B[2A");
    const lines = stripVTControlCharacters(frames[1] ?? "").split("\n");
    expect(Math.max(...lines.map((line) => line.length))).toBeLessThan(60);
    expect(lines[1]).toContain("leap");
  });
});

describe("following one thing", () => {
  it("says each new state once", () => {
    const out = sink(false);
    const progress = follow(out);
    for (const text of ["draining", "draining", "drained"]) progress.say(text);
    progress.end();
    expect(out.written.join("")).toBe("draining\ndrained\n");
  });

  it("stays in one line of a terminal, and leaves that line empty", () => {
    const out = sink(true);
    const progress = follow(out);
    progress.say("draining");
    progress.say("x".repeat(100));
    progress.end();
    expect(out.written).toEqual(["\r\u001B[2Kdraining", `\r\u001B[2K${"x".repeat(59)}`, "\r\u001B[2K"]);
  });
});

describe("help", () => {
  it("shows examples before anything else, at every level", () => {
    const paths = [
      [],
      ...groups.map(({ path }) => path),
      ...commands.filter(({ hidden }) => hidden !== true).map(({ path }) => path),
    ];
    for (const path of paths) {
      const text = renderHelp(path, commands, groups);
      expect(text.split("\n")[2]).toBe("Examples");
    }
  });

  it("lists every command and hides those for scripts", () => {
    const text = renderHelp([], commands, groups);
    for (const word of ["cluster", "node", "settings", "events", "audit", "version"]) expect(text).toContain(`\n  ${word} `);
    expect(text).not.toContain("__complete");
  });
});

describe("suggestions", () => {
  it("find what was probably meant, and nothing for something else", () => {
    const known = ["bootstrap", "status", "scale", "start", "stop"];
    expect(["statsu", "bootstap", "scael", "strat"].map((word) => suggest(word, known))).toEqual([
      "status",
      "bootstrap",
      "scale",
      "start",
    ]);
    expect(suggest("deploy", known)).toBeUndefined();
  });
});

describe("durations for people", () => {
  it("grow coarser as they grow", () => {
    expect([300, 65_000, 3_720_000, 200 * 3_600_000].map(humanDuration)).toEqual(["0.3 s", "1m 05s", "1h 02m", "8d"]);
  });
});
