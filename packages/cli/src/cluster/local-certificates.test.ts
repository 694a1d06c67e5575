import { X509Certificate } from "node:crypto";
import { mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { clusterLabels } from "@aether/cloud/labels";
import { deriveCa } from "@aether/node/identity/cluster-ca";
import { flip, runPromise } from "effect/Effect";
import { afterEach, beforeEach, expect, it } from "vitest";
import { clusterFolder } from "../context/home.ts";
import { localProvider } from "./local-cluster.ts";

let home: string;
beforeEach(() => (home = mkdtempSync(join(tmpdir(), "aether-certificates-"))));
afterEach(() => rmSync(home, { recursive: true, force: true }));

it("a local cluster's edge certificate is signed with the secret in its folder, and without one it says where it looked", async () => {
  const folder = clusterFolder(home, "dev");
  mkdirSync(folder.root, { recursive: true });
  const { certificates } = localProvider("dev", folder);
  if (certificates === undefined) throw new Error("the local provider has certificates");
  const ensure = certificates.ensure("edge", ["dev.example"], clusterLabels("dev"));
  const message = expect.stringContaining(folder.secret) as string;
  expect(await runPromise(flip(ensure))).toMatchObject({ _tag: "Unsupported", capability: "certificates", message });
  expect(readdirSync(join(folder.root, "certificates"))).toEqual([]);
  writeFileSync(folder.secret, "the secret of this cluster\n");
  expect(await runPromise(ensure)).toMatchObject({ state: "ready", domains: ["dev.example"] });
  const leaf = new X509Certificate(readFileSync(join(folder.root, "certificates", "edge.pem")));
  const { certificate } = await deriveCa("the secret of this cluster", "dev");
  expect(leaf.verify(new X509Certificate(certificate).publicKey)).toBe(true);
});
