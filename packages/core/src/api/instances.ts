/** The API's route about machines, a group of {@link AetherApi}, and its bodies. Times are Unix milliseconds. */
import * as Schema from "effect/Schema";
import * as HttpApiEndpoint from "effect/http-api/HttpApiEndpoint";
import * as HttpApiGroup from "effect/http-api/HttpApiGroup";
import * as OpenApi from "effect/http-api/OpenApi";
import { areas } from "../fleet/events.ts";
import { instanceStates } from "../instance/transitions.ts";
import { says } from "./endpoint.ts";
import { Problems } from "./problem.ts";

const Count = Schema.Number;
const Text = Schema.String;
/** Of a vendor's refusal; code and requestId are "" where it gave none. */
const fault = { tag: Text, code: Text, requestId: Text, message: Text, index: Count, at: Count } as const;

export const InstanceAnswer = Schema.Struct({
  node: Text,
  provider: Text,
  attempt: Count,
  zone: Text,
  size: Text,
  state: Schema.Literals(instanceStates),
  /** The vendor's name of it. */
  id: Schema.NullOr(Text),
  address: Schema.NullOr(Text),
  spec: Text,
  why: Text,
  since: Count,
  tried: Schema.Array(Schema.Struct({ zone: Text, size: Text, code: Text })),
  fruitless: Count,
  fault: Schema.NullOr(Schema.Struct(fault)),
  /** Nothing is tried until an operator says so. */
  held: Schema.Boolean,
  version: Count,
  index: Count,
  at: Count,
}).annotate({ identifier: "Instance" });

const Targets = Schema.Struct({
  balancer: Text,
  targets: Schema.Array(Schema.Struct({ node: Text, instance: Text })),
  index: Count,
  at: Count,
  done: Schema.NullOr(Schema.Struct({ added: Count, removed: Count, at: Count })),
});

export const InstancesAnswer = Schema.Struct({
  index: Count,
  /** By node; those that are gone too, until a node of that name gets another. */
  instances: Schema.Array(InstanceAnswer),
  /** What stands in the leader's way, besides the faults of single instances. */
  troubles: Schema.Array(Schema.Struct({ area: Schema.Literals(areas), ...fault })),
  /** Who is, or should be, behind the load balancer; null where there is none. */
  targets: Schema.NullOr(Targets),
}).annotate({ identifier: "Instances" });

const consistency = { consistency: Schema.optionalKey(Schema.Literals(["linearizable", "stale"])) };

export const instances = HttpApiGroup.make("instances")
  .add(
    HttpApiEndpoint.get("list", "/v1/instances", {
      query: consistency,
      success: InstancesAnswer,
      error: Problems,
    }).annotateMerge(says("The machines of the nodes, in a cloud", "Nothing is asked of the vendor: it is what the log says.")),
  )
  .annotateMerge(OpenApi.annotations({ description: "Machines, as the leader wants and sees them." }));
