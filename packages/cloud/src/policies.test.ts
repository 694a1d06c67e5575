/**
 * The policies in docs/providers/ against what the providers ask: every call that the suites make, and those of a machine with all that
 * a file can give it. Nothing is missing in a policy and nothing is too much.
 */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { seconds } from "effect/Duration";
import { runPromise } from "effect/Effect";
import { describe, expect, it } from "vitest";
import { neededActions } from "./azure/preflight.ts";
import type { HttpRequest } from "./http/transport.ts";
import type { CloudProvider, InstanceSpec, MachineSpec } from "./provider.ts";
import { azureModel, group as azureGroup, pagingNames } from "./testing/azure/fake.ts";
import { azureSpec, makeAzureWorld } from "./testing/azure/world.ts";
import { checkRequest } from "./testing/openapi-check.ts";
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

describe("the role for Azure", () => {
  const recorder = new Recorder(({ method, url }) => {
    if (url.pathname.endsWith("/token")) return "a token";
    if (url.pathname.includes("/operations/")) return "GET operation";
    const seen = { method, path: url.pathname, query: [...url.searchParams], body: undefined };
    return checkRequest(azureModel, seen, pagingNames).operation ?? `${method} ${url.pathname}`;
  });
  recorder.suites("azure", () => recorder.world(makeAzureWorld()));
  const ends: Readonly<Record<string, string>> = { GET: "read", PUT: "write", PATCH: "write", DELETE: "delete" };
  /** Where the vendor's words are other than the path's; of the vault's own data. */
  const special: readonly (readonly [call: RegExp, actions: readonly string[]])[] = [
    [/^a token$/, []],
    [/^GET operation$/, ["Microsoft.Compute/locations/operations/read"]],
    [/^GET \/subscriptions\/\{[^}]+\}$/, ["Microsoft.Resources/subscriptions/read"]],
    [/^GET \/subscriptions\/\{[^}]+\}\/resource[gG]roups\/\{[^}]+\}$/, ["Microsoft.Resources/subscriptions/resourceGroups/read"]],
    [/tags\/default$/, ["Microsoft.Resources/tags/write"]],
    [/^GET \/secrets\//, ["Microsoft.KeyVault/vaults/secrets/getSecret/action"]],
    [/^GET \/certificates/, ["Microsoft.KeyVault/vaults/certificates/read"]],
    [/^DELETE \/certificates/, ["Microsoft.KeyVault/vaults/certificates/delete"]],
    [/^POST \/certificates\/.*\/create$/, ["Microsoft.KeyVault/vaults/certificates/create/action"]],
    [/^POST \/certificates\/.*\/import$/, ["Microsoft.KeyVault/vaults/certificates/import/action"]],
  ];
  /** What is judged beside a call: everything that a new machine, or a pool's new address, is tied to. Unchecked. */
  const implied: readonly (readonly [call: RegExp, actions: readonly string[]])[] = [
    [
      /^PUT .*\/virtualMachines\/\{[^}]+\}$/,
      [
        "Microsoft.Compute/disks/write",
        ...["networkInterfaces/join/action", "networkInterfaces/write", "networkSecurityGroups/join/action"].map(
          (part) => `Microsoft.Network/${part}`,
        ),
        ...["publicIPAddresses/join/action", "publicIPAddresses/write", "virtualNetworks/subnets/join/action"].map(
          (part) => `Microsoft.Network/${part}`,
        ),
        "Microsoft.ManagedIdentity/userAssignedIdentities/assign/action",
      ],
    ],
    // What was made with the machine goes with it.
    [
      /^DELETE .*\/virtualMachines\/\{[^}]+\}$/,
      [
        "Microsoft.Compute/disks/delete",
        "Microsoft.Network/networkInterfaces/delete",
        "Microsoft.Network/publicIPAddresses/delete",
      ],
    ],
    [/^PUT .*\/backendAddressPools\//, ["Microsoft.Network/virtualNetworks/joinLoadBalancer/action"]],
  ];

  /** "GET …/providers/Microsoft.Compute/disks/{diskName}" is Microsoft.Compute/disks/read; a POST's last word is its verb. */
  function actionsOf(call: string): readonly string[] {
    const found = special.find(([pattern]) => pattern.test(call));
    if (found !== undefined) return found[1];
    const [method = "", path = ""] = call.split(" ");
    const [, below = ""] = path.split("/providers/");
    const [space = "", ...parts] = below.split("/");
    // Names stand after their types; some are written out.
    const types = parts.filter((_, at) => at % 2 === 0);
    const verb = method === "POST" ? `${types.pop() ?? ""}/action` : (ends[method] ?? "");
    const others = implied.flatMap(([pattern, actions]) => (pattern.test(call) ? actions : []));
    return [[space, ...types, verb].join("/"), ...others];
  }
  /** As the vendor's command reads it. */
  interface Role {
    readonly Actions: readonly string[];
    readonly DataActions: readonly string[];
  }

  it("allows what the provider asks, and nothing else", async () => {
    const world = makeAzureWorld();
    const { machine } = azureSpec("n1");
    if (machine === undefined) throw new Error("azureSpec has a machine");
    const images = ["images/golden", "galleries/ours/images/aether/versions/1.0.0"].map(
      (name) => `${azureGroup}/providers/Microsoft.Compute/${name}`,
    );
    for (const image of [...images, "Debian:debian-12:12-gen2:0.20260101.1"]) {
      await runPromise(world.client(recorder.plan, { machine: { ...machine, image } }).preflight);
    }
    await richLife(world.client(recorder.plan), azureSpec("n1"), { zone: "2", spot: true, identity: "aether-node" });
    const unseen = makeAzureWorld({ showsMaking: false });
    await richLife(unseen.client(recorder.plan), azureSpec("n1"), {});
    const needed = new Set([...recorder.calls].flatMap(actionsOf));
    const role = JSON.parse(blockOf(pageOf("azure"), "json")) as Role;
    expect(sorted([...role.Actions, ...role.DataActions])).toEqual(sorted(needed));
    // What `cloud check` looks for is what the page gives.
    expect(neededActions.filter((action) => !role.Actions.includes(action))).toEqual([]);
    expect(role.DataActions.every((action) => action.startsWith("Microsoft.KeyVault/vaults/"))).toBe(true);
    expect(role.Actions.some((action) => action.startsWith("Microsoft.KeyVault/"))).toBe(false);
  });
});
