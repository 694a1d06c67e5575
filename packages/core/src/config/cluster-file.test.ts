import { inspect } from "node:util";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import * as fc from "fast-check";
import * as Redacted from "effect/Redacted";
import { describe, expect, it } from "vitest";
import { backupDefaults, durationText, parseDuration } from "./backup-settings.ts";
import { parseClusterFile, redactConfiguration, renderConfigError, type ClusterConfiguration } from "./cluster-file.ts";
import type { ReferenceSources } from "./references.ts";

const fixture = (name: string): string => readFileSync(join(import.meta.dirname, "../../../../fixtures/clusters", name), "utf8");
const secrets: ReferenceSources = { env: { AETHER_SECRET_CLUSTER_SECRET: "correct horse battery" }, readSecret: () => undefined };
const nothing: ReferenceSources = { env: {}, readSecret: () => undefined };

const read = (text: string, sources = nothing): ClusterConfiguration => {
  const parsed = parseClusterFile(text, sources);
  if ("errors" in parsed) throw new Error(parsed.errors.map((error) => renderConfigError("cluster.toml", error)).join("\n"));
  return parsed.ok;
};
/** "line:column key: message" of every error. */
const faults = (text: string, sources = nothing): readonly string[] => {
  const parsed = parseClusterFile(text, sources);
  return "ok" in parsed ? [] : parsed.errors.map(({ line, column, key, message }) => `${line}:${column} ${key}: ${message}`);
};
const local = '[cluster]\nname = "a"\n[cloud]\nprovider = "local"\n';

describe("a cluster file", () => {
  it("of the operator guide is read as it stands", () => {
    const c = read(fixture("guide.toml"), secrets);
    expect(c.cluster).toEqual({ name: "production", size: 5 });
    expect(c.cloud).toEqual({ provider: "hetzner", region: "fsn1", instanceType: "cx31" });
    expect(c.security.clusterSecret === null ? null : Redacted.value(c.security.clusterSecret)).toBe("correct horse battery");
  });

  it("for this computer needs no secret, no region and no timing", () => {
    const c = read(fixture("local.toml"));
    expect(c.cluster.size).toBe(3);
    expect(c.security.clusterSecret).toBeNull();
    expect(c.raft).toEqual({ tickMs: 50, electionTicks: 20, heartbeatTicks: 2 });
    expect(read(fixture("local-all-keys.toml"), secrets)).toMatchObject({
      cluster: { name: "edge", size: 5 },
      local: { basePort: 7401, dataDir: "/tmp/aether" },
      raft: { tickMs: 25, electionTicks: 30, heartbeatTicks: 3 },
      history: { keep: 50_000 },
      backup: {
        enabled: false,
        intervalMs: 900_000,
        debounceMs: 5_000,
        path: "/var/backups/aether",
        remote: "https://git.example.com/fleet/backup.git",
        remoteUser: "fleet",
        keep: 500,
      },
    });
  });

  it("may use dotted keys and inline tables, as TOML allows", () => {
    expect(read('cluster.name = "a"\ncluster.size = 1\ncloud = { provider = "local" }').cluster).toEqual({ name: "a", size: 1 });
  });
});

describe("backups", () => {
  const token = { env: { AETHER_SECRET_GIT: "ghp_abcdef" }, readSecret: () => undefined };

  it("are made every hour and half a minute after a change, unless the file says otherwise", () => {
    expect(read(local).backup).toEqual({ ...backupDefaults, remoteToken: null });
    expect(read(`${local}[backup]\nenabled = false\ndebounce = "250ms"\ninterval = "2d"\n`).backup).toMatchObject({
      enabled: false,
      debounceMs: 250,
      intervalMs: 172_800_000,
    });
  });

  it("are pushed with a token that is stored nowhere", () => {
    const c = read(`${local}[backup]\nremote = "https://git.example/f.git"\nremote_token = "\${secrets:git}"\n`, token);
    expect(c.backup.remoteToken === null ? "" : Redacted.value(c.backup.remoteToken)).toBe("ghp_abcdef");
    expect(redactConfiguration(c)).toMatchObject({ backup: { remote_token: "${secrets:git}" } });
    expect(JSON.stringify(c) + inspect(c, { depth: 9 })).not.toContain("ghp_");
  });

  it("that are asked for in a way that cannot be are refused with place and hint", () => {
    const lines = [
      'enabled = "yes"',
      'interval = "1 hour"',
      'debounce = "50ms"',
      'remote = "https://me:pw@git.example/f.git"',
      "remote_token = 7",
      "keep = 0",
    ];
    expect(faults(`${local}[backup]\n${lines.join("\n")}\n`)).toEqual([
      "6:1 backup.enabled: enabled is text",
      '7:1 backup.interval: interval does not fit: "1 hour"',
      '8:1 backup.debounce: debounce does not fit: "50ms"',
      "9:1 backup.remote: remote does not fit",
      "10:1 backup.remote_token: remote_token is a whole number",
      "11:1 backup.keep: keep does not fit: 0",
    ]);
    const parsed = parseClusterFile(`${local}[backup]\ninterval = "0s"\n`, nothing);
    expect("errors" in parsed ? parsed.errors[0]?.expected : "").toBe(
      "a duration from 1s to 30d, a number and its unit: ms, s, m, h or d",
    );
  });

  it("take durations as they give them back", () => {
    for (const text of ["1ms", "1500ms", "30s", "90s", "15m", "36h", "2d"]) {
      expect(durationText(parseDuration(text)), text).toBe(text);
    }
    expect(durationText(parseDuration("120s"))).toBe("2m");
  });
});

