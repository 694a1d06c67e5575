/**
 * `npm run fake-cloud -- VENDOR`: a cloud on this computer until Ctrl-C, for trying out the commands for clouds. What it makes are folders, and
 * real daemons on addresses of 127.0.0.0/8; it prints first what to export in another terminal.
 */
import { existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { serveFake, type VendorFake } from "@aether/cloud/testing/http-fake";
import type { Machines } from "@aether/cloud/testing/machines";
import { openMachineRoom } from "@aether/node/testing/machine-room";
import { aws, azure, gcp, hetzner, type Vendor } from "./cloud-vendors.ts";

const vendors: Readonly<Record<string, (machines: Machines) => Vendor>> = { hetzner, aws, gcp, azure };
const names = Object.keys(vendors);
const usage = `npm run fake-cloud -- VENDOR [--quiet]

A vendor's API on this computer until Ctrl-C, with machines that really run. All of it is gone at the end.
Shows a line for each call, unless --quiet. VENDOR is one of ${names.join(", ")}.

Example:
  npm run fake-cloud -- hetzner    in one terminal; type what it prints in another one, and then what it proposes
`;

const [name = "", ...options] = process.argv.slice(2);
const vendorOf = Object.hasOwn(vendors, name) ? vendors[name] : undefined;
if (vendorOf === undefined || options.some((option) => option !== "--quiet")) {
  process.stderr.write(usage);
  process.exit(name === "--help" ? 0 : 2);
}

const packages = resolve(import.meta.dirname, "../../..");
const built = join(packages, "node/dist/aetherd.js");
const folder = mkdtempSync(join(tmpdir(), "aether-cloud-"));
let machineEnv: Readonly<Record<string, string>> = {};
const room = await openMachineRoom({
  folder: join(folder, "machines"),
  entry: existsSync(built) ? built : join(packages, "node/src/aetherd.ts"),
  env: () => machineEnv,
});
const vendor = vendorOf(room);
const isQuiet = options.includes("--quiet");
const heard: VendorFake = {
  refusal: vendor.fake.refusal,
  handle: (request) => {
    const response = vendor.fake.handle(request);
    const action = /Action=(\w+)/.exec(Buffer.from(request.body ?? "").toString())?.[1];
    const what = request.headers["x-amz-target"] ?? action ?? `${request.method} ${request.url.pathname}${request.url.search}`;
    if (!isQuiet) process.stdout.write(`${new Date().toISOString().slice(11, 23)} ${response.status} ${what}\n`);
    return response;
  },
};
const api = await serveFake(heard, vendor.prefix, () => undefined);
const served = [api];
if (vendor.metadata !== undefined) served.push(await serveFake(vendor.metadata, "", () => undefined));
machineEnv = vendor.machineEnv(served.at(1)?.url ?? "");

const file = join(folder, "cluster.toml");
writeFileSync(
  file,
  `[cluster]\nname = "tryout"\nsize = 3\n\n[security]\ncluster_secret = "\${secrets:cluster/secret}"\n\n[backup]\nenabled = false\n\n${vendor.toml}`,
);
const env = {
  ...vendor.operatorEnv(api.url, folder),
  // A vendor's minutes pass quickly here, and with them the waits of those who know how long a vendor takes.
  AETHER_CLOUD_PACE: "0.02",
  AETHER_BUNDLE_URL: room.bundleUrl,
  AETHER_SECRET_CLUSTER_SECRET: "a-secret-for-trying-out",
  AETHER_HOME: join(folder, "home"),
  CLUSTER_FILE: file,
};
process.stdout.write(`# ${name} on this computer; type in another terminal:\n`);
for (const [key, value] of Object.entries(env)) process.stdout.write(`export ${key}='${value}'\n`);
process.stdout.write(`npx aether cluster bootstrap --config "$CLUSTER_FILE"\n`);
process.stdout.write("# Ctrl-C ends it, and every machine with it\n");

let isEnding = false;
const end = async (): Promise<void> => {
  if (isEnding) return;
  isEnding = true;
  const count = room.machines.size;
  await room.close();
  await Promise.all(served.map((one) => one.close()));
  rmSync(folder, { recursive: true, force: true, maxRetries: 3 });
  process.stdout.write(`ended, and ${count} machines with it\n`);
  for (const violation of new Set(vendor.violations())) process.stdout.write(`against the vendor's model: ${violation}\n`);
  process.exit(0);
};
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.on(signal, () => void end());
