import { operator } from "../testing/azure/fake.ts";
import { callName } from "../testing/azure/call-name.ts";
import { azureSpec, cluster, makeAzureWorld, ticket } from "../testing/azure/world.ts";
import { faultMatrix } from "../testing/fault-matrix.ts";

faultMatrix("Azure", {
  cluster: cluster.name,
  makeWorld: (seed) => {
    const world = makeAzureWorld({}, seed);
    const { fake, clock } = world;
    return {
      clock,
      client: (plan) => world.client(plan),
      living: () => [...fake.compute.machines.values()].map(({ tags }) => tags),
      made: () => fake.compute.made.length,
      violations: () => fake.violations,
    };
  },
  spec: azureSpec,
  callOf: ({ method, url }) => callName(method, url.pathname),
  lifeCalls: [
    "POST token",
    "GET virtualMachines/{name}",
    "PUT virtualMachines/{name}",
    "GET operation",
    "GET networkInterfaces/{name}",
    "GET virtualMachines",
    "GET all virtualMachines",
    "POST virtualMachines/{name}/powerOff",
    "POST virtualMachines/{name}/deallocate",
    "POST virtualMachines/{name}/restart",
    "PATCH tags",
  ],
  sweepCalls: [
    "GET virtualMachines",
    "DELETE virtualMachines/{name}",
    "GET operation",
    "GET virtualMachines/{name}",
    "GET disks/{name}",
  ],
  secrets: [ticket, operator.secret ?? "", Buffer.from(ticket).toString("base64").slice(0, 30)],
});
