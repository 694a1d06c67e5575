/**
 * The policies in docs/providers/ against what the providers ask: every call that the suites make, and those of a machine with all that
 * a file can give it. Nothing is missing in a policy and nothing is too much.
 */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { seconds } from "effect/Duration";
import { runPromise } from "effect/Effect";
import { describe, expect, it } from "vitest";
import type { HttpRequest } from "./http/transport.ts";
import type { CloudProvider, InstanceSpec, MachineSpec } from "./provider.ts";
import { actionOf, serviceOf } from "./testing/aws/front.ts";
import { awsSpec, makeAwsWorld } from "./testing/aws/world.ts";
import { conformance, type CloudWorld } from "./testing/conformance.ts";
import { edgeConformance, type EdgeWorld } from "./testing/edge-conformance.ts";
import { checkGcpRequest, seenRequest } from "./testing/gcp/model.ts";
import { gcpSpec, makeGcpWorld, placeOf } from "./testing/gcp/world.ts";
import { makeHetznerWorld } from "./testing/hetzner/world.ts";
import type { FaultPlan } from "./testing/http-fake.ts";

const pageOf = (name: string): string => readFileSync(join(import.meta.dirname, `../../../docs/providers/${name}.md`), "utf8");

/** The one block of that kind on a page. */
function blockOf(page: string, kind: string): string {
  const blocks = [...page.matchAll(new RegExp(`^\`\`\`${kind}\\n(.*?)\\n\`\`\`$`, "gms"))].map(([, block = ""]) => block);
  if (blocks.length !== 1) throw new Error(`${blocks.length} blocks of ${kind}`);
  return blocks[0] ?? "";
}

/** The calls of all that the suites do, and what goes on for as long as tests of this file run. */
class Recorder {
  readonly calls = new Set<string>();
  readonly plan: FaultPlan;
  constructor(nameOf: (request: HttpRequest) => string) {
    this.plan = (request) => void this.calls.add(nameOf(request));
  }

  /** The same place, seen through clients that are listened to. */
  world<W extends CloudWorld & { client(plan?: FaultPlan): CloudProvider }>(world: W): W {
    return { ...world, provider: world.client(this.plan), another: world.client(this.plan) };
  }

  suites(name: string, makeWorld: () => EdgeWorld): void {
    conformance(`${name}, listened to`, () => Promise.resolve(makeWorld()));
    edgeConformance(`${name}, listened to`, () => Promise.resolve(makeWorld()));
  }
}

/** A machine with everything, looked for, made and deleted. */
async function richLife({ compute, preflight }: CloudProvider, spec: InstanceSpec, extra: Partial<MachineSpec>): Promise<void> {
  const { machine } = spec;
  if (machine === undefined) throw new Error("a cloud's spec has a machine");
  await runPromise(preflight);
  const { instance } = await runPromise(compute.ensure({ ...spec, machine: { ...machine, ...extra } }));
  await runPromise(compute.awaitState(instance.id, ["running"], seconds(600)));
  await runPromise(compute.delete(instance.id));
}

const sorted = (names: Iterable<string>): readonly string[] => [...names].toSorted();

describe("Hetzner's token", () => {
  const recorder = new Recorder(({ method, url }) => `${method} ${url.pathname.replace(/^\/v1/, "").replaceAll(/\d+/g, "{id}")}`);
  recorder.suites("hetzner", () => recorder.world(makeHetznerWorld()));

  it("is for the calls that the page lists, and needs the right to write", () => {
    const page = pageOf("hetzner");
    expect(sorted(recorder.calls)).toEqual(sorted(blockOf(page, "calls").split("\n")));
    expect(sorted(recorder.calls).some((call) => !call.startsWith("GET "))).toBe(page.includes("permission **Read & Write**"));
  });
});

