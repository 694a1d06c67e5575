import { faultMatrix } from "../testing/fault-matrix.ts";
import { fakeDefaults } from "../testing/aws/fake.ts";
import { edgeFaultMatrix } from "../testing/edge-fault-matrix.ts";
import { actionOf } from "../testing/aws/front.ts";
import { awsOperations } from "../testing/aws/model.ts";
import { awsSpec, cluster, makeAwsWorld, ticket } from "../testing/aws/world.ts";

faultMatrix("AWS", {
  cluster: cluster.name,
  makeWorld: (seed) => {
    const world = makeAwsWorld({}, seed);
    const { fake, clock } = world;
    return {
      clock,
      client: (plan) => world.client(plan),
      living: () => fake.living().map(({ tags }) => tags),
      made: () => fake.instances.size,
      violations: () => fake.violations,
    };
  },
  spec: awsSpec,
  callOf: actionOf,
  lifeCalls: [
    "RunInstances",
    "DescribeInstances",
    "StartInstances",
    "StopInstances",
    "RebootInstances",
    "CreateTags",
    "DeleteTags",
  ],
  sweepCalls: ["DescribeInstances", "TerminateInstances"],
  secrets: [ticket, fakeDefaults.keys.secretAccessKey],
});

const edgeCalls: readonly string[] = [...awsOperations.elbv2, ...awsOperations.acm, ...awsOperations.secretsmanager];
const isRead = (call: string): boolean => /^(Describe|List|Get|BatchGet)/.test(call);

edgeFaultMatrix("AWS", {
  cluster: cluster.name,
  makeWorld: () => {
    const world = makeAwsWorld();
    return { ...world, certificates: () => world.fake.acm.certificates.size };
  },
  spec: awsSpec,
  callOf: actionOf,
  changes: edgeCalls.filter((call) => !isRead(call)),
  reads: edgeCalls.filter(isRead),
  secrets: [fakeDefaults.keys.secretAccessKey],
});
