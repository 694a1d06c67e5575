/** Target groups in memory: members drain by themselves, and the dead stay members. */
import { leaf, members, Refused, tag, valuesOf, type Form, type Xml } from "./xml-answer.ts";

export interface FakeTargetGroup {
  readonly arn: string;
  readonly name: string;
  readonly kind: string;
  drainSeconds: number;
  /** By id: since when it is a member, and until when it drains. */
  readonly targets: Map<string, { readonly since: number; leavesAt: number | null }>;
}

export interface FakeElbParts {
  readonly now: () => number;
  readonly arn: (service: string, resource: string) => string;
  readonly isRunning: (id: string) => boolean;
}

/** So long a new member is not judged. */
const initialMs = 2_000;

export class FakeElb {
  readonly groups = new Map<string, FakeTargetGroup>();
  /** Instances that answer no health check. */
  readonly sick = new Set<string>();
  readonly #parts: FakeElbParts;

  constructor(parts: FakeElbParts) {
    this.#parts = parts;
  }

  addGroup(name: string, kind = "instance"): FakeTargetGroup {
    const hex = (this.groups.size + 0x5000).toString(16).padStart(16, "0");
    const arn = this.#parts.arn("elasticloadbalancing", `targetgroup/${name}/${hex}`);
    const group: FakeTargetGroup = { arn, name, kind, drainSeconds: 300, targets: new Map() };
    this.groups.set(arn, group);
    return group;
  }

  /** The content of an action's result. */
  answer(action: string, of: ReadonlyMap<string, string>, form: Form): Xml {
    if (action === "DescribeTargetGroups") return this.#describe(form);
    const group = this.#group(of.get("TargetGroupArn") ?? "");
    const ids = form.flatMap(([key, value]) => (/^Targets\.member\.\d+\.Id$/.test(key) ? [value] : []));
    switch (action) {
      case "DescribeTargetHealth":
        return members("TargetHealthDescriptions", this.#health(group, ids));
      case "RegisterTargets":
        this.#register(group, ids);
        return "";
      case "DeregisterTargets":
        for (const id of ids) this.#leave(group, id);
        return "";
      case "DescribeTargetGroupAttributes":
        return this.#attributes(group);
      case "ModifyTargetGroupAttributes":
        return this.#modify(group, of);
      default:
        throw new Refused(400, "InvalidAction", `the action ${action} is not valid`);
    }
  }

  #describe(form: Form): Xml {
    const [names, arns] = [valuesOf(form, "Names\\.member"), valuesOf(form, "TargetGroupArns\\.member")];
    const found = [...this.groups.values()].filter(
      ({ name, arn }) => names.length + arns.length === 0 || names.includes(name) || arns.includes(arn),
    );
    if (found.length < names.length + arns.length) {
      throw new Refused(400, "TargetGroupNotFound", "one or more target groups not found");
    }
    return members(
      "TargetGroups",
      found.map(({ arn, name, kind }) =>
        [
          leaf("TargetGroupArn", arn),
          leaf("TargetGroupName", name),
          leaf("Protocol", "TCP"),
          leaf("Port", 7600),
          leaf("TargetType", kind),
        ].join(""),
      ),
    );
  }

  #group(arn: string): FakeTargetGroup {
    const group = this.groups.get(arn);
    if (group === undefined) throw new Refused(400, "TargetGroupNotFound", "one or more target groups not found");
    return group;
  }

  #register(group: FakeTargetGroup, ids: readonly string[]): void {
    const dead = ids.filter((id) => !this.#parts.isRunning(id));
    if (dead.length > 0) {
      throw new Refused(400, "InvalidTarget", `the following targets are not in a running state: '${dead.join("', '")}'`);
    }
    for (const id of ids) {
      const known = group.targets.get(id);
      if (known === undefined) group.targets.set(id, { since: this.#parts.now(), leavesAt: null });
      else known.leavesAt = null;
    }
  }

  #leave(group: FakeTargetGroup, id: string): void {
    const target = group.targets.get(id);
    if (target === undefined) return;
    if (!this.#parts.isRunning(id)) group.targets.delete(id);
    else target.leavesAt ??= this.#parts.now() + group.drainSeconds * 1000;
  }

  #health(group: FakeTargetGroup, ids: readonly string[]): readonly Xml[] {
    const now = this.#parts.now();
    for (const [id, { leavesAt }] of group.targets) if (leavesAt !== null && leavesAt <= now) group.targets.delete(id);
    const shown = [...group.targets].filter(([id]) => ids.length === 0 || ids.includes(id));
    return shown.map(([id, { since, leavesAt }]) => {
      const running = this.#parts.isRunning(id) ? "healthy" : "unused";
      const judged = this.sick.has(id) ? "unhealthy" : now - since < initialMs ? "initial" : running;
      const state = leavesAt === null ? judged : "draining";
      return tag("Target", leaf("Id", id) + leaf("Port", 7600)) + tag("TargetHealth", leaf("State", state));
    });
  }

  #attributes(group: FakeTargetGroup): Xml {
    const pairs: readonly (readonly [string, string])[] = [
      ["stickiness.enabled", "false"],
      ["deregistration_delay.timeout_seconds", String(group.drainSeconds)],
    ];
    return members(
      "Attributes",
      pairs.map(([key, value]) => leaf("Key", key) + leaf("Value", value)),
    );
  }

  #modify(group: FakeTargetGroup, of: ReadonlyMap<string, string>): Xml {
    const seconds = Number(of.get("Attributes.member.1.Value"));
    if (of.get("Attributes.member.1.Key") !== "deregistration_delay.timeout_seconds" || !(seconds >= 0 && seconds <= 3600)) {
      throw new Refused(400, "InvalidConfigurationRequest", "the attribute or its value is not valid");
    }
    group.drainSeconds = seconds;
    return this.#attributes(group);
  }
}
