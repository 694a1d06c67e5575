import { describe, expect, it } from "vitest";
import { CloudFailure } from "../failure.ts";
import { baseFault, endpointsFrom, isMetadataHost, metadataFrom, onSameOrigin } from "./endpoints.ts";

const vendor = (service: string): string => `https://${service}.vendor.example/v1`;
const base = (env: Record<string, string>, service = "ec2"): string => endpointsFrom("aws", env, vendor).base(service).href;

describe("endpoints", () => {
  it("are the vendor's unless the environment names another, the service's own first", () => {
    expect(base({})).toBe("https://ec2.vendor.example/v1");
    expect(base({ AETHER_AWS_ENDPOINT: "http://127.0.0.1:4500/" })).toBe("http://127.0.0.1:4500/");
    expect(base({ AETHER_AWS_ENDPOINT: "http://127.0.0.1:1", AETHER_AWS_EC2_ENDPOINT: "http://[::1]:2/x/" })).toBe(
      "http://[::1]:2/x",
    );
    expect(base({ AETHER_AWS_ENDPOINT: "" })).toBe("https://ec2.vendor.example/v1");
    expect(base({ AETHER_GCP_ENDPOINT: "http://127.0.0.1:1" })).toBe("https://ec2.vendor.example/v1");
  });

  it.each([
    ["http://api.vendor.example", "is http: and not on this computer"],
    ["http://127.0.0.1.evil.example", "is http: and not on this computer"],
    ["http://169.254.169.254", "is http: and not on this computer"],
    ["https://user:pass@vendor.example", "holds credentials"],
    ["https://vendor.example/?token=x", "has a query"],
    ["ftp://vendor.example", "has scheme ftp:"],
    ["vendor.example", "is no URL"],
  ])("refuse %s", (text, why) => {
    expect(baseFault(text)).toContain(why);
    expect(() => base({ AETHER_AWS_ENDPOINT: text })).toThrowError(CloudFailure);
    expect(() => base({ AETHER_AWS_ENDPOINT: text })).toThrowError(/^AETHER_AWS_ENDPOINT /);
  });

  it("do not repeat credentials that somebody put into a URL", () => {
    expect(baseFault("https://user:hunter2secret@vendor.example")).not.toContain("hunter2secret");
  });
});

describe("a metadata service", () => {
  const own = "http://169.254.169.254/latest";
  const place = (text: string) => metadataFrom("aws", { AETHER_AWS_METADATA_ENDPOINT: text }, own).href;
  it("is the vendor's, or a stand-in on this computer and nowhere else", () => {
    expect(place("")).toBe(own);
    expect(place("http://127.0.0.1:4500/")).toBe("http://127.0.0.1:4500/");
    for (const text of ["https://vendor.example", "http://10.0.0.1", "http://169.254.169.253", "nonsense"]) {
      expect(() => place(text)).toThrowError(/^AETHER_AWS_METADATA_ENDPOINT /);
    }
  });
  it("is spoken to without TLS only at the addresses that never leave the host", () => {
    const known = ["http://169.254.169.254/a", "http://metadata.google.internal/", "http://[fd00:ec2::23]/v1"];
    expect(known.filter((text) => isMetadataHost(new URL(text)))).toEqual(known);
    const strange = ["http://169.254.169.254:8080/", "http://metadata.google.internal.evil.example/", "http://169.254.1.1/"];
    expect(strange.filter((text) => isMetadataHost(new URL(text)))).toEqual([]);
  });
});

describe("a URL that a server gave", () => {
  const trusted = new URL("https://api.vendor.example/v1");
  it("is followed on the same origin", () => {
    expect(onSameOrigin(trusted, "/v1/servers?page=2")?.href).toBe("https://api.vendor.example/v1/servers?page=2");
    expect(onSameOrigin(trusted, "https://api.vendor.example/other")?.href).toBe("https://api.vendor.example/other");
  });
  it.each([
    "https://evil.example/v1",
    "http://api.vendor.example/v1",
    "https://api.vendor.example:8443/v1",
    "//evil.example/v1",
    "https://api.vendor.example@evil.example/",
    "https://me:pw@api.vendor.example/",
    "\\\\evil.example/v1",
    "javascript:alert(1)",
  ])("is not followed to %s", (given) => {
    expect(onSameOrigin(trusted, given)).toBeNull();
  });
});
