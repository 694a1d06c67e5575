/**
 * The grammars of names, as regular expressions with the words that explain them. No imports: the commands load this at start.
 *
 * Cluster and node names become parts of DNS names, certificates, cloud labels and cloud instance names. GCP's are the
 * narrowest: lower case, a letter first, 63 characters for `<cluster>-<node>`; so 40 for the cluster and 22 for the node.
 */
export interface Grammar {
  readonly pattern: RegExp;
  /** Completes "expected …". */
  readonly expected: string;
}

export const clusterName: Grammar = {
  pattern: /^[a-z](?:[a-z0-9-]{0,38}[a-z0-9])?$/,
  expected: "1 to 40 lower-case letters, digits and inner hyphens, a letter first",
};

export const nodeName: Grammar = {
  pattern: /^[a-z](?:[a-z0-9-]{0,20}[a-z0-9])?$/,
  expected: "1 to 22 lower-case letters, digits and inner hyphens, a letter first",
};

export const settingKey: Grammar = {
  pattern: /^[a-z][a-z0-9_./-]{0,127}$/,
  expected: "1 to 128 lower-case letters, digits and _ . / -, a letter first",
};

const host = /[A-Za-z0-9][A-Za-z0-9.-]{0,252}|\[[0-9A-Fa-f:.]{2,45}\]/;
const port = /[1-9]\d{0,3}|[1-5]\d{4}|6[0-4]\d{3}|65[0-4]\d\d|655[0-2]\d|6553[0-5]/;

/** Host name, IPv4 or bracketed IPv6, and a port of 1 to 65535. */
export const address: Grammar = {
  pattern: new RegExp(`^(?:${host.source}):(?:${port.source})$`),
  expected: 'host:port, for example "127.0.0.1:7401"',
};

export const clusterId: Grammar = { pattern: /^[0-9a-f]{32}$/, expected: "32 lower-case hex digits" };

export const providers = ["local", "hetzner", "aws", "gcp", "azure"] as const;
export type Provider = (typeof providers)[number];

/** Voters that a cluster may have. More would slow every write without surviving more than three failures is worth. */
export const sizeMax = 7;