describe("the policy for AWS", () => {
  const prefixes = { ec2: "ec2", elbv2: "elasticloadbalancing", secretsmanager: "secretsmanager", acm: "acm", sts: "sts" };
  const recorder = new Recorder((request) => `${prefixes[serviceOf(request)]}:${actionOf(request)}`);
  recorder.suites("aws", () => recorder.world(makeAwsWorld()));
  /** What the vendor judges beside the call itself. */
  const implied: Readonly<Record<string, readonly string[]>> = {
    "ec2:RunInstances": ["ec2:CreateTags", "iam:PassRole"],
    "acm:RequestCertificate": ["acm:AddTagsToCertificate"],
  };
  /** Everybody may ask who he is. */
  const free = new Set(["sts:GetCallerIdentity"]);
  interface Statement {
    readonly Effect: string;
    readonly Action: string | readonly string[];
    readonly Condition?: Readonly<Record<string, unknown>>;
  }
  const statements = (JSON.parse(blockOf(pageOf("aws"), "json")) as { readonly Statement: readonly Statement[] }).Statement;

  it("allows what the provider asks, and nothing else", async () => {
    const { machine } = awsSpec("n1");
    const rich = { image: "debian-12", zone: "eu-central-1a", placementGroup: "spread", spot: true, identity: "aether-node" };
    const clients = [{ image: "ami-0123456789abcdef0" }, { networks: [] }].map((other) => {
      if (machine === undefined) throw new Error("awsSpec has a machine");
      return makeAwsWorld().client(recorder.plan, { machine: { ...machine, ...other } });
    });
    for (const client of clients) await richLife(client, awsSpec("n1"), rich);
    const needed = [...recorder.calls].flatMap((call) => [call, ...(implied[call] ?? [])]).filter((call) => !free.has(call));
    expect(statements.every(({ Effect }) => Effect === "Allow")).toBe(true);
    expect(sorted(new Set(statements.flatMap(({ Action }) => Action)))).toEqual(sorted(new Set(needed)));
  });

  it("lets nobody end what is not ours", () => {
    const ends = statements.filter(({ Action }) =>
      [Action].flat().some((action) => /Terminate|Stop|Reboot|DeleteTags/.test(action)),
    );
    expect(ends.map(({ Condition }) => Condition)).toEqual([{ StringEquals: { "aws:ResourceTag/aether-managed": "true" } }]);
  });
});

