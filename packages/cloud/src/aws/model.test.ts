/** Every request that the provider makes, against the vendor's service model; and proof that the model would say no. */
import { parseXml } from "@rgrove/parse-xml";
import { seconds } from "effect/Duration";
import { runPromise } from "effect/Effect";
import { beforeAll, describe, expect, it } from "vitest";
import { clusterLabels } from "../labels.ts";
import { ec2Model } from "../testing/aws/fake.ts";
import { checkAnswer, checkParams, ec2Operations, sliceOf } from "../testing/aws/model.ts";
import { awsSpec, cluster, makeAwsWorld } from "../testing/aws/world.ts";

type Params = readonly (readonly [string, string])[];

/** The forms of one of each request that the provider can make. */
async function allForms(): Promise<readonly (readonly [action: string, params: Params])[]> {
  const world = makeAwsWorld({ pageMax: 1 });
  const seen: [string, Params][] = [];
  const { compute, preflight } = world.client(({ body }) => {
    const params = [...new URLSearchParams(Buffer.from(body ?? "").toString())];
    seen.push([
      params.find(([key]) => key === "Action")?.[1] ?? "",
      params.filter(([key]) => key !== "Action" && key !== "Version"),
    ]);
    return undefined;
  });
  const { machine, ...spec } = awsSpec("n1");
  await runPromise(preflight);
  const wish = {
    ...spec,
    ...(machine === undefined ? {} : { machine: { ...machine, zone: "eu-central-1b", placementGroup: "spread" } }),
  };
  const { instance } = await runPromise(compute.ensure(wish));
  await runPromise(compute.awaitState(instance.id, ["running"], seconds(60)));
  for (const action of ["reboot", "stop-graceful", "start", "stop-hard"] as const)
    await runPromise(compute.power(instance.id, action));
  await runPromise(compute.label(instance.id, { set: { "aether-ring": "blue" } }));
  await runPromise(compute.label(instance.id, { unset: ["aether-ring"] }));
  await runPromise(compute.list(clusterLabels(cluster.name)));
  await runPromise(compute.delete(instance.id));
  await world.close();
  return seen;
}

describe("EC2's service model", () => {
  let forms: readonly (readonly [string, Params])[] = [];
  beforeAll(async () => {
    forms = await allForms();
  });
  const create = (): Params => forms.findLast(([action]) => action === "RunInstances")?.[1] ?? [];
  const with_ = (changes: Params): Params => [
    ...create().filter(([key]) => !changes.some(([other]) => other === key)),
    ...changes,
  ];
  const without = (key: string): Params => create().filter(([other]) => other !== key);
  const renamed = (from: RegExp, to: string): Params => create().map(([key, value]) => [key.replace(from, to), value]);

  it("knows every request that the provider makes, and the provider makes every one that is kept", () => {
    expect(forms.flatMap(([action, params]) => checkParams(ec2Model, action, params))).toEqual([]);
    expect(new Set(forms.map(([action]) => action))).toEqual(new Set(ec2Operations));
    expect(new Set(Object.keys(ec2Model.operations))).toEqual(new Set(ec2Operations));
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
    const model = { operations: { Do: { input: { shape: "A" } }, Other: { input: { shape: "C" } } }, shapes };
    expect(sliceOf(model, ["Do"])).toEqual({ operations: { Do: model.operations.Do }, shapes: { A: shapes.A, B: shapes.B } });
    expect(() => sliceOf(model, ["Nope"])).toThrow("the model has no Nope");
  });
});
