import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { make as redact, value as reveal } from "effect/Redacted";
import { afterAll, describe, expect, it } from "vitest";
import { exit, Failure } from "../shell/failure.ts";
import { credentialsFor, parsePlace } from "./place.ts";

const folder = mkdtempSync(join(tmpdir(), "aether-place-"));
afterAll(() => rmSync(folder, { recursive: true }));
const failureOf = (text: string): Failure => {
  try {
    parsePlace(text);
  } catch (error) {
    if (error instanceof Failure) return error;
    throw error;
  }
  throw new Error(`${text} was accepted`);
};

describe("REPO[@COMMIT]", () => {
  it("is a path, made absolute, or an https URL, and at most a commit", () => {
    expect(parsePlace("/mnt/backup.git")).toEqual({ repository: "/mnt/backup.git", commit: null });
    expect(parsePlace("backup.git@4F1C2AB9")).toEqual({ repository: join(process.cwd(), "backup.git"), commit: "4f1c2ab9" });
    expect(parsePlace("file:///mnt/backup.git@HEAD")).toEqual({ repository: "/mnt/backup.git", commit: "HEAD" });
    const url = "https://git.example/fleet/backup.git";
    expect(parsePlace(url)).toEqual({ repository: url, commit: null });
    expect(parsePlace(`${url}@main`)).toEqual({ repository: url, commit: "main" });
  });

  it("takes a folder that is there by its whole name, and for a data folder the repository in it", () => {
    const odd = join(folder, "odd@beef");
    mkdirSync(join(odd, "backup.git"), { recursive: true });
    expect(parsePlace(odd)).toEqual({ repository: odd, commit: null });
    writeFileSync(join(odd, "backup.git", "HEAD"), "ref: refs/heads/main\n");
    expect(parsePlace(odd)).toEqual({ repository: join(odd, "backup.git"), commit: null });
  });

  it.each([
    "",
    "http://git.example/backup.git",
    "ssh://git.example/x",
    "/mnt/backup.git@yesterday",
    "https://a:secret@git.example/x",
  ])("cannot be %j, and no secret of it is repeated", (text) => {
    const failure = failureOf(text);
    expect(failure.code).toBe(exit.usage);
    expect(`${failure.message} ${failure.hint}`).not.toContain("secret@");
    expect(`${failure.message} ${failure.hint}`).not.toContain(":secret");
  });
});

describe("the credentials of a remote", () => {
  const place = parsePlace("https://git.example/backup.git");
  const known = { remote: place.repository, remoteUser: "fleet", remoteToken: redact("of the file") };
  const shown = (env: Record<string, string>, of = known) => {
    const found = credentialsFor(place, { env }, of);
    return found === null ? null : [found.user, reveal(found.token)];
  };

  it("are the environment's, else the cluster file's when it names the same remote", () => {
    expect(shown({ AETHER_BACKUP_TOKEN: "t" })).toEqual(["git", "t"]);
    expect(shown({ AETHER_BACKUP_TOKEN: "t", AETHER_BACKUP_USER: "me" })).toEqual(["me", "t"]);
    expect(shown({})).toEqual(["fleet", "of the file"]);
    expect(shown({}, { ...known, remote: "https://elsewhere.example/backup.git" })).toBeNull();
  });

  it("are none for a path", () => {
    expect(credentialsFor(parsePlace("/mnt/x.git"), { env: { AETHER_BACKUP_TOKEN: "t" } }, null)).toBeNull();
  });
});
