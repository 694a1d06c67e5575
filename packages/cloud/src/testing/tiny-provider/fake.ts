/** The tiny cloud in memory: names are unique, things take time, pages are small, lists by label lag behind, rooms are finite. */
import type { HttpRequest, HttpResponse } from "../../http/transport.ts";
import { carries } from "../../labels.ts";
import type { VendorFake } from "../http-fake.ts";
import type { Machine } from "./api.ts";

export const tinyToken = "tiny-token-0123456789abcdef";
export const tinyPlaces = ["here", "there"];
const [bootMs, haltMs, endMs, lagMs, pageMax, machinesMax] = [4_000, 1_500, 2_500, 2_000, 2, 50];

interface FakeMachine {
  row: Machine;
  /** What it is about to become, and when: unix milliseconds. */
  next: { readonly at: number; readonly state: "on" | "off" | "gone" } | null;
}

class Refused extends Error {
  readonly status: number;
  readonly code: string;
  constructor(status: number, code: string, message: string) {
    super(message);
    [this.status, this.code] = [status, code];
  }
}

export class FakeTiny implements VendorFake {
  readonly machines = new Map<string, FakeMachine>();
  /** How many were ever made. */
  made = 0;
  readonly #now: () => number;

  constructor(now: () => number) {
    this.#now = now;
  }

  readonly handle = (request: HttpRequest): HttpResponse => {
    this.#pass();
    try {
      if (request.headers["authorization"] !== `Bearer ${tinyToken}`) throw new Refused(401, "bad_key", "who are you?");
      const [status, body] = this.#answer(request);
      return { status, headers: { "content-type": "application/json" }, body: Buffer.from(JSON.stringify(body)) };
    } catch (error) {
      if (!(error instanceof Refused)) throw error;
      return said(error.status, error.code, error.message, {});
    }
  };

  readonly refusal = (status: number, headers: Readonly<Record<string, string>>): HttpResponse =>
    said(status, status === 429 ? "too_fast" : "broken", "by plan", headers);

  crash(id: string): void {
    this.#set(id, { state: "off", off_by: "itself" }, null);
  }

  isRunning(id: string): boolean {
    this.#pass();
    return this.machines.get(id)?.row.state === "on";
  }

  #answer({ method, url, body }: HttpRequest): readonly [number, unknown] {
    const [, things, id, verb] = url.pathname.split("/");
    const wish = body === null ? {} : (JSON.parse(Buffer.from(body).toString()) as Record<string, unknown>);
    switch (`${method} ${things}${id === undefined ? "" : "/{id}"}${verb === undefined ? "" : `/${verb}`}`) {
      case "GET places":
        return [200, { places: tinyPlaces }];
      case "GET machines":
        return [200, this.#page(url.searchParams)];
      case "POST machines":
        return [201, this.#create(wish)];
      case "GET machines/{id}":
        return [200, this.#machine(id).row];
      case "DELETE machines/{id}":
        this.#end(this.#machine(id));
        return [202, {}];
      case "POST machines/{id}/power":
        return [202, this.#power(this.#machine(id), String(wish["to"]))];
      case "PATCH machines/{id}/labels":
        return [200, this.#label(this.#machine(id), wish)];
      default:
        throw new Refused(404, "wrong", `there is no ${method} ${url.pathname}`);
    }
  }

  #page(query: URLSearchParams): unknown {
    const name = query.get("name");
    const wanted = Object.fromEntries(query.getAll("label").map((pair) => pair.split(":") as [string, string]));
    // By name it is exact; by label what was just made is not shown yet.
    const rows = [...this.machines.values()]
      .map(({ row }) => row)
      .filter((row) => (name === null ? row.made * 1000 + lagMs <= this.#now() : row.name === name))
      .filter((row) => carries(row.labels, wanted));
    const from = rows.findIndex(({ id }) => id === query.get("after")) + 1;
    const machines = rows.slice(from, from + pageMax);
    return { machines, after: from + pageMax < rows.length ? (machines.at(-1)?.id ?? null) : null };
  }

  #create(wish: Record<string, unknown>): Machine {
    const text = (field: string): string => {
      const value = wish[field];
      if (typeof value !== "string" || value === "")
        throw new Refused(400, "wrong", `${field} is no text: ${JSON.stringify(wish)}`);
      return value;
    };
    const [name, place] = [text("name"), text("place")];
    for (const field of ["size", "image", "user_data"]) text(field);
    if (!tinyPlaces.includes(place)) throw new Refused(400, "wrong", `there is no place ${place}`);
    if ([...this.machines.values()].some(({ row }) => row.name === name))
      throw new Refused(409, "name_taken", `${name} is there`);
    if (this.machines.size >= machinesMax) throw new Refused(403, "too_many", `${machinesMax} machines are the most`);
    this.made += 1;
    const id = `m${this.made}`;
    const labels = wish["labels"] as Machine["labels"];
    const made = Math.floor(this.#now() / 1000);
    const row: Machine = { id, name, state: "booting", off_by: null, address: `192.0.2.${this.made}`, place, labels, made };
    this.machines.set(id, { row, next: { at: this.#now() + bootMs, state: "on" } });
    return row;
  }

  #end(machine: FakeMachine): void {
    if (machine.row.state !== "ending") this.#set(machine.row.id, { state: "ending" }, { after: endMs, state: "gone" });
  }

  #power({ row }: FakeMachine, to: string): unknown {
    if (row.state === "ending") throw new Refused(409, "busy", `${row.name} is being deleted`);
    if (to === "on" && row.state === "on") return {};
    if (to === "on" || to === "again") this.#set(row.id, { state: "booting", off_by: null }, { after: bootMs, state: "on" });
    else if (to === "off" || row.state === "off") this.#set(row.id, { state: "off", off_by: "customer" }, null);
    else this.#set(row.id, { state: "halting", off_by: "customer" }, { after: haltMs, state: "off" });
    return {};
  }

  #label(machine: FakeMachine, wish: Record<string, unknown>): Machine {
    const gone = new Set(wish["unset"] as readonly string[]);
    const kept = Object.entries(machine.row.labels).filter(([key]) => !gone.has(key));
    this.#set(machine.row.id, { labels: { ...Object.fromEntries(kept), ...(wish["set"] as Machine["labels"]) } });
    return machine.row;
  }

  #machine(id: string | undefined): FakeMachine {
    const machine = this.machines.get(decodeURIComponent(id ?? ""));
    if (machine === undefined) throw new Refused(404, "no_such_machine", `there is no machine ${id}`);
    return machine;
  }

  #set(
    id: string,
    change: Partial<Machine>,
    next?: { readonly after: number; readonly state: "on" | "off" | "gone" } | null,
  ): void {
    const machine = this.#machine(id);
    machine.row = { ...machine.row, ...change };
    if (next !== undefined) machine.next = next === null ? null : { at: this.#now() + next.after, state: next.state };
  }

  /** Everything that was to happen until now happens. */
  #pass(): void {
    for (const [id, { next }] of this.machines) {
      if (next === null || next.at > this.#now()) continue;
      if (next.state === "gone") this.machines.delete(id);
      else this.#set(id, { state: next.state }, null);
    }
  }
}

const said = (status: number, code: string, message: string, headers: Readonly<Record<string, string>>): HttpResponse => ({
  status,
  headers: { "content-type": "application/json", ...headers },
  body: Buffer.from(JSON.stringify({ code, message })),
});
