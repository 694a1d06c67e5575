/**
 * List prices of common sizes, for an estimate. Written down in November 2026 from what the vendors' public price pages showed in early
 * 2025, and not checked since: prices change, differ by region, and leave out disks, traffic, taxes and discounts. Hetzner's own API
 * tells today's price, which `aether cloud check` shows.
 */
import type { CloudName } from "@aether/core/config/cloud-settings";

interface PriceList {
  readonly currency: "EUR" | "USD";
  /** Where they hold; other regions are mostly dearer, by up to a third. */
  readonly region: string;
  readonly source: string;
  /** Of a public IPv4 address, an hour. */
  readonly address: number;
  /** An hour, by size in lower case. */
  readonly hourly: Readonly<Record<string, number>>;
}

/** When the lists below were true, as far as known. */
export const pricesAsOf = "early 2025";

const lists: Readonly<Record<CloudName, PriceList>> = {
  hetzner: {
    currency: "EUR",
    region: "fsn1",
    source: "hetzner.com/cloud",
    address: 0.0008,
    hourly: { cx22: 0.0053, cx32: 0.0101, cx42: 0.0255, cx52: 0.0513, cpx11: 0.0063, cpx21: 0.0113, cpx31: 0.021, cpx41: 0.0392 },
  },
  aws: {
    currency: "USD",
    region: "us-east-1",
    source: "aws.amazon.com/ec2/pricing/on-demand",
    address: 0.005,
    hourly: {
      "t3.small": 0.0208,
      "t3.medium": 0.0416,
      "t3.large": 0.0832,
      "t4g.small": 0.0168,
      "t4g.medium": 0.0336,
      "m5.large": 0.096,
      "m6i.large": 0.096,
      "m6a.large": 0.0864,
      "m7g.large": 0.0816,
      "m7i.large": 0.1008,
    },
  },
  gcp: {
    currency: "USD",
    region: "us-central1",
    source: "cloud.google.com/compute/vm-instance-pricing",
    address: 0.005,
    hourly: {
      "e2-small": 0.01675,
      "e2-medium": 0.0335,
      "e2-standard-2": 0.067,
      "e2-standard-4": 0.134,
      "n2-standard-2": 0.0971,
    },
  },
  azure: {
    currency: "USD",
    region: "eastus",
    source: "azure.microsoft.com/pricing/details/virtual-machines",
    address: 0.005,
    hourly: {
      standard_b2s: 0.0416,
      standard_b2ms: 0.0832,
      standard_d2s_v3: 0.096,
      standard_d2s_v5: 0.096,
      standard_d4s_v5: 0.192,
    },
  },
};

export interface Estimate {
  readonly currency: "EUR" | "USD";
  /** Of one machine and its public address; null: not in the list. */
  readonly hourly: number | null;
  /** What it rests on, in words. */
  readonly basis: string;
}

/** What one machine of this size costs an hour, as far as the list tells. */
export function estimateFor(provider: CloudName, size: string, publicIp: boolean): Estimate {
  const { currency, region, source, address, hourly } = lists[provider];
  const price = hourly[size.toLowerCase()];
  const basis = `list price in ${region} of ${pricesAsOf} (${source}), unchecked; without disks, traffic and taxes`;
  if (price === undefined) return { currency, hourly: null, basis: `the price of ${size} is unknown` };
  return { currency, hourly: Math.round((price + (publicIp ? address : 0)) * 1e5) / 1e5, basis };
}

const hoursOfMonth = 730;

/** "some 0.21 USD an hour, 153 USD a month", or that it is unknown. */
export function costText({ currency, hourly }: Pick<Estimate, "currency" | "hourly">, machines: number): string {
  if (hourly === null) return "unknown";
  const all = hourly * machines;
  return `some ${all.toFixed(all < 1 ? 3 : 2)} ${currency} an hour, ${(all * hoursOfMonth).toFixed(0)} ${currency} a month`;
}
