/** Every request that the provider makes, against the vendor's service models; and proof that the models would say no. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseXml } from "@rgrove/parse-xml";
import { seconds } from "effect/Duration";
import { runPromise } from "effect/Effect";
import { beforeAll, describe, expect, it } from "vitest";
import type { HttpRequest } from "../http/transport.ts";
import { clusterLabels } from "../labels.ts";
import { edgePem } from "../testing/edge-pem.ts";
import type { FaultPlan } from "../testing/http-fake.ts";
import { actionOf, modelOf, serviceOf } from "../testing/aws/front.ts";
import { awsOperations, checkAnswer, checkJson, checkParams, sliceOf, type AwsService } from "../testing/aws/model.ts";
import { awsSpec, cluster, makeAwsWorld, type AwsWorld } from "../testing/aws/world.ts";

type Params = readonly (readonly [string, string])[];

interface Seen {
  readonly service: AwsService;
  readonly action: string;
  readonly params: Params;
  /** Of JSON services; null of the others. */
  readonly body: unknown;
}

function seenOf(request: HttpRequest): Seen {
  const service = serviceOf(request);
  const text = Buffer.from(request.body ?? "").toString();
  const isJson = modelOf(service).metadata.protocol === "json";
  const params = isJson ? [] : [...new URLSearchParams(text)].filter(([key]) => key !== "Action" && key !== "Version");
  return { service, action: actionOf(request), params, body: isJson ? (JSON.parse(text) as unknown) : null };
}

/** One of each request that the provider can make. */
async function allRequests(): Promise<readonly Seen[]> {
  const world = makeAwsWorld({ pageMax: 1 });
  const seen: Seen[] = [];
  const watch: FaultPlan = (request) => void seen.push(seenOf(request));
  await machineLife(world, watch);
  await edgeLife(world, watch);
  await identities(world, watch);
  await world.close();
  return seen;
}

async function machineLife(world: AwsWorld, watch: FaultPlan): Promise<void> {
  const { machine, ...spec } = awsSpec("n1");
  if (machine === undefined) throw new Error("a cloud's spec has a machine");
  const { compute, preflight } = world.client(watch, { machine });
  await runPromise(preflight);
  await runPromise(world.client(watch).preflight);
  const extra = { image: "debian-12", zone: "eu-central-1a", placementGroup: "spread", spot: true, identity: "aether-node" };
  const { instance } = await runPromise(compute.ensure({ ...spec, machine: { ...machine, ...extra } }));
  await runPromise(compute.awaitState(instance.id, ["running"], seconds(60)));
  for (const action of ["reboot", "stop-graceful", "start", "stop-hard"] as const)
    await runPromise(compute.power(instance.id, action));
  await runPromise(compute.label(instance.id, { set: { "aether-ring": "blue" } }));
  await runPromise(compute.label(instance.id, { unset: ["aether-ring"] }));
  await runPromise(compute.list(clusterLabels(cluster.name)));
  await runPromise(compute.delete(instance.id));
}

async function edgeLife(world: AwsWorld, watch: FaultPlan): Promise<void> {
  const { compute, secrets, loadBalancers, certificates } = world.client(watch);
  if (secrets === undefined || loadBalancers === undefined || certificates === undefined) throw new Error("AWS has all three");
  const [first] = [world.fake.secrets.put("a/b", "one"), world.fake.secrets.put("a/c", "two")];
  const old = { path: "a/b", version: first };
  await runPromise(secrets.resolveAll([old, { path: "a/b" }, { path: "a/c" }]));
  await runPromise(secrets.resolve({ path: "a/b", version: "AWSCURRENT" }));
  world.fake.elb.addGroup("edge");
  const { instance } = await runPromise(compute.ensure(awsSpec("n2")));
  await runPromise(compute.awaitState(instance.id, ["running"], seconds(60)));
  await runPromise(loadBalancers.register("edge", [instance.id]));
  await runPromise(loadBalancers.deregister("edge", [instance.id], seconds(10)));
  const mine = clusterLabels(cluster.name);
  const { ref } = await runPromise(certificates.ensure("edge", ["a.example", "*.a.example"], mine));
  await runPromise(certificates.importPem("other", { ...edgePem, chain: edgePem.chain + edgePem.chain }, mine));
  await runPromise(certificates.delete(ref));
}

