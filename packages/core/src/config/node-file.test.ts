import { describe, expect, it } from "vitest";
import { backupDefaults } from "./backup-settings.ts";
import { parseNodeFile } from "./node-file.ts";

const file = {
  cluster: { id: "ab".repeat(16), name: "home" },
  node: { name: "n2", member: 2 },
  listen: { host: "127.0.0.1", port: 7402 },
  advertise: "127.0.0.1:7402",
  dataDir: "/var/lib/aether",
  seeds: [{ name: "n1", member: 1, address: "127.0.0.1:7401" }],
  tls: { ca: "file:/etc/aether/ca.pem", certificate: "-----BEGIN CERTIFICATE-----\n…", key: "file:/etc/aether/key.pem" },
};
const errorsOf = (value: unknown): readonly string[] => {
  const parsed = parseNodeFile(JSON.stringify(value));
  return "errors" in parsed ? parsed.errors : [];
};

describe("the daemon's configuration", () => {
  it("needs no timing: the defaults are filled in", () => {
    expect(parseNodeFile(JSON.stringify(file))).toEqual({
      ok: {
        ...file,
        routes: {},
        raft: { tickMs: 50, electionTicks: 20, heartbeatTicks: 2 },
        history: { keep: 100_000 },
        backup: { ...backupDefaults, remoteToken: null },
        fleet: null,
      },
    });
    expect(parseNodeFile(JSON.stringify({ ...file, raft: { tickMs: 25 } }))).toMatchObject({
      ok: { raft: { tickMs: 25, electionTicks: 20 } },
    });
  });

  it("names every field that is wrong at once, and what it should be", () => {
    const errors = errorsOf({
      ...file,
      listen: { host: "127.0.0.1", port: 0 },
      advertise: "nowhere",
      tls: { ...file.tls, key: "x" },
      raft: {},
      extra: 1,
    });
    expect(errors).toEqual([
      'field "extra" is not known',
      'field "listen.port": expected a whole number from 1 to 65535',
      'field "advertise": expected host:port, for example "127.0.0.1:7401"',
      'field "tls.key": expected PEM text, or "file:" and the path of a PEM file',
    ]);
  });

  it("names the file of the backups' token, and never holds the token", () => {
    const of = (remoteToken: string) => ({ ...file, backup: { remote: "/mnt/b.git", remoteToken } });
    expect(parseNodeFile(JSON.stringify(of("file:/etc/aether/token")))).toMatchObject({
      ok: { backup: { remote: "/mnt/b.git", remoteToken: "file:/etc/aether/token", enabled: true } },
    });
    expect(errorsOf(of("ghp_abcdef"))).toEqual([
      'field "backup.remoteToken": expected "file:" and the path of the token\'s file',
    ]);
  });

  it("refuses an election timeout that one lost heartbeat could start", () => {
    const errors = errorsOf({ ...file, raft: { electionTicks: 9, heartbeatTicks: 2 } });
    expect(errors).toEqual([expect.stringMatching(/^field "raft.electionTicks": expected at least 10/)]);
  });

  it("knows where to dial instead of what a member advertises", () => {
    const routes = { "10.0.0.1:7401": "203.0.113.7:17401" };
    expect(parseNodeFile(JSON.stringify({ ...file, routes }))).toMatchObject({ ok: { routes } });
    const errors = errorsOf({ ...file, routes: { "10.0.0.1:7401": "nowhere" } });
    expect(errors).toEqual([expect.stringMatching(/^field "routes.*": expected host:port/)]);
  });

  it("never repeats a private key in its errors", () => {
    const errors = errorsOf({ ...file, dataDir: 7, tls: { ...file.tls, key: "MIIsecret", keyy: "MIIsecret" } });
    expect(errors.length).toBe(3);
    expect(errors.join()).not.toContain("MIIsecret");
    expect(parseNodeFile("{MIIsecret")).toEqual({ errors: ["the text is not JSON"] });
  });
});
