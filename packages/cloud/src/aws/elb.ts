/** Target groups of Elastic Load Balancing v2 (Query dialect, version 2015-12-01): who gets connections. */
import type { ApiClient } from "../http/api-client.ts";
import { formCaller, memberParams, protocol, type Params } from "./wire.ts";

export interface TargetGroup {
  readonly arn: string;
  readonly name: string;
  /** instance, ip, lambda or alb: what its members are. */
  readonly kind: string;
}

export interface Target {
  readonly id: string;
  /** initial, healthy, unhealthy, unhealthy.draining, unused, draining, unavailable. */
  readonly state: string;
}

export interface Elb {
  /** By name, or by ARN. Null when there is none. */
  readonly group: (nameOrArn: string, signal: AbortSignal) => Promise<TargetGroup | null>;
  /** All members, those that drain among them. */
  readonly targets: (arn: string, signal: AbortSignal) => Promise<readonly Target[]>;
  readonly register: (arn: string, ids: readonly string[], signal: AbortSignal) => Promise<void>;
  readonly deregister: (arn: string, ids: readonly string[], signal: AbortSignal) => Promise<void>;
  /** Whole seconds, 0 to 3600: how long connections of a leaving target may go on. */
  readonly drainSeconds: (arn: string, signal: AbortSignal) => Promise<number>;
  readonly setDrainSeconds: (arn: string, seconds: number, signal: AbortSignal) => Promise<void>;
}

const delayKey = "deregistration_delay.timeout_seconds";
/** Members named in one call; the vendor publishes no limit of the call, and a group has a thousand. */
const perCall = 100;

export function makeElb(client: ApiClient): Elb {
  const call = formCaller(client, "query", "2015-12-01");
  const change = async (action: string, arn: string, ids: readonly string[], signal: AbortSignal): Promise<void> => {
    for (let from = 0; from < ids.length; from += perCall) {
      const some = ids.slice(from, from + perCall);
      const targets: Params = some.map((id, at) => [`Targets.member.${at + 1}.Id`, id] as const);
      await call(action, some.join(" "), [["TargetGroupArn", arn], ...targets], signal);
    }
  };
  return {
    group: async (nameOrArn, signal) => {
      const param = nameOrArn.startsWith("arn:") ? "TargetGroupArns" : "Names";
      const answer = await call("DescribeTargetGroups", nameOrArn, memberParams(param, [nameOrArn]), signal);
      const [only] = answer.members("TargetGroups");
      if (only === undefined) return null;
      const [arn, name] = [only.textOf("TargetGroupArn"), only.textOf("TargetGroupName")];
      if (!arn.startsWith("arn:")) throw protocol("DescribeTargetGroups", "a target group without an ARN");
      return { arn, name, kind: only.textOf("TargetType") };
    },
    targets: async (arn, signal) => {
      const answer = await call("DescribeTargetHealth", arn, [["TargetGroupArn", arn]], signal);
      return answer.members("TargetHealthDescriptions").map((item) => {
        const [id, state] = [item.child("Target")?.textOf("Id") ?? "", item.child("TargetHealth")?.textOf("State") ?? ""];
        if (id === "") throw protocol("DescribeTargetHealth", "a target without an id");
        return { id, state };
      });
    },
    register: (arn, ids, signal) => change("RegisterTargets", arn, ids, signal),
    deregister: (arn, ids, signal) => change("DeregisterTargets", arn, ids, signal),
    drainSeconds: async (arn, signal) => {
      const answer = await call("DescribeTargetGroupAttributes", arn, [["TargetGroupArn", arn]], signal);
      const found = answer.members("Attributes").find((item) => item.textOf("Key") === delayKey);
      const seconds = Number(found?.textOf("Value"));
      if (Number.isSafeInteger(seconds)) return seconds;
      throw protocol("DescribeTargetGroupAttributes", `the target group has no ${delayKey}`);
    },
    setDrainSeconds: async (arn, seconds, signal) => {
      const pair: Params = [
        ["Attributes.member.1.Key", delayKey],
        ["Attributes.member.1.Value", String(seconds)],
      ];
      await call("ModifyTargetGroupAttributes", arn, [["TargetGroupArn", arn], ...pair], signal);
    },
  };
}
