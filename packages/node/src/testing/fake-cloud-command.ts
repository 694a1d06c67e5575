/**
 * `npm run fake-cloud -- VENDOR`: a cloud on this computer until Ctrl-C, for trying out the commands for clouds. It prints what to export first.
 */
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { fakeVendors, openFakeCloud, type FakeVendor } from "./fake-cloud.ts";

const usage = `npm run fake-cloud -- VENDOR [--quiet]

A vendor's API on this computer, until Ctrl-C. What it makes are folders and real aetherd processes on addresses of 127.0.0.0/8; all of it is
gone at the end. Shows a line for each call unless --quiet.

VENDOR is one of ${fakeVendors.join(", ")}.

Example:
  npm run fake-cloud -- hetzner           in one terminal; type what it prints in another one, and then
  aether cluster bootstrap --config fixtures/clusters/hetzner.toml
`;

const [vendor, ...options] = process.argv.slice(2);
const isVendor = (text: string | undefined): text is FakeVendor =>
  (fakeVendors as readonly (string | undefined)[]).includes(text);
if (!isVendor(vendor) || options.some((option) => option !== "--quiet")) {
  process.stderr.write(usage);
  process.exit(vendor === "--help" ? 0 : 2);
}

const packages = resolve(import.meta.dirname, "../..");
const built = join(packages, "dist/aetherd.js");
const entry = existsSync(built) ? built : join(packages, "src/aetherd.ts");
const folder = mkdtempSync(join(tmpdir(), "aether-cloud-"));
const isQuiet = options.includes("--quiet");
const onCall = (call: string, status: number): void => {
  if (!isQuiet) process.stdout.write(`${new Date().toISOString().slice(11, 23)} ${status} ${call}\n`);
};
const cloud = await openFakeCloud(vendor, { folder, entry, onCall });

process.stdout.write(`# ${vendor} on this computer, machines in ${folder}; type in another terminal:\n`);
for (const [name, value] of Object.entries(cloud.env)) process.stdout.write(`export ${name}='${value}'\n`);
process.stdout.write("# Ctrl-C ends it, and every machine with it\n");

let isEnding = false;
const end = async (): Promise<void> => {
  if (isEnding) return;
  isEnding = true;
  const count = cloud.room.machines.size;
  await cloud.close();
  rmSync(folder, { recursive: true, force: true });
  process.stdout.write(`ended, and ${count} machines with it\n`);
  for (const violation of cloud.violations()) process.stdout.write(`against the vendor's model: ${violation}\n`);
  process.exit(0);
};
process.on("SIGINT", () => void end());
process.on("SIGTERM", () => void end());
