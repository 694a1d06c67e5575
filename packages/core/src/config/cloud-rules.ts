/** What keys of the cluster file's cloud sections say about each other. */
import { cloudNames, environmentKeys } from "./cloud-settings.ts";
import type { Path } from "./positions.ts";

export interface RuleFault {
  readonly path: Path;
  readonly message: string;
  readonly expected: string;
}

type Tree = Readonly<Record<string, unknown>>;

const isTable = (value: unknown): value is Tree => typeof value === "object" && value !== null && !Array.isArray(value);
const countOf = (value: unknown): number => (Array.isArray(value) ? value.length : 0);

/** All of them, for a file whose provider is one of the known ones. */
export function cloudFaults(tree: Tree): readonly RuleFault[] {
  const cloud = isTable(tree["cloud"]) ? tree["cloud"] : {};
  const provider = String(cloud["provider"]);
  const faults: RuleFault[] = cloudNames
    .filter((name) => name !== provider && tree[name] !== undefined)
    .map((name) => ({
      path: [name],
      message: `section [${name}] stands there, and the provider is ${provider}`,
      expected: provider === "local" ? "no section of a cloud's" : `[${provider}], or [cloud] provider = "${name}"`,
    }));
  if (provider === "local") return faults;
  const fault = (key: string, message: string, expected: string) => faults.push({ path: ["cloud", key], message, expected });
  if (provider === "hetzner" && cloud["node_credentials"] === "identity")
    fault("node_credentials", "node_credentials is identity, and hetzner's machines have none", 'node_credentials = "forward"');
  if (provider === "gcp" && cloud["node_credentials"] === "forward")
    fault("node_credentials", "node_credentials is forward, and gcp's are a file of this computer", "[gcp] service_account");
  if (provider === "hetzner" && cloud["spot"] === true)
    fault("spot", "spot is true, and hetzner has no such machines", "spot = false");
  const others = cloud["other_instance_types"];
  if (Array.isArray(others) && others.includes(cloud["instance_type"]))
    fault("other_instance_types", "other_instance_types repeats instance_type", "only other ones");
  if (provider === "aws" && isTable(tree["aws"])) faults.push(...awsFaults(cloud, tree["aws"]));
  if (
    cloud["public_ip"] === false &&
    provider === "hetzner" &&
    (!isTable(tree["hetzner"]) || tree["hetzner"]["network"] === undefined)
  )
    fault("public_ip", "public_ip is false, and there is no [hetzner] network", "a network, or public_ip = true");
  return faults;
}

function awsFaults(cloud: Tree, aws: Tree): readonly RuleFault[] {
  const [subnets, zones] = [countOf(aws["subnets"]), countOf(cloud["zones"])];
  const faults: RuleFault[] = [];
  if (subnets > 0 && subnets !== Math.max(1, zones)) {
    const message = `${subnets} subnets for ${zones} zones`;
    faults.push({ path: ["aws", "subnets"], message, expected: "one for each of [cloud] zones, in the same order" });
  }
  if (aws["key_name"] !== undefined && countOf(cloud["ssh_keys"]) > 0)
    faults.push({
      path: ["aws", "key_name"],
      message: "key_name and [cloud] ssh_keys both stand there",
      expected: "one of them",
    });
  return faults;
}

/** The tree with what the environment says where the file says nothing; only for the chosen provider. */
export function withEnvironment(tree: Tree, env: Readonly<Record<string, string | undefined>>): Tree {
  const cloud = isTable(tree["cloud"]) ? tree["cloud"] : {};
  const provider = cloud["provider"];
  if (!cloudNames.some((name) => name === provider)) return tree;
  const filled: Record<string, unknown> = { ...tree };
  for (const { section, key, variable } of environmentKeys) {
    const value = Object.hasOwn(env, variable) ? (env[variable] ?? "") : "";
    const table = filled[section] ?? {};
    if (value === "" || (section !== "cloud" && section !== provider) || !isTable(table) || table[key] !== undefined) continue;
    filled[section] = { ...table, [key]: value };
  }
  return filled;
}
