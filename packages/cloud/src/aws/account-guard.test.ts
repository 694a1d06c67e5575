import { runPromiseExit } from "effect/Effect";
import { describe, expect, it } from "vitest";
import { clusterLabels } from "../labels.ts";
import { fakeDefaults } from "../testing/aws/fake.ts";
import { cluster, makeAwsWorld } from "../testing/aws/world.ts";
import { directTransport } from "../testing/http-fake.ts";
import { seededRandom } from "../testing/virtual-clock.ts";
import { makeAccountLimits } from "../http/rate-limiter.ts";
import { makeAwsProvider } from "../aws.ts";

describe("the account that the cluster file names", () => {
  it("is looked at before anything is listed or made: with another one's credentials nothing looks gone", async () => {
    const world = makeAwsWorld();
    const { accessKeyId, secretAccessKey } = fakeDefaults.keys;
    const client = (account: string) =>
      makeAwsProvider(
        {
          cluster: cluster.name,
          region: fakeDefaults.region,
          machine: { size: "t4g.small", image: "ami-0123456789abcdef0" },
          account,
          env: { AWS_ACCESS_KEY_ID: accessKeyId, AWS_SECRET_ACCESS_KEY: secretAccessKey },
        },
        {
          transport: directTransport(world.fake, "", () => undefined),
          clock: world.clock,
          random: seededRandom(1),
          limiterOf: makeAccountLimits(world.clock),
        },
      );
    const right = client("123456789012");
    expect(await runPromiseExit(right.compute.list(clusterLabels(cluster.name)))).toMatchObject({ _tag: "Success", value: [] });
    const wrong = client("210987654321");
    const listed = await runPromiseExit(wrong.compute.list(clusterLabels(cluster.name)));
    expect(JSON.stringify(listed)).toContain("the credentials are of account 123456789012, and [aws] account is 210987654321");
    const made = await runPromiseExit(wrong.compute.ensure(await world.spec("n1")));
    expect(made._tag).toBe("Failure");
    expect(world.fake.instances.size).toBe(0);
    const checks = await runPromiseExit(wrong.preflight);
    expect(JSON.stringify(checks)).toContain('"check":"the account","ok":false');
    await world.close();
  });
});
