/** Backend pools of the fake's load balancers: written whole, on a condition. */
import { Refused, type Call, type Reply } from "./answers.ts";

interface Address {
  readonly name: string;
  readonly properties: {
    readonly ipAddress?: string;
    readonly virtualNetwork?: { readonly id: string };
    readonly adminState?: string;
  };
}
export interface FakePool {
  readonly name: string;
  etag: number;
  addresses: readonly Address[];
  /** What else it says of itself, which a write must not lose. */
  readonly rest: Readonly<Record<string, unknown>>;
}

const writeMs = 1_000;

export class FakePools {
  readonly balancers = new Map<string, FakePool[]>();
  readonly #group: string;

  constructor(group: string) {
    this.#group = group;
  }

  add(
    balancer: string,
    pool = "nodes",
    addresses: readonly Address[] = [],
    rest: Readonly<Record<string, unknown>> = {},
  ): FakePool {
    const made: FakePool = { name: pool, etag: 1, addresses, rest };
    this.balancers.set(balancer, [...(this.balancers.get(balancer) ?? []), made]);
    return made;
  }

  handle(call: Call, balancer: string, name: string, begin: (ms: number) => Readonly<Record<string, string>>): Reply {
    const pools = this.balancers.get(balancer);
    if (pools === undefined)
      throw new Refused(404, "ResourceNotFound", `The Resource 'loadBalancers/${balancer}' was not found.`);
    if (name === "") return { status: 200, body: { value: pools.map((pool) => this.#json(balancer, pool)) } };
    const pool = pools.find((one) => one.name === name);
    if (pool === undefined) throw new Refused(404, "NotFound", `pool ${name} was not found`);
    if (call.method === "GET") return { status: 200, body: this.#json(balancer, pool) };
    if (call.headers["if-match"] !== `W/"${pool.etag}"`) throw new Refused(412, "PreconditionFailed", "The pool has changed.");
    const properties = call.body["properties"] as { readonly loadBalancerBackendAddresses?: readonly Address[] };
    const { loadBalancerBackendAddresses: addresses = [], ...rest } = properties;
    if (JSON.stringify(rest) !== JSON.stringify(pool.rest))
      throw new Refused(400, "InvalidRequestFormat", "the write loses what the pool said");
    const wrong = addresses.find((one) => one.properties.ipAddress === undefined || one.name.length > 80);
    const isDouble = new Set(addresses.map((one) => one.name)).size !== addresses.length;
    if (wrong !== undefined || isDouble) throw new Refused(400, "InvalidRequestFormat", `address ${wrong?.name ?? "twice"}`);
    [pool.addresses, pool.etag] = [addresses, pool.etag + 1];
    return { status: 200, body: this.#json(balancer, pool), headers: begin(writeMs) };
  }

  #json(balancer: string, { name, etag, addresses, rest }: FakePool) {
    const id = `${this.#group}/providers/Microsoft.Network/loadBalancers/${balancer}/backendAddressPools/${name}`;
    return {
      id,
      name,
      etag: `W/"${etag}"`,
      properties: { ...rest, loadBalancerBackendAddresses: addresses, provisioningState: "Succeeded" },
    };
  }
}