describe("a file with faults", () => {
  it("is told all of them at once, each with its place", () => {
    expect(faults(fixture("many-faults.toml"))).toEqual([
      '3:1 cluster.name: name does not fit: "Prod_1"',
      "4:1 cluster.size: size does not fit: 4",
      "7:1 cloud.provder: provder is not known in [cloud]: did you mean provider?",
      "8:1 cloud.region: ${env:REGION} is not set",
      "11:1 security.cluster_secret: ${secrets:cluster/secret} was not found",
      "13:2 rafts: rafts is not known: did you mean [raft]?",
      "17:1 history.keep: keep is text",
      "18:1 history.size: size is not known in [history]: it belongs in [cluster]",
    ]);
  });

  it("names what would be right", () => {
    const parsed = parseClusterFile(fixture("many-faults.toml"), nothing);
    const expected = "errors" in parsed ? parsed.errors.map((error) => error.expected) : [];
    expect(expected[1]).toMatch(/^1, 3, 5 or 7: an even size survives no more failures/);
    expect(expected[4]).toContain("AETHER_SECRET_CLUSTER_SECRET");
    expect(expected.every((words) => words.length > 5)).toBe(true);
    expect(renderConfigError("c.toml", { line: 1, column: 2, key: "a.b", message: "m", expected: "e" })).toBe(
      "c.toml:1:2 a.b: m; right is: e",
    );
  });

  it("that is not TOML says where, and repeats none of its lines", () => {
    const [fault = ""] = faults('[security]\ncluster_secret = "hunter2hunter2\n');
    expect(fault).toMatch(/^2:\d+ : not TOML: /);
    expect(fault).not.toContain("hunter2");
    expect(faults(fixture("not-toml.toml"))).toEqual([expect.stringMatching(/^3:\d+ : not TOML: /)]);
    expect(faults("[a]\nk = 1\nk = 2\n")[0]).toMatch(/^3:1 : not TOML/);
    expect(faults("__proto__ = 1\n")[0]).toMatch(/^1:\d+ : not TOML/);
  });

  it("written for features that do not exist is not half understood", () => {
    expect(faults(fixture("future.toml"))).toEqual([
      "1:1 cloud.provider: provider is missing, and so is its section [cloud]",
      "4:1 cluster.version: version is not known in [cluster]",
      "6:2 deployment: deployment is not known",
    ]);
  });

  it("lacking a section is told its required keys, and an empty file both", () => {
    expect(faults("")).toEqual([
      "1:1 cluster.name: name is missing, and so is its section [cluster]",
      "1:1 cloud.provider: provider is missing, and so is its section [cloud]",
    ]);
    expect(faults('[cluster]\nsize = 3\n[cloud]\nprovider = "local"')).toEqual([
      "1:2 cluster.name: name is missing in [cluster]",
    ]);
  });

  it("for a cloud lacks what the cloud needs", () => {
    expect(faults('[cluster]\nname = "a"\n[cloud]\nprovider = "aws"\n')).toEqual([
      "1:1 security.cluster_secret: cluster_secret is missing, and provider aws needs it",
      "3:2 cloud.region: region is missing, and provider aws needs it",
      "3:2 cloud.instance_type: instance_type is missing, and provider aws needs it",
    ]);
  });

  it.each([
    [`${local}[raft]\nelection_ticks = 9\n`, "6:1 raft.election_ticks: election_ticks is too small: 9"],
    [`${local}[raft]\nheartbeat_ticks = 5\n`, "5:2 raft.election_ticks: election_ticks is too small: 20"],
    [`${local}[raft]\ntick_ms = 2.5\n`, "6:1 raft.tick_ms: tick_ms is a number"],
    [`${local}[local]\nbase_port = 80\n`, "6:1 local.base_port: base_port does not fit: 80"],
    [`${local}[local]\nbase_port = 65530\n`, "6:1 local.base_port: base_port does not fit: 65530"],
    [`${local}[history]\nkeep = 99\n`, "6:1 history.keep: keep does not fit: 99"],
    [`${local}[security]\ncluster_secret = "short"\n`, "6:1 security.cluster_secret: cluster_secret does not fit"],
    [`raft = 3\n${local}`, "1:1 raft: [raft] is a whole number"],
    [`${local}[cluster.more]\na = 1\n`, "5:10 cluster.more: more is not known in [cluster]"],
    ['[cluster]\nname = "a"\n[cloud]\nprovider = "hetzer"\n', '4:1 cloud.provider: provider does not fit: "hetzer"'],
    ['[cluster]\nname = "a"\nsize = 9\n[cloud]\nprovider = "local"\n', "3:1 cluster.size: size does not fit: 9"],
    ['[cluster]\nname = true\n[cloud]\nprovider = "local"\n', "2:1 cluster.name: name is true or false"],
    [
      '[cluster]\nname = "${secrets:cluster/secret}"\n[cloud]\nprovider = "local"\n',
      "2:1 cluster.name: cluster.name is stored and shown, so it cannot hold a secret",
    ],
  ])("%j has one fault", (text, fault) => {
    expect(faults(text, secrets)).toEqual([fault]);
  });

  it("is refused when it is longer than anybody would write", () => {
    expect(faults(`# ${"x".repeat(300_000)}`)).toEqual(["1:1 : the file is too long"]);
  });
});

