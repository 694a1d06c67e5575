import { describe, expect, it } from "vitest";
import { Broken } from "@aether/raft/errors";
import { LogDamaged, LogFailed } from "@aether/store/log/errors";
import { reportFatal } from "./fatal-report.ts";

const data = "/var/lib/aether";
const failed = (text: string): Error => new LogFailed(`the log is dead: ${text}`, { cause: new Error(text) });
const coded = (code: string): Error => Object.assign(new Error(`${code}: write`), { code });

describe("the last words of a daemon", () => {
  it("tell every cause once", () => {
    const opening = new Error("Database failed to open", {
      cause: new Error("IO error: 000007.log: No space left on device", {
        cause: new Error("000007.log: No space left on device"),
      }),
    });
    expect(reportFatal(opening, data).message).toBe("Database failed to open: IO error: 000007.log: No space left on device");
    const circular = new Error("round");
    circular.cause = circular;
    expect(reportFatal(circular, data).message).toBe("round");
  });

  it("say what to do about a full disk, whoever noticed it", () => {
    for (const error of [failed("IO error: 000006.log: No space left on device"), coded("ENOSPC"), coded("EDQUOT")]) {
      const { next } = reportFatal(new Error("outer", { cause: error }), data);
      expect(next).toMatch(/^the disk is full: free some space where \/var\/lib\/aether lies/);
    }
  });

  it("tell a failing disk from one that may not be written", () => {
    expect(reportFatal(failed("IO error: 000006.log: Input/output error"), data).next).toMatch(/^the disk under .* fails/);
    expect(reportFatal(new LogDamaged("block 7 no longer reads back"), data).next).toMatch(/^the disk under .* fails/);
    const altered = Object.assign(new Error("the pack from 7 on is gone"), { name: "Damaged" });
    expect(reportFatal(altered, data).next).toContain("built anew from the log");
    expect(reportFatal(coded("EROFS"), data).next).toContain("read-only");
    expect(reportFatal(coded("EACCES"), data).next).toContain("must own /var/lib/aether");
    expect(reportFatal(coded("EMFILE"), data).next).toContain("ulimit");
  });

  it("ask for what is needed to find a defect", () => {
    const { error, next } = reportFatal(new Broken("A8 the log ends where the newest batch says"), data);
    expect(error).toBe("Broken");
    expect(next).toMatch(/keep a copy of \/var\/lib\/aether/);
  });

  it("promise nothing about what they do not know", () => {
    expect(reportFatal(new TypeError("x is not a function"), data)).toEqual({
      error: "TypeError",
      message: "x is not a function",
      next: "nothing was retried; the log on disk is what counts: start again",
    });
  });
});
