/** The bundle as a new machine gets it: fetched over HTTP, checked, unpacked, and run without anything of this checkout. */
import { mkdtempSync, readFileSync, realpathSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { make as redact, value as reveal } from "effect/Redacted";
import { expect, it } from "vitest";
import { makeBirths } from "@aether/node/enrolment/birth";
import { enrol } from "@aether/node/enrolment/enrol";
import { freePort } from "@aether/node/testing/cluster-harness";
import { openMachineRoom } from "@aether/node/testing/machine-room";
import { bundleFiles } from "./bundle-files.ts";
import { writeTarball } from "./tarball.ts";

const root = resolve(import.meta.dirname, "../../../..");
const daemon = join(root, "packages/node/dist/aetherd.js");
const cluster = { id: "00112233445566778899aabbccddeeff", name: "prod" };

it("the bundle makes a node of a machine that has nothing of ours", async () => {
  const folder = mkdtempSync(join(tmpdir(), "aether-bundle-"));
  const file = join(folder, "aether.tar.gz");
  const parts = { node: process.execPath, daemon, root, platform: process.platform, arch: process.arch };
  // Stored and not squeezed: what gzip costs is not the question.
  const bundle = { file, sha256: (await writeTarball(file, bundleFiles(parts), 0)).sha256 };
  const room = await openMachineRoom({ folder: join(folder, "room"), entry: daemon, bundle });
  try {
    const nodePort = await freePort();
    const births = await makeBirths({
      cluster,
      secret: redact("a-cluster-secret"),
      settings: { nodePort, bundleUrl: room.bundleUrl },
      machineOf: ({ size }) => ({ size, image: "debian-12", publicIp: true, networks: [], firewalls: [], sshKeys: [] }),
      daemon: { raft: {}, history: {}, backup: { enabled: false } },
      files: { backupToken: null, providerEnv: null },
    });
    const { userData } = births.specOf({ node: "n1", attempt: 1, zone: "a", size: "s" });
    const address = `${room.boot({ id: "srv-1", name: "prod-n1", userData: reveal(userData) })}:${nodePort}`;
    const identity = births.identityOf({ node: "n1", member: 1, advertise: address, seeds: [] });
    const maker = { address, birth: births.birthOf({ node: "n1", attempt: 1 }), identity, withinMs: 60_000 };
    expect(await enrol(maker)).toBe("enrolled");
    // Only the daemon itself, its native modules loaded, answers with the certificate that it was given.
    expect(await enrol(maker)).toBe("already");
    const machine = room.machines.get("srv-1");
    const log = readFileSync(machine?.logFile ?? "", "utf8");
    expect(log).toContain("listening");
    expect(realpathSync(`/proc/${machine?.pid}/exe`)).toBe(join(realpathSync(machine?.root ?? ""), "opt/aether/bin/node"));
  } finally {
    await room.close();
    rmSync(folder, { recursive: true, force: true });
  }
});