/** By a profile that leads to a role, and by a web identity. */
async function identities(world: AwsWorld, watch: FaultPlan): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), "aether-aws-model-"));
  const role = "arn:aws:iam::123456789012:role/aether";
  const config = join(folder, "config");
  writeFileSync(config, `[profile ops]\nrole_arn = ${role}\nsource_profile = keys\nduration_seconds = 900\nexternal_id = x\n`);
  writeFileSync(join(folder, "credentials"), world.credentialsFile("keys"));
  writeFileSync(join(folder, "token"), world.fake.sts.webToken);
  world.fake.sts.externalId = "x";
  const files = { AWS_CONFIG_FILE: config, AWS_SHARED_CREDENTIALS_FILE: join(folder, "credentials") };
  const web = { AWS_WEB_IDENTITY_TOKEN_FILE: join(folder, "token"), AWS_ROLE_ARN: role, HOME: folder };
  await runPromise(world.bare({ ...files, AWS_PROFILE: "ops" }, watch).preflight);
  await runPromise(world.bare(web, watch).preflight);
  rmSync(folder, { recursive: true });
}

const services = Object.keys(awsOperations) as readonly AwsService[];

describe("the vendor's service models", () => {
  const ec2Model = modelOf("ec2");
  let requests: readonly Seen[] = [];
  beforeAll(async () => {
    requests = await allRequests();
  });
  const last = (name: string): Seen => {
    const found = requests.findLast(({ action }) => action === name);
    if (found === undefined) throw new Error(`no ${name} was seen`);
    return found;
  };
  const create = (): Params => requests.find(({ action, params }) => action === "RunInstances" && isReal(params))?.params ?? [];
  const isReal = (params: Params): boolean => params.some(([key]) => key === "UserData");
  const with_ = (changes: Params): Params => [
    ...create().filter(([key]) => !changes.some(([other]) => other === key)),
    ...changes,
  ];
  const without = (key: string): Params => create().filter(([other]) => other !== key);
  const renamed = (from: RegExp, to: string): Params => create().map(([key, value]) => [key.replace(from, to), value]);

  it.each(services)("knows every request to %s, and the provider makes every one that is kept", (service) => {
    const own = requests.filter((seen) => seen.service === service);
    const model = modelOf(service);
    const violations = own.flatMap(({ action, params, body }) =>
      body === null ? checkParams(model, action, params) : checkJson(model, action, "input", body),
    );
    expect(violations).toEqual([]);
    expect(new Set(own.map(({ action }) => action))).toEqual(new Set(awsOperations[service]));
    expect(new Set(Object.keys(model.operations))).toEqual(new Set(awsOperations[service]));
  });

  it.each<[string, () => Params, string]>([
    [
      "lists of another dialect",
      () => renamed(/^NetworkInterface\.1\.SecurityGroupId\./, "NetworkInterface.1.SecurityGroupId.member."),
      "counts member",
    ],
    ["lists that do not count from 1", () => renamed(/^NetworkInterface\.1\./, "NetworkInterface.0."), "counts 0"],
    ["a list where one is meant", () => with_([["ImageId.1", "ami-1"]]), "has no 1"],
    ["a name in another case", () => renamed(/^ClientToken$/, "clientToken"), "clientToken is not known"],
    ["tags outside of a specification", () => renamed(/^TagSpecification\.1\./, ""), "Tag is not known"],
    ["a field of JSON's", () => with_([["NetworkInterfaces", "[]"]]), "NetworkInterfaces is not known"],
    ["a number that is none", () => with_([["MinCount", "one"]]), "MinCount is no integer"],
    ["a truth that is none", () => with_([["NetworkInterface.1.AssociatePublicIpAddress", "yes"]]), "is no boolean"],
    ["what is needed left out", () => without("MaxCount"), "MaxCount is missing"],
    ["a parameter given twice", () => [...create(), ["ImageId", "ami-1"]], "ImageId comes twice"],
  ])("refuses %s", (_, params, violation) => {
    expect(checkParams(ec2Model, "RunInstances", params()).join("; ")).toContain(violation);
  });

  it.each<[string, string, (key: string) => string, string]>([
    ["lists of EC2's dialect", "RegisterTargets", (key) => key.replace("Targets.member.1", "Targets.1"), "is a list of member"],
    ["lists that begin at none", "RegisterTargets", (key) => key.replace("member.1", "member.0"), "counts 0"],
    ["a name of another call", "RegisterTargets", (key) => key.replace("Targets.", "Instances."), "Instances is not known"],
    ["what is needed left out", "DescribeTargetHealth", () => "TargetGroupName", "TargetGroupArn is missing"],
    ["names in the first letter's other case", "AssumeRole", (key) => key.replace("RoleArn", "roleArn"), "roleArn is not known"],
    ["what is needed renamed", "AssumeRoleWithWebIdentity", (key) => key.replace("WebIdentityToken", "Token"), "is missing"],
  ])("refuses, of the Query services, %s", (_, action, rename, violation) => {
    const { service, params } = last(action);
    const changed = params.map(([key, value]) => [rename(key), value] as const);
    expect(checkParams(modelOf(service), action, changed).join("; ")).toContain(violation);
  });

  it.each<[string, string, Record<string, unknown>, string]>([
    ["a name that is none", "GetSecretValue", { secretId: "x" }, "secretId is not known"],
    ["a list where one is meant", "GetSecretValue", { SecretId: ["x"] }, "SecretId is no string"],
    ["one where a list is meant", "BatchGetSecretValue", { SecretIdList: "x" }, "SecretIdList is no list"],
    ["tags as a map", "RequestCertificate", { Tags: { a: "b" } }, "Tags is no list"],
    ["tags without a key", "RequestCertificate", { Tags: [{ Value: "b" }] }, "Tags.0.Key is missing"],
    ["bytes that are no base64", "ImportCertificate", { PrivateKey: "-----BEGIN" }, "PrivateKey is no blob"],
    ["a number as a text", "ListCertificates", { MaxItems: "5" }, "MaxItems is no integer"],
  ])("refuses, of the JSON services, %s", (_, action, change, violation) => {
    const { service, body } = last(action);
    const changed = { ...(body as Record<string, unknown>), ...change };
    expect(checkJson(modelOf(service), action, "input", changed).join("; ")).toContain(violation);
  });

  it("refuses JSON answers of another shape", () => {
    const check = (answer: unknown) => checkJson(modelOf("acm"), "DescribeCertificate", "output", answer).join("; ");
    expect(check({ Certificate: { NotAfter: "2027-01-01" } })).toContain("NotAfter is no timestamp");
    expect(check({ Certificate: [] })).toContain("Certificate is no structure");
    expect(check([])).toContain("is no structure");
  });

  it("refuses a Query answer without its result's element", () => {
    const { root } = parseXml("<GetCallerIdentityResponse><Arn>x</Arn></GetCallerIdentityResponse>");
    if (root === null) throw new Error("no root");
    expect(checkAnswer(modelOf("sts"), "GetCallerIdentity", root)).toEqual(["GetCallerIdentity.Arn is not known"]);
  });

  it("refuses an action that there is not", () => {
    expect(checkParams(ec2Model, "CreateServer", [])).toEqual(["no operation CreateServer"]);
  });

  it.each([
    ["a root of another name", "<DescribeInstancesResult/>", "the root is"],
    ["a field that is none", "<DescribeInstancesResponse><servers/></DescribeInstancesResponse>", "servers is not known"],
    [
      "list items called otherwise",
      "<DescribeInstancesResponse><reservationSet><member/></reservationSet></DescribeInstancesResponse>",
      "is no item",
    ],
  ])("refuses an answer with %s", (_, text, violation) => {
    const { root } = parseXml(text);
    if (root === null) throw new Error("no root");
    expect(checkAnswer(ec2Model, "DescribeInstances", root).join("; ")).toContain(violation);
  });

  it("keeps what is reached, and nothing else, of a larger model", () => {
    const shapes = { A: { members: { next: { shape: "A" }, b: { shape: "B" } } }, B: { type: "list", member: {} }, C: {} };
    const metadata = { protocol: "ec2", apiVersion: "1" };
    const model = { metadata, operations: { Do: { input: { shape: "A" } }, Other: { input: { shape: "C" } } }, shapes };
    expect(sliceOf(model, ["Do"])).toEqual({
      metadata,
      operations: { Do: model.operations.Do },
      shapes: { A: shapes.A, B: shapes.B },
    });
    expect(() => sliceOf(model, ["Nope"])).toThrow("the model has no Nope");
  });
});
