/** What is read of Google's answers. Their other fields are ignored. Numbers of 64 bits travel as texts. */
import * as Schema from "effect/Schema";

const Text = Schema.String;
const Optional = Schema.optional(Schema.String);
const OptionalInt = Schema.optional(Schema.Int);
const list = <S extends Schema.Top>(item: S) => Schema.optional(Schema.Array(item));

const AccessConfig = Schema.Struct({ natIP: Optional });
const Interface = Schema.Struct({ networkIP: Optional, accessConfigs: list(AccessConfig) });

export const InstanceShape = Schema.Struct({
  id: Text,
  name: Text,
  status: Text,
  statusMessage: Optional,
  creationTimestamp: Text,
  /** A URL; the last part is the zone's name. */
  zone: Text,
  machineType: Text,
  labels: Schema.optional(Schema.Record(Schema.String, Schema.String)),
  labelFingerprint: Optional,
  networkInterfaces: list(Interface),
});
export type GcpInstance = typeof InstanceShape.Type;

const OperationErrors = Schema.Struct({ errors: list(Schema.Struct({ code: Optional, message: Optional })) });

export const OperationShape = Schema.Struct({
  name: Text,
  status: Schema.Literals(["PENDING", "RUNNING", "DONE"]),
  /** The instance that it is about, by its number. */
  targetId: Optional,
  error: Schema.optional(OperationErrors),
});
export type Operation = typeof OperationShape.Type;

const Warning = Schema.Struct({ code: Optional, message: Optional });
export type ListWarning = typeof Warning.Type;

const page = { nextPageToken: Optional, warning: Schema.optional(Warning) };
const aggregated = <S extends Schema.Top>(scoped: S) =>
  Schema.Struct({ ...page, items: Schema.optional(Schema.Record(Schema.String, scoped)), unreachables: list(Text) });

export const InstancePage = aggregated(Schema.Struct({ instances: list(InstanceShape), warning: Schema.optional(Warning) }));

export const GroupShape = Schema.Struct({ name: Text, zone: Optional, networkEndpointType: Optional });
export type EndpointGroup = typeof GroupShape.Type;
export const GroupPage = aggregated(
  Schema.Struct({ networkEndpointGroups: list(GroupShape), warning: Schema.optional(Warning) }),
);

export const EndpointShape = Schema.Struct({ instance: Optional, ipAddress: Optional, port: OptionalInt });
export type Endpoint = typeof EndpointShape.Type;
const EndpointRow = Schema.Struct({
  networkEndpoint: EndpointShape,
  healths: list(Schema.Struct({ healthState: Optional })),
});
export const EndpointPage = Schema.Struct({ ...page, items: list(EndpointRow) });
export type EndpointRow = typeof EndpointRow.Type;

const Deprecated = Schema.Struct({ state: Optional });
export const MachineTypeShape = Schema.Struct({
  name: Text,
  guestCpus: Schema.Int,
  memoryMb: Schema.Int,
  deprecated: Schema.optional(Deprecated),
});
export const ImageShape = Schema.Struct({ name: Text, status: Optional, deprecated: Schema.optional(Deprecated) });
const Quota = Schema.Struct({ metric: Text, limit: Schema.Number, usage: Schema.Number });
export type QuotaRow = typeof Quota.Type;
export const RegionShape = Schema.Struct({ name: Text, status: Optional, quotas: list(Quota), zones: list(Text) });
export const ProjectShape = Schema.Struct({ name: Text });
export const PermissionsShape = Schema.Struct({ permissions: list(Text) });

export const SecretShape = Schema.Struct({
  name: Text,
  payload: Schema.Struct({ data: Optional, dataCrc32c: Schema.optional(Schema.Union([Schema.String, Schema.Number])) }),
});

export const LongOperationShape = Schema.Struct({
  name: Text,
  done: Schema.optional(Schema.Boolean),
  error: Schema.optional(Schema.Struct({ code: OptionalInt, message: Optional })),
});
export type LongOperation = typeof LongOperationShape.Type;

export const CertificateShape = Schema.Struct({
  name: Text,
  labels: Schema.optional(Schema.Record(Schema.String, Schema.String)),
  sanDnsnames: list(Text),
  pemCertificate: Optional,
  expireTime: Optional,
  managed: Schema.optional(Schema.Struct({ state: Optional, domains: list(Text), dnsAuthorizations: list(Text) })),
});
export type GcpCertificate = typeof CertificateShape.Type;
export const CertificatePage = Schema.Struct({
  certificates: list(CertificateShape),
  nextPageToken: Optional,
  unreachable: list(Text),
});

export const AuthorizationShape = Schema.Struct({
  name: Text,
  domain: Text,
  labels: Schema.optional(Schema.Record(Schema.String, Schema.String)),
  dnsResourceRecord: Schema.optional(Schema.Struct({ name: Optional, type: Optional, data: Optional })),
});
export type DnsAuthorization = typeof AuthorizationShape.Type;

/** The last part of a URL or path of Google's, which is the thing's own name. */
export const lastPart = (path: string): string => path.slice(path.lastIndexOf("/") + 1);
