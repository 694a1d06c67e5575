import { execFileSync } from "node:child_process";
import { generateKeyPairSync, randomBytes } from "node:crypto";
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseClusterFile, redactConfiguration } from "@aether/core/config/cluster-file";
import { registry } from "@aether/core/registry";
import { clusterId, firstMembers } from "@aether/core/testing/rules-bench";
import { afterEach, expect, it } from "vitest";
import { OneMember } from "../events/testing/one-member.ts";
import { noPace } from "../pace.ts";
import { BackupWriter } from "./backup-writer.ts";
import { git, home } from "./testing/backed-up.ts";

const ends: (() => Promise<void> | void)[] = [];
afterEach(async () => {
  for (const end of ends.splice(0)) await end();
});

const made = (name: string): string => `${name}-${randomBytes(24).toString("base64url")}`;

/** What must be nowhere, and how else it could be written down. */
function forms(secret: string): Buffer[] {
  const bytes = Buffer.from(secret);
  // base64 of it at any place of a longer text, without the characters that its neighbours have a part in
  const based = [0, 1, 2].map((shift) => {
    const text = Buffer.concat([Buffer.alloc(shift), bytes])
      .toString("base64")
      .replaceAll("=", "");
    return text.slice(shift === 0 ? 0 : shift + 1, -1);
  });
  const texts = [secret, JSON.stringify(secret).slice(1, -1), bytes.toString("hex"), bytes.toString("hex").toUpperCase()];
  return [...texts, ...based, ...based.map((text) => text.replaceAll("+", "-").replaceAll("/", "_"))].map((text) =>
    Buffer.from(text),
  );
}

/** Every object of the repository as git gives it, whatever commit needs it, and every file of the folder as it lies there. */
function everything(dir: string): Buffer[] {
  const objects = execFileSync("git", ["-C", dir, "cat-file", "--batch-all-objects", "--batch"], { maxBuffer: 2 ** 28 });
  const files = readdirSync(dir, { recursive: true, withFileTypes: true }).filter((each) => each.isFile());
  return [objects, ...files.map(({ parentPath, name }) => readFileSync(join(parentPath, name)))];
}

it("no secret of a cluster is in its backups, in whatever form", { timeout: 60_000 }, async () => {
  const folder = mkdtempSync(join(tmpdir(), "aether-secrets-"));
  ends.push(() => rmSync(folder, { recursive: true }));
  const { privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  const pem = privateKey.export({ type: "pkcs8", format: "pem" }).toString();
  const keyBody = pem.split("\n").slice(1, -2).join("");
  const planted = {
    cluster: made("cluster-secret"),
    token: made("remote-token"),
    cloud: `cloud-${randomBytes(20).toString("hex")}`,
    file: made("node-secret"),
  };
  process.env["AETHER_TEST_CLOUD_TOKEN"] = planted.cloud;
  ends.push(() => void delete process.env["AETHER_TEST_CLOUD_TOKEN"]);

  // where an operator's and a node's secrets lie
  const member = await OneMember.start({ registry });
  ends.push(() => member.end());
  mkdirSync(join(member.dir, "secrets"));
  for (const [name, text] of [
    ["node.key", pem],
    ["secrets/remote", planted.token],
    ["secrets/other", planted.file],
  ] as const)
    writeFileSync(join(member.dir, name), text);

  // what of the configuration goes into the log
  const toml = [
    "[cluster]",
    'name = "home"',
    "[cloud]",
    'provider = "local"',
    'region = "${env:AETHER_TEST_CLOUD_TOKEN}"',
    "[security]",
    'cluster_secret = "${secrets:cluster}"',
    "[backup]",
    'remote = "https://example.org/backups.git"',
    'remote_user = "robot"',
    'remote_token = "${secrets:remote}"',
  ].join("\n");
  const secrets: Readonly<Record<string, string>> = { cluster: planted.cluster, remote: planted.token };
  const parsed = parseClusterFile(toml, { env: process.env, readSecret: (path) => secrets[path] });
  if ("errors" in parsed) throw new Error(JSON.stringify(parsed.errors));
  const configuration = redactConfiguration(parsed.ok);
  member.lead();
  const ask = async (command: Parameters<OneMember["ask"]>[0]): Promise<void> => {
    const answer = await member.ask(command);
    if (!answer.ok) throw new Error(JSON.stringify(answer.rejection));
  };
  const members = firstMembers(3);
  await ask({ type: "InitialiseCluster", id: "home", clusterId, size: 3, provider: "local", configuration, members });
  await ask({ type: "SetSetting", id: "app/login", value: { user: "robot", password: "${secrets:other}" }, description: "" });

  const dir = join(folder, "backup.git");
  const writer = await BackupWriter.open({ dir, store: member.store, registry, cluster: home, pace: noPace });
  await writer.backup("one");
  await ask({ type: "SetSetting", id: "app/login", value: { user: "robot", password: "${secrets:remote}" }, description: "" });
  await writer.backup("two");
  git(dir, "gc", "--quiet");
  await ask({ type: "SetSetting", id: "app/marker", value: "found-if-it-is-there", description: "" });
  await writer.backup("three");
  writer.close();

  const found = everything(dir);
  const holds = (text: Buffer): boolean => found.some((bytes) => bytes.includes(text));
  expect(holds(Buffer.from("found-if-it-is-there")), "what is looked through is what was written").toBe(true);
  expect(holds(Buffer.from("${secrets:other}")), "references are, in old commits too").toBe(true);
  expect(holds(Buffer.from("PRIVATE KEY"))).toBe(false);
  for (const [name, secret] of Object.entries({ ...planted, key: keyBody }))
    for (const form of forms(secret)) expect(holds(form), `${name}: ${form.toString()}`).toBe(false);
});
