/**
 * What no provider may do, whatever a vendor, a gateway or a name tries: told once, for all of them, and the tiny sixth. Each is reached by
 * what its own world gives; what one house's code promises for all (TLS, sizes of answers, redaction) has tests of its own beside it.
 */
import { seconds } from "effect/Duration";
import { flip, runPromise, type Effect } from "effect/Effect";
import { make as redact, value as reveal } from "effect/Redacted";
import { describe, expect, it } from "vitest";
import { isLoopback, isMetadataHost } from "./http/endpoints.ts";
import type { HttpRequest, HttpResponse } from "./http/transport.ts";
import { clusterLabels, labelKeys } from "./labels.ts";
import type { CloudError, CloudProvider, InstanceSpec } from "./provider.ts";
import { awsSpec, makeAwsWorld } from "./testing/aws/world.ts";
import { azureSpec, makeAzureWorld } from "./testing/azure/world.ts";
import { gcpSpec, makeGcpWorld } from "./testing/gcp/world.ts";
import { hetznerSpec, makeHetznerWorld } from "./testing/hetzner/world.ts";
import type { FaultPlan, VendorFake } from "./testing/http-fake.ts";
import { makeTinyWorld, tinySpec } from "./testing/tiny-provider/world.ts";

interface Subject {
  readonly make: () => { readonly fake: VendorFake; client(plan?: FaultPlan): CloudProvider };
  readonly spec: (name: string) => InstanceSpec;
  /** Its hosts. */
  readonly vendor: RegExp;
  /** The body of a refusal: this is wrong, and this is what you sent. */
  readonly refusal: (message: string) => string;
}

const escaped = (text: string): string => text.replaceAll("&", "&amp;").replaceAll("<", "&lt;");
const xmlRefusal = (message: string): string =>
  `<Response><Errors><Error><Code>InvalidParameterValue</Code><Message>${escaped(message)}</Message></Error></Errors></Response>`;
const jsonRefusal =
  (code: unknown, more: object = {}) =>
  (message: string): string =>
    JSON.stringify({ code, message, error: { code, message, ...more } });
const gcpRefusal = jsonRefusal(400, { status: "INVALID_ARGUMENT", errors: [{ reason: "invalid" }] });

const subjects: Readonly<Record<string, Subject>> = {
  hetzner: { make: makeHetznerWorld, spec: hetznerSpec, vendor: /^api\.hetzner\.cloud$/, refusal: jsonRefusal("invalid_input") },
  aws: { make: makeAwsWorld, spec: awsSpec, vendor: /\.amazonaws\.com$/, refusal: xmlRefusal },
  gcp: { make: makeGcpWorld, spec: gcpSpec, vendor: /\.googleapis\.com$|^metadata\.google\.internal$/, refusal: gcpRefusal },
  azure: {
    make: makeAzureWorld,
    spec: azureSpec,
    vendor: /\.azure\.com$|\.azure\.net$|^login\.microsoftonline\.com$/,
    refusal: jsonRefusal("InvalidParameter"),
  },
  tiny: { make: makeTinyWorld, spec: tinySpec, vendor: /^api\.tiny\.example$/, refusal: jsonRefusal("wrong") },
};

/** A vendor whose answers are bent before they are given. */
function bent(fake: VendorFake, bend: (request: HttpRequest, response: HttpResponse) => HttpResponse): void {
  const straight = fake.handle;
  Object.assign(fake, { handle: (request: HttpRequest) => bend(request, straight.call(fake, request)) });
}

const isToken = ({ url }: HttpRequest): boolean => url.pathname.endsWith("/token");
const life = async ({ compute, discovery, preflight }: CloudProvider, spec: InstanceSpec): Promise<void> => {
  await runPromise(preflight);
  const { instance } = await runPromise(compute.ensure(spec));
  await runPromise(compute.awaitState(instance.id, ["running"], seconds(600)));
  await runPromise(discovery.peers(spec.key.cluster));
  await runPromise(compute.label(instance.id, { set: { "aether-ring": "blue" } }));
  await runPromise(compute.delete(instance.id));
};