describe("what may be stored of a file", () => {
  it("has references in place of what they gave, but for what machines are made from, and defaults filled in", () => {
    const text =
      '[cluster]\nname = "a"\n[cloud]\nprovider = "aws"\nregion = "eu-${env:R}"\ninstance_type = "m7g"\n' +
      '[security]\ncluster_secret = "${secrets:cluster/secret}"\n';
    const c = read(text, { ...secrets, env: { ...secrets.env, R: "west-1" } });
    expect(c.cloud.region).toBe("eu-west-1");
    const defaults = { node_port: 7400, public_ip: true, heal_after: "off", node_credentials: "identity", spot: false };
    expect(redactConfiguration(c)).toEqual({
      cluster: { name: "a", size: 3 },
      cloud: { provider: "aws", region: "eu-west-1", instance_type: "m7g", ...defaults },
      aws: {},
      security: { cluster_secret: "${secrets:cluster/secret}" },
      local: {},
      raft: { tick_ms: 50, election_ticks: 20, heartbeat_ticks: 2 },
      history: { keep: 100_000 },
      backup: { enabled: true, interval: "1h", debounce: "30s", remote_user: "git", keep: 10_000 },
    });
  });

  it("lacks a secret that stood in the file in clear", () => {
    const c = read(`${local}[security]\ncluster_secret = "in clear, sadly"\n`);
    expect(JSON.stringify(redactConfiguration(c))).not.toContain("sadly");
  });
});

describe("a secret", () => {
  const keys = [
    "cluster.name",
    "cluster.size",
    "cloud.provider",
    "cloud.region",
    "security.cluster_secret",
    "local.data_dir",
    "raft.tick_ms",
    "backup.remote",
    "security.other",
    "more.key",
  ];
  const secret = fc
    .string({ minLength: 12, maxLength: 40, unit: "grapheme" })
    .filter((text) => text.trim().length > 10 && !text.includes("${"));

  it("never shows in errors, in what may be stored, or in the configuration when it is printed", () => {
    fc.assert(
      fc.property(
        secret,
        fc.subarray(keys),
        fc.constantFrom("", "x-", "${env:NONE}"),
        fc.boolean(),
        (value, chosen, before, asFile) => {
          const tree: Record<string, string[]> = { cluster: [], cloud: [] };
          for (const key of chosen) {
            const [section = "", name = ""] = key.split(".");
            (tree[section] ??= []).push(`${name} = "${before}\${secrets:the/secret}"`);
          }
          if (!chosen.includes("cluster.name")) tree["cluster"]?.push('name = "a"');
          if (!chosen.includes("cloud.provider")) tree["cloud"]?.push('provider = "local"');
          const text = Object.entries(tree).map(([section, lines]) => `[${section}]\n${lines.join("\n")}\n`);
          const sources: ReferenceSources = asFile
            ? { env: {}, readSecret: (path) => (path === "the/secret" ? value : undefined) }
            : { env: { AETHER_SECRET_THE_SECRET: value }, readSecret: () => undefined };
          const parsed = parseClusterFile(text.join(""), sources);
          const shown =
            "ok" in parsed
              ? [inspect(parsed.ok, { depth: 9 }), JSON.stringify(parsed.ok), JSON.stringify(redactConfiguration(parsed.ok))]
              : [JSON.stringify(parsed.errors), ...parsed.errors.map((error) => renderConfigError("c", error))];
          const forms = [value, JSON.stringify(value).slice(1, -1)];
          for (const form of forms) expect(shown.some((words) => words.includes(form))).toBe(false);
          const allowed = chosen.every((key) => key === "security.cluster_secret") && before !== "${env:NONE}";
          if (chosen.length > 0) expect("ok" in parsed).toBe(allowed);
        },
      ),
      { numRuns: 300 },
    );
  });
});