describe("the role for GCP", () => {
  const asked = new Set<string>();
  const recorder = new Recorder((request) => {
    // Tokens are fetched in forms, and need no permission.
    if (request.headers["content-type"]?.includes("form") === true || request.url.pathname === "/token") return "a token";
    const seen = seenRequest(request);
    const { permissions = [] } = (seen.body ?? {}) as { readonly permissions?: readonly string[] };
    for (const permission of permissions) asked.add(permission);
    return checkGcpRequest(seen).operation ?? `${seen.method} ${seen.path}`;
  });
  recorder.suites("gcp", () => recorder.world(makeGcpWorld()));
  const machine = "/compute/v1/projects/{project}/zones/{zone}/instances";
  const group = "/compute/v1/projects/{project}/zones/{zone}/networkEndpointGroups/{networkEndpointGroup}";
  const certificates = "/v1/projects/{project}/locations/{location}";
  const groupOf = (...verbs: readonly string[]) => verbs.map((verb) => `compute.networkEndpointGroups.${verb}`);
  const instance = (...verbs: readonly string[]) => verbs.map((verb) => `compute.instances.${verb}`);
  /** As the vendor's reference of its methods says; nobody here could ask it. */
  const needs: Readonly<Record<string, readonly string[]>> = {
    "a token": [],
    "POST /v3/projects/{project}/:testIamPermissions": [],
    "GET /compute/v1/projects/{project}": ["compute.projects.get"],
    "GET /compute/v1/projects/{project}/aggregated/instances": instance("list"),
    "GET /compute/v1/projects/{project}/aggregated/networkEndpointGroups": groupOf("list"),
    "GET /compute/v1/projects/{project}/global/images/{image}": ["compute.images.get"],
    "GET /compute/v1/projects/{project}/global/images/family/{family}": ["compute.images.getFromFamily"],
    "GET /compute/v1/projects/{project}/regions/{region}": ["compute.regions.get"],
    "GET /compute/v1/projects/{project}/zones/{zone}/machineTypes/{machineType}": ["compute.machineTypes.get"],
    "GET /compute/v1/projects/{project}/zones/{zone}/operations/{operation}": ["compute.zoneOperations.get"],
    [`POST ${machine}`]: [
      ...instance("create", "setLabels", "setMetadata", "setServiceAccount", "setTags"),
      ...["compute.disks.create", "compute.disks.setLabels", "compute.images.useReadOnly", "compute.resourcePolicies.use"],
      ...["compute.subnetworks.use", "compute.subnetworks.useExternalIp", "iam.serviceAccounts.actAs"],
    ],
    [`GET ${machine}/{instance}`]: instance("get"),
    [`DELETE ${machine}/{instance}`]: instance("delete"),
    ...Object.fromEntries(
      ["setLabels", "start", "stop", "reset", "resume"].map((verb) => [`POST ${machine}/{instance}/${verb}`, instance(verb)]),
    ),
    [`POST ${group}/attachNetworkEndpoints`]: [...groupOf("attachNetworkEndpoints"), ...instance("use")],
    [`POST ${group}/detachNetworkEndpoints`]: groupOf("detachNetworkEndpoints"),
    [`POST ${group}/listNetworkEndpoints`]: groupOf("get"),
    "GET /v1/projects/{project}/secrets/{secret}/versions/{version}/:access": ["secretmanager.versions.access"],
    [`GET ${certificates}/certificates`]: ["certificatemanager.certs.list"],
    [`POST ${certificates}/certificates`]: ["certificatemanager.certs.create", "certificatemanager.dnsauthorizations.use"],
    [`GET ${certificates}/certificates/{certificate}`]: ["certificatemanager.certs.get"],
    [`DELETE ${certificates}/certificates/{certificate}`]: ["certificatemanager.certs.delete"],
    [`POST ${certificates}/dnsAuthorizations`]: ["certificatemanager.dnsauthorizations.create"],
    [`GET ${certificates}/dnsAuthorizations/{authorization}`]: ["certificatemanager.dnsauthorizations.get"],
    [`DELETE ${certificates}/dnsAuthorizations/{authorization}`]: ["certificatemanager.dnsauthorizations.delete"],
    [`GET ${certificates}/operations/{operation}`]: ["certificatemanager.operations.get"],
  };

  it("allows what the provider asks, and nothing else", async () => {
    const world = makeGcpWorld();
    const extra = { identity: "nodes@fleet.iam.gserviceaccount.com", spot: true, firewalls: ["aether"] };
    const { machine: plain } = gcpSpec("n1");
    if (plain === undefined) throw new Error("gcpSpec has a machine");
    const own = { ...plain, image: "my-image", identity: extra.identity };
    await richLife(world.client(recorder.plan), gcpSpec("n1"), extra);
    await runPromise(world.client(recorder.plan, { machine: own }).preflight);
    // A person has suspended it, and Aether starts it.
    const { compute } = world.client(recorder.plan);
    const { instance: asleep } = await runPromise(compute.ensure(gcpSpec("n2")));
    await runPromise(compute.awaitState(asleep.id, ["running"], seconds(600)));
    world.fake.machines.get(...placeOf(asleep)).status = "SUSPENDED";
    await runPromise(compute.power(asleep.id, "start"));
    expect([...recorder.calls].filter((call) => needs[call] === undefined)).toEqual([]);
    expect(Object.keys(needs).filter((call) => !recorder.calls.has(call))).toEqual([]);
    const permissions = new Set([...recorder.calls].flatMap((call) => needs[call] ?? []));
    const role = [...blockOf(pageOf("gcp"), "yaml").matchAll(/^ {2}- ([\w.]+)$/gm)].map(([, permission = ""]) => permission);
    // Given for one account alone, by a role of the vendor's.
    expect(pageOf("gcp")).toContain("--role roles/iam.serviceAccountUser");
    expect(sorted([...role, "iam.serviceAccounts.actAs"])).toEqual(sorted(permissions));
    expect([...asked].filter((permission) => !permissions.has(permission))).toEqual([]);
    expect(asked.size).toBeGreaterThan(10);
  });
});