describe.each(Object.entries(subjects))("%s", (_, { make, spec, vendor, refusal }) => {
  it("speaks only with its vendor, over TLS but to metadata, and shows its credentials to nobody else", async () => {
    const world = make();
    const asked: URL[] = [];
    await life(
      world.client((request) => void asked.push(request.url)),
      spec("n1"),
    );
    expect(asked.length).toBeGreaterThan(5);
    expect(asked.filter(({ hostname }) => !vendor.test(hostname)).map(String)).toEqual([]);
    expect(asked.filter((url) => url.protocol !== "https:" && !isLoopback(url) && !isMetadataHost(url)).map(String)).toEqual([]);
  });

  it("follows no redirect to a stranger, with or without a body", async () => {
    const world = make();
    const asked: URL[] = [];
    const client = world.client((request) => void asked.push(request.url));
    bent(world.fake, (request, response) =>
      isToken(request) ? response : { status: 307, headers: { location: "https://evil.example/steal" }, body: Buffer.from("") },
    );
    const works: readonly Effect<unknown, CloudError>[] = [
      client.compute.list(clusterLabels("conform")),
      client.compute.ensure(spec("n1")),
    ];
    for (const work of works) {
      expect(await runPromise(flip(work))).toMatchObject({ _tag: "Protocol" });
    }
    expect(asked.filter(({ hostname }) => !vendor.test(hostname)).map(String)).toEqual([]);
  });

  it("shows neither user data nor credentials in a failure, when the vendor throws the whole request back", async () => {
    const world = make();
    const planted = "planted-0123456789-secret";
    const encoded = Buffer.from(`#cloud-config\n{"ticket": "${planted}"}\n`).toString("base64");
    const sent: string[] = [];
    bent(world.fake, (request, response) => {
      if (isToken(request)) return response;
      const text = decodeURIComponent(
        Buffer.from(request.body ?? "")
          .toString()
          .replaceAll("+", " "),
      );
      // Messages are cut at some length: what matters comes first.
      const at = Math.max(text.indexOf(planted), text.indexOf(encoded));
      if (at < 0) return response;
      const whole = `${request.headers["authorization"] ?? ""} ${text.slice(Math.max(0, at - 60))}`;
      sent.push(whole);
      return { status: 400, headers: { "content-type": "application/json" }, body: Buffer.from(refusal(whole)) };
    });
    const wish = { ...spec("n1"), userData: redact(`#cloud-config\n{"ticket": "${planted}"}\n`) };
    const failure = await runPromise(flip(world.client().compute.ensure(wish)));
    expect(failure).toMatchObject({ _tag: "Invalid", message: expect.stringContaining("<redacted>") as string });
    const all = JSON.stringify(failure);
    expect(all).not.toContain(planted);
    expect(all).not.toContain(encoded.slice(30, 50));
    expect(sent.join(" ")).toMatch(new RegExp(`${planted}|${encoded.slice(30, 50)}`));
    const bearer = /Bearer ([\w.~+/=-]+)/.exec(sent.join(" "))?.[1];
    if (bearer !== undefined) expect(all).not.toContain(bearer);
    expect(JSON.stringify(wish)).not.toContain(planted);
    expect(reveal(wish.userData)).toContain(planted);
  });

  it("lets no name or label reach into a filter, a path or a query", async () => {
    const world = make();
    const asked: string[] = [];
    const { compute } = world.client(({ url, body }) => void asked.push(`${url.href} ${Buffer.from(body ?? "").toString()}`));
    const evil = [
      'x" or 1=1',
      "a,aether-cluster!=a",
      "../../projects/other",
      "a&name=b",
      "a\r\nx-evil: 1",
      "a|take 5",
      "a%2Fb",
      "ü",
    ];
    for (const value of evil) {
      const one = spec("n1");
      const labels = { ...one.labels, [labelKeys.node]: value };
      const wishes: readonly Effect<unknown, CloudError>[] = [
        compute.list({ ...clusterLabels("conform"), "aether-x": value }),
        compute.list(clusterLabels(value)),
        compute.ensure({ ...one, key: { ...one.key, node: value }, name: value, labels }),
        compute.ensure({ ...one, key: { ...one.key, cluster: value }, labels: { ...one.labels, [labelKeys.cluster]: value } }),
      ];
      for (const wish of wishes) expect(await runPromise(flip(wish))).toMatchObject({ _tag: "Invalid" });
    }
    // Refused here, before anything is asked.
    expect(asked.filter((text) => !text.includes("/token"))).toEqual([]);
  });

  it("asks nothing outside of its paths for an id that somebody made up", async () => {
    const world = make();
    const asked: URL[] = [];
    const { compute } = world.client((request) => void asked.push(request.url));
    for (const id of ["../../../admin", "n1/../../other", "n1?x=1#y", "a b", "//evil.example/x"]) {
      const failure = await runPromise(flip(compute.get(id as never)));
      expect(["NotFound", "Invalid"]).toContain(failure._tag);
    }
    // An escaped slash stays a part of a name.
    const strange = asked.filter(({ hostname, pathname }) => !vendor.test(hostname) || /\/(admin|other|x)$/.test(pathname));
    expect(strange.map(String)).toEqual([]);
  });

  it("takes an answer of another kind for no answer: a bomb, a page, half a JSON", async () => {
    const bomb =
      '<!DOCTYPE a [<!ENTITY b "bbbb"><!ENTITY c "&b;&b;&b;">]><DescribeInstancesResponse>&c;</DescribeInstancesResponse>';
    for (const text of [bomb, "<html>hello</html>", '{"servers": [', "", "[]", "null"]) {
      const world = make();
      bent(world.fake, (request, response) =>
        isToken(request) ? response : { ...response, status: 200, body: Buffer.from(text) },
      );
      const failure = await runPromise(flip(world.client().compute.list(clusterLabels("conform"))));
      expect(["Transient", "Protocol", "Deadline"]).toContain(failure._tag);
      expect(failure.message).not.toContain("bbbbbbbb");
    }
  });
});
