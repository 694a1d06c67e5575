/**
 * The vendors' own command lines (Debian's packages awscli and hcloud-cli) against our fakes: what they make our providers see, and the
 * other way round. A fake that only our own client understands would prove little. Skipped, loudly, where they are not installed.
 */
import { execFile } from "node:child_process";
import { accessSync, constants, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { promisify } from "node:util";
import { seconds } from "effect/Duration";
import { runPromise, type Effect } from "effect/Effect";
import { value as reveal } from "effect/Redacted";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { clusterLabels } from "./labels.ts";
import type { CloudError, CloudProvider } from "./provider.ts";
import { fakeDefaults as awsDefaults } from "./testing/aws/fake.ts";
import { awsSpec, cluster, makeAwsWorld, type AwsWorld } from "./testing/aws/world.ts";
import { edgePem } from "./testing/edge-pem.ts";
import { fakeDefaults as hetznerDefaults } from "./testing/hetzner/fake.ts";
import { hetznerSpec, makeHetznerWorld, type HetznerWorld } from "./testing/hetzner/world.ts";
import { serveFake, type ServedFake } from "./testing/http-fake.ts";

const run = <A>(effect: Effect<A, CloudError>): Promise<A> => runPromise(effect);
const mine = clusterLabels(cluster.name);
/** Python takes seconds to start on a busy machine, and each command starts it anew. */
const timeout = 240_000;

/** Debian's own before any other of the same name; null, said aloud, when there is none. */
function toolNamed(name: string, packageName: string): string | null {
  const found = ["/usr/bin", ...(process.env["PATH"] ?? "").split(delimiter)].map((folder) => join(folder, name)).find(canRun);
  if (found === undefined) console.warn(`SKIPPED: ${name} is not installed (apt-get install ${packageName})`);
  return found ?? null;
}

function canRun(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

/** What a command prints; the fake answers meanwhile in this very process. */
async function outputOf(tool: string | null, args: readonly string[], env: Record<string, string>): Promise<string> {
  if (tool === null) throw new Error("the test is skipped without its tool");
  const { stdout } = await promisify(execFile)(tool, args, {
    env: { PATH: process.env["PATH"] ?? "", ...env },
    timeout: 120_000,
  });
  return stdout;
}

const instantly = { bootMs: 0, lagMs: 0, now: Date.now };
const aws = toolNamed("aws", "awscli");
const hcloud = toolNamed("hcloud", "hcloud-cli");

describe.skipIf(aws === null)("AWS's own command line", () => {
  let world: AwsWorld;
  let served: ServedFake;
  let home = "";
  beforeEach(async () => {
    world = makeAwsWorld({ ...instantly, stopMs: 0, terminateMs: 0 });
    served = await serveFake(world.fake, "", () => undefined);
    home = mkdtempSync(join(tmpdir(), "aether-awscli-"));
  });
  afterEach(async () => {
    rmSync(home, { recursive: true });
    await served.close();
    // Among it that every request of theirs fits the slices of the vendor's models.
    await world.close();
  });
  const say = async (...args: readonly string[]): Promise<unknown> => {
    const { accessKeyId: AWS_ACCESS_KEY_ID, secretAccessKey: AWS_SECRET_ACCESS_KEY } = awsDefaults.keys;
    const env = { HOME: home, AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_EC2_METADATA_DISABLED: "true", AWS_PAGER: "" };
    const where = ["--endpoint-url", served.url, "--region", awsDefaults.region, "--output", "json"];
    const text = await outputOf(aws, [...where, ...args], env);
    return text.trim() === "" ? null : (JSON.parse(text) as unknown);
  };
  const file = (name: string, text: string): string => {
    writeFileSync(join(home, name), text);
    return `fileb://${join(home, name)}`;
  };

  it("and our provider see the same machines, and either ends what the other made", { timeout }, async () => {
    const { compute } = world.provider;
    expect(await say("sts", "get-caller-identity")).toMatchObject({ Account: "123456789012" });
    const tags = Object.entries({ ...mine, "aether-node": "n1" }).map(([Key, Value]) => `{Key=${Key},Value=${Value}}`);
    const specification = `ResourceType=instance,Tags=[${tags.join(",")}]`;
    const create = ["--image-id", "ami-0123456789abcdef0", "--instance-type", "t4g.small", "--user-data", "#cloud-config"];
    const made = await say("ec2", "run-instances", ...create, "--client-token", "t-1", "--tag-specifications", specification);
    const [theirs] = await run(compute.list(mine));
    expect(made).toMatchObject({ Instances: [{ InstanceId: theirs?.id }] });
    const { instance: ours } = await run(compute.ensure(awsSpec("n2")));
    const ids = ["--filters", "Name=tag:aether-managed,Values=true", "--query", "Reservations[].Instances[].InstanceId"];
    expect(await say("ec2", "describe-instances", ...ids)).toEqual([theirs?.id, ours.id]);
    await say("ec2", "terminate-instances", "--instance-ids", ours.id);
    if (theirs === undefined) throw new Error("one was made");
    expect(await run(compute.delete(theirs.id))).toBe("deleted");
    expect(await run(compute.list(mine))).toEqual([]);
  });

  it("and our provider see the same target groups, secrets and certificates", { timeout }, async () => {
    const { compute, loadBalancers, secrets, certificates } = edgeOf(world.provider);
    world.fake.elb.addGroup("edge");
    const { instance } = await run(compute.ensure(awsSpec("n1")));
    const groups = await say("elbv2", "describe-target-groups", "--names", "edge", "--query", "TargetGroups[].TargetGroupArn");
    const [arn = ""] = groups as readonly string[];
    await say("elbv2", "register-targets", "--target-group-arn", arn, "--targets", `Id=${instance.id}`);
    expect((await run(loadBalancers.targets("edge"))).map(({ instance: id }) => id)).toEqual([instance.id]);
    await run(loadBalancers.reconcile("edge", mine, []));
    const health = await say("elbv2", "describe-target-health", "--target-group-arn", arn);
    expect(health).toMatchObject({ TargetHealthDescriptions: [{ TargetHealth: { State: "draining" } }] });
    world.fake.secrets.put("a/b", "the value");
    expect(await say("secretsmanager", "get-secret-value", "--secret-id", "a/b")).toMatchObject({ SecretString: "the value" });
    expect(reveal((await run(secrets.resolve({ path: "a/b" }))).value)).toBe("the value");
    const pem = [file("chain.pem", edgePem.chain), file("key.pem", reveal(edgePem.key))] as const;
    const named = Object.entries({ ...mine, "aether-certificate": "edge" }).map(([key, value]) => `Key=${key},Value=${value}`);
    const imported = await say("acm", "import-certificate", "--certificate", pem[0], "--private-key", pem[1], "--tags", ...named);
    expect(imported).toMatchObject({ CertificateArn: (await run(certificates.list(mine)))[0]?.ref });
    const { ref } = await run(certificates.ensure("issued", ["a.example"], mine));
    expect(await say("acm", "describe-certificate", "--certificate-arn", ref)).toMatchObject({
      Certificate: { DomainName: "a.example", Status: "PENDING_VALIDATION" },
    });
  });
});

function edgeOf({ compute, loadBalancers, secrets, certificates }: CloudProvider) {
  if (loadBalancers === undefined || secrets === undefined || certificates?.list === undefined)
    throw new Error("AWS has an edge");
  return { compute, loadBalancers, secrets, certificates: { ...certificates, list: certificates.list } };
}

describe.skipIf(hcloud === null)("Hetzner's own command line", () => {
  let world: HetznerWorld;
  let served: ServedFake;
  let home = "";
  beforeEach(async () => {
    world = makeHetznerWorld({ ...instantly, actionMs: 0, deleteMs: 0 });
    served = await serveFake(world.fake, "/v1", () => undefined);
    home = mkdtempSync(join(tmpdir(), "aether-hcloud-"));
  });
  afterEach(async () => {
    rmSync(home, { recursive: true });
    await served.close();
    await world.close();
  });
  const say = (...args: readonly string[]): Promise<string> =>
    outputOf(hcloud, args, { HOME: home, HCLOUD_ENDPOINT: served.url, HCLOUD_TOKEN: hetznerDefaults.token });

  it("and our provider see the same servers and load balancers", { timeout }, async () => {
    const { compute, loadBalancers } = world.provider;
    if (loadBalancers === undefined) throw new Error("Hetzner has load balancers");
    world.fake.addBalancer("edge");
    const { instance } = await run(compute.ensure(hetznerSpec("n1")));
    await run(compute.ensure(hetznerSpec("n2")));
    const selector = Object.entries(mine).map(([key, value]) => `${key}=${value}`);
    const list = async () =>
      (await say("server", "list", "-l", selector.join(","), "-o", "noheader", "-o", "columns=name")).split("\n");
    expect((await list()).filter((name) => name !== "")).toEqual(["conform-n1", "conform-n2"]);
    expect(JSON.parse(await say("server", "describe", "conform-n1", "-o", "json"))).toMatchObject({ id: Number(instance.id) });
    await say("server", "add-label", "conform-n1", "team=web");
    await say("load-balancer", "add-target", "edge", "--server", "conform-n1");
    expect((await run(loadBalancers.targets("edge"))).map(({ instance: id }) => id)).toEqual([instance.id]);
    await run(loadBalancers.deregister("edge", [instance.id], seconds(0)));
    await say("server", "delete", "conform-n2");
    expect((await run(compute.list(mine))).map(({ name }) => name)).toEqual(["n1"]);
  });
});
