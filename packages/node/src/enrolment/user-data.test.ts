/** What a new machine is given, and the script that it runs: by the shells and tools that read them where these are installed. */
import { execFile, execFileSync, spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, symlinkSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { inspect } from "node:util";
import { make as redact, value as reveal } from "effect/Redacted";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { Birth } from "./birth-file.ts";
import { parseBundleUrl, paths, startScript, unit } from "./start-script.ts";
import { deriveTicket } from "./ticket.ts";
import { readUserData, userDataFor } from "./user-data.ts";

const who = { clusterId: "00112233445566778899aabbccddeeff", node: "n1", attempt: 1 };
const ticket = deriveTicket(redact("a cluster secret"), who);
const birth: Birth = {
  cluster: { id: who.clusterId, name: "c".repeat(40) },
  node: "n".repeat(22),
  attempt: 1,
  port: 7400,
  caFingerprint: "ab".repeat(32),
  ticket,
};
const bundle = { url: `https://example.com/${"x".repeat(200)}/aether.tar.gz?a=b&c='d'`, sha256: "0f".repeat(32) };

describe("a ticket", () => {
  it("is the same for who holds the secret, and another for each cluster, node and attempt", () => {
    const of = (secret: string, change: Partial<typeof who>): string =>
      reveal(deriveTicket(redact(secret), { ...who, ...change }));
    expect(of("a cluster secret", {})).toBe(reveal(ticket));
    const others = [of("b", {}), of("a cluster secret", { node: "n2" }), of("a cluster secret", { attempt: 2 })];
    const all = new Set([reveal(ticket), ...others, of("a cluster secret", { clusterId: "f".repeat(32) })]);
    expect(all.size).toBe(5);
    expect(() => deriveTicket(redact(""), who)).toThrow(RangeError);
  });

  it("is computed by the published rule", () => {
    // HKDF-SHA256("a cluster secret", "aether/ticket/v1", the JSON of id, node and attempt, 32 bytes), computed apart from this code
    // with Python's hmac module.
    expect(reveal(ticket)).toBe("8FAor1UKGvINI8hgFWTYyeNIdsDoAV89c5DHYVLwbgA");
  });
});

describe("user data", () => {
  it("is small enough for every vendor, with long names too, and the same each time", () => {
    const text = reveal(userDataFor(birth, bundle));
    expect(text.startsWith("#cloud-config\n{")).toBe(true);
    expect(Buffer.byteLength(text)).toBeLessThan(6 * 1024);
    expect(reveal(userDataFor(birth, bundle))).toBe(text);
    expect(text).toMatch(/^[\n\x20-\x7e]*$/);
  });

  it("shows its ticket to nobody but the machine's root", () => {
    const userData = userDataFor(birth, bundle);
    expect(inspect(userData) + JSON.stringify({ userData })).not.toContain(reveal(ticket));
    const holders = readUserData(userData).write_files.filter((file) => file.content.includes(reveal(ticket)));
    expect(holders.map(({ path, permissions }) => [path, permissions])).toEqual([["/etc/aether/birth.json", "0600"]]);
  });

  it("of somebody else is not read, and not repeated", () => {
    for (const text of ["#!/bin/sh\nplanted", "#cloud-config\n{planted", '#cloud-config\n{"bootcmd":["planted"]}']) {
      expect(() => readUserData(redact(text))).toThrow(/^(?!.*planted)the user data is/);
    }
  });

  const cloudInit = spawnSync("cloud-init", ["--version"]).status === 0;
  it.skipIf(!cloudInit)("is a cloud-config to cloud-init (skipped where it is not installed)", () => {
    const folder = mkdtempSync(join(tmpdir(), "aether-user-data-"));
    const file = join(folder, "user-data");
    writeFileSync(file, reveal(userDataFor(birth, bundle)));
    const judged = spawnSync("cloud-init", ["schema", "--config-file", file], { encoding: "utf8" });
    writeFileSync(file, reveal(userDataFor(birth, bundle)).replace('"0600"', "600"));
    const broken = spawnSync("cloud-init", ["schema", "--config-file", file], { encoding: "utf8" });
    rmSync(folder, { recursive: true });
    expect([judged.status, judged.stdout + judged.stderr]).toEqual([0, expect.stringContaining("Valid")]);
    expect(broken.status).not.toBe(0);
  });
});

describe("the line for a bundle", () => {
  it.each([
    ["https://example.com/aether.tar.gz", true],
    ["https://example.com:8443/a/b?c=d%20&e=(f)", true],
    ["http://127.0.0.1:4000/aether.tar.gz", true],
    ["http://[::1]:4000/a", true],
    ["http://example.com/aether.tar.gz", false],
    ["http://127.0.0.1.example.com/a", false],
    ["ftp://example.com/a", false],
    ["https://example.com/a b", false],
    ["https://example.com/a\nb", false],
  ])("%j is one: %s", (url, good) => {
    expect(parseBundleUrl(`${url}#sha256=${"0f".repeat(32)}`)).toEqual(good ? { url, sha256: "0f".repeat(32) } : null);
    for (const end of ["", "#sha256=", `#sha256=${"0F".repeat(32)}`, `#md5=${"0f".repeat(32)}`])
      expect(parseBundleUrl(url + end)).toBeNull();
  });
});

describe("the start script", () => {
  let root = "";
  let [answers, asked]: [(Buffer | null)[], number] = [[], 0];
  const server = createServer((_req, res) => {
    const next = answers[Math.min(asked, answers.length - 1)];
    asked += 1;
    if (next === null || next === undefined) res.writeHead(503).end("not now");
    else res.end(next);
  });
  let url = "";

  beforeEach(async () => {
    root = mkdtempSync(join(tmpdir(), "aether-start-"));
    [answers, asked] = [[], 0];
    if (!server.listening) await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", () => resolve()));
    url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/aether.tar.gz`;
  });
  afterEach(() => {
    rmSync(root, { recursive: true, force: true });
    server.close();
  });

  const tarball = (says: string): { readonly bytes: Buffer; readonly sha256: string } => {
    const made = mkdtempSync(join(tmpdir(), "aether-tarball-"));
    mkdirSync(join(made, "aether/bin"), { recursive: true });
    writeFileSync(join(made, "aether/bin/node"), says, { mode: 0o755 });
    const bytes = execFileSync("tar", ["-cz", "-C", made, "aether"]);
    rmSync(made, { recursive: true });
    return { bytes, sha256: createHash("sha256").update(bytes).digest("hex") };
  };
  const run = (script: string, tools: readonly string[] = []) => {
    const file = join(root, "start.sh");
    writeFileSync(file, script);
    const PATH = tools.length === 0 ? process.env["PATH"] : toolbox(tools);
    return new Promise<{ readonly status: number | null; readonly said: string }>((resolve) => {
      const child = execFile(
        "/bin/sh",
        [file, "bundle"],
        { env: { PATH, AETHER_ROOT: root, AETHER_RETRY_S: "0" } },
        (error, _out, said) => resolve({ status: error === null ? 0 : (child.exitCode ?? 1), said }),
      );
    });
  };
  /** A PATH with these programs and no others. */
  const toolbox = (tools: readonly string[]): string => {
    const bin = join(root, "tools");
    mkdirSync(bin);
    for (const tool of [
      ...tools,
      "sha256sum",
      "cut",
      "rm",
      "mkdir",
      "tar",
      "gzip",
      "sync",
      "find",
      "mv",
      "sleep",
      "dirname",
      "cat",
    ]) {
      // A python of pyenv's is a script that needs a shell of its own and more.
      const [shell, ...where] =
        tool === "python3" ? ["python3", "-c", "import sys; print(sys.executable)"] : ["/bin/sh", "-c", `command -v ${tool}`];
      symlinkSync(execFileSync(shell ?? "", where, { encoding: "utf8" }).trim(), join(bin, tool));
    }
    return bin;
  };
  const installed = (): string => readFileSync(join(root, "opt/aether/bin/node"), "utf8");

  it("fetches again after a refusal and after another file than was promised, and unpacks what has the digest", async () => {
    const { bytes, sha256 } = tarball("one");
    answers = [null, Buffer.from("<html>welcome to the hotel"), bytes.subarray(0, 100), bytes];
    const { status, said } = await run(startScript({ url, sha256 }));
    expect([status, installed(), asked]).toEqual([0, "one", 4]);
    expect(said).toContain("try 3 of 30");
    expect(statSync(join(root, "opt/aether/bin/node")).mode & 0o111).not.toBe(0);
    expect((await run(startScript({ url, sha256 }))).status).toBe(0);
    expect(asked, "what is there is not fetched again").toBe(4);
  });

  it("replaces another bundle, and goes on where it was killed between any two steps", async () => {
    const [one, two] = [tarball("one"), tarball("two")];
    answers = [one.bytes];
    await run(startScript({ url, sha256: one.sha256 }));
    mkdirSync(join(root, "opt/aether.new/bin"), { recursive: true });
    writeFileSync(join(root, "opt/aether.new/bin/half"), "");
    writeFileSync(join(root, "opt/aether.tar.gz"), "half");
    answers = [two.bytes];
    expect((await run(startScript({ url, sha256: two.sha256 }))).status).toBe(0);
    expect([installed(), existsSync(join(root, "opt/aether/bin/half")), existsSync(join(root, "opt/aether.tar.gz"))]).toEqual([
      "two",
      false,
      false,
    ]);
  });

  it("gives up after thirty tries, and has unpacked nothing", async () => {
    answers = [Buffer.from("something else")];
    const { status } = await run(startScript({ url, sha256: "0".repeat(64) }));
    expect([status, asked, existsSync(join(root, "opt/aether"))]).toEqual([1, 30, false]);
  });

  it("needs no URL where the image has the bundle, and says so where it has not", async () => {
    const none = await run(startScript(null));
    expect([none.status, none.said]).toEqual([1, expect.stringContaining("no bundle in")]);
    mkdirSync(join(root, "opt/aether/bin"), { recursive: true });
    writeFileSync(join(root, "opt/aether/bin/node"), "", { mode: 0o755 });
    writeFileSync(join(root, "opt/aether/aetherd.js"), "");
    expect((await run(startScript(null))).status).toBe(0);
  });

  it.each([["wget"], ["python3"]])("fetches with %s where there is no curl", async (tool) => {
    if (spawnSync(tool, ["--version"]).status !== 0) return;
    const { bytes, sha256 } = tarball(tool);
    answers = [bytes];
    const { status, said } = await run(startScript({ url, sha256 }), [tool]);
    expect([said, status, installed()]).toEqual(["", 0, tool]);
  });

  it.skipIf(spawnSync("shellcheck", ["--version"]).status !== 0)(
    "is clean to shellcheck (skipped where it is not installed)",
    () => {
      const judged = spawnSync("shellcheck", ["-s", "sh", "-"], { input: startScript(bundle), encoding: "utf8" });
      expect(judged.stdout).toBe("");
    },
  );

  it.skipIf(spawnSync("systemd-analyze", ["--version"]).status !== 0)(
    "has a unit that systemd reads (skipped where it is not installed)",
    () => {
      const file = join(root, "aetherd.service");
      // Of what the unit names nothing is installed here, and that is all that may be wrong with it.
      writeFileSync(
        file,
        unit(["--max-semi-space-size=16"]).replace(`${paths.home}/bin/node`, "/bin/sh").replace(paths.script, "/dev/null"),
      );
      const judged = spawnSync("systemd-analyze", ["verify", "--man=no", file], { encoding: "utf8" });
      const about = judged.stderr.split("\n").filter((line) => line.includes("aetherd.service"));
      expect(about).toEqual([]);
      writeFileSync(file, unit([]).replace("Restart=", "Restrat="));
      expect(spawnSync("systemd-analyze", ["verify", "--man=no", file], { encoding: "utf8" }).stderr).toContain("Restrat");
    },
  );
});
