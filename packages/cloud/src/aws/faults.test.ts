import { faultMatrix } from "../testing/fault-matrix.ts";
import { fakeDefaults } from "../testing/aws/fake.ts";
import { actionOf } from "../testing/aws/front.ts";
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
