/** The fake's network endpoint groups: zonal lists of endpoints. An instance that is deleted stays in them. */
import { Refused, type Call } from "./refused.ts";
import type { Ending, FakeMachines } from "./machines.ts";

interface FakeEndpoint {
  readonly instance: string;
  readonly ipAddress: string;
  readonly port: number;
}

const url = (zone: string, instance: string): string =>
  `https://www.googleapis.com/compute/v1/projects/fleet-production/zones/${zone}/instances/${instance}`;

export class FakeGroups {
  /** By "zone/name". */
  readonly all = new Map<string, FakeEndpoint[]>();
  /** Names of instances that no health check reaches, and of those that are being drained. */
  readonly sick = new Set<string>();
  readonly draining = new Set<string>();
  readonly #machines: FakeMachines;
  readonly #endsAt: () => number;

  constructor(machines: FakeMachines, endsAt: () => number) {
    [this.#machines, this.#endsAt] = [machines, endsAt];
  }

  list(key: string, query: URLSearchParams) {
    const zone = key.split("/")[0] ?? "";
    const all = this.#group(key);
    const from = Number(query.get("pageToken") ?? "0");
    const next = from + 2;
    return {
      kind: "compute#networkEndpointGroupsListNetworkEndpoints",
      items: all.slice(from, next).map(({ instance, ...rest }) => ({
        networkEndpoint: { instance: url(zone, instance), ...rest },
        healths: this.#healths(instance),
      })),
      ...(next < all.length ? { nextPageToken: String(next) } : {}),
    };
  }

  change(key: string, verb: string, body: Call["body"]): Ending {
    const [zone = "", name = ""] = key.split("/");
    const all = this.#group(key);
    const ends = {
      type: `${verb}NetworkEndpoints`,
      target: `networkEndpointGroups/${name}`,
      targetId: "9001",
      endsAt: this.#endsAt(),
    };
    const failed = (code: string, message: string): Ending => ({ ...ends, error: { code, message } });
    const given = (body["networkEndpoints"] as readonly { readonly instance: string }[]).map(({ instance }) =>
      instance.slice(instance.lastIndexOf("/") + 1),
    );
    const isMember = (instance: string): boolean => all.some((one) => one.instance === instance);
    if (verb === "attach") {
      const twice = given.find(isMember);
      if (twice !== undefined) return failed("RESOURCE_ALREADY_EXISTS", `${twice} is attached already`);
      const vms = given.map((instance) => this.#machines.get(zone, instance));
      all.push(...vms.map((vm) => ({ instance: vm.name, ipAddress: `10.132.0.${Number(vm.id) % 250}`, port: 7600 })));
      return { ...ends, error: null };
    }
    const absent = given.find((instance) => !isMember(instance));
    if (absent !== undefined) return failed("RESOURCE_NOT_FOUND", `${absent} is not attached`);
    this.all.set(
      key,
      all.filter(({ instance }) => !given.includes(instance)),
    );
    return { ...ends, error: null };
  }

  #group(key: string): FakeEndpoint[] {
    const found = this.all.get(key);
    if (found === undefined) throw new Refused(404, "notFound", `The resource '${key}' was not found`);
    return found;
  }

  #healths(instance: string) {
    const isGone = ![...this.#machines.all.values()].some(({ name, status }) => name === instance && status === "RUNNING");
    const healthState = this.draining.has(instance) ? "DRAINING" : this.sick.has(instance) || isGone ? "UNHEALTHY" : "HEALTHY";
    return [{ healthState }];
  }
}
