/** What is read of Hetzner's answers. Its other fields are ignored. */
import * as Schema from "effect/Schema";

const Id = Schema.Int;
const Named = Schema.Struct({ name: Schema.String });

export const ActionShape = Schema.Struct({
  id: Id,
  command: Schema.String,
  status: Schema.Literals(["running", "success", "error"]),
  error: Schema.NullOr(Schema.Struct({ code: Schema.String, message: Schema.String })),
});
export type Action = typeof ActionShape.Type;

const AddressShape = Schema.NullOr(Schema.Struct({ ip: Schema.String }));

export const ServerShape = Schema.Struct({
  id: Id,
  name: Schema.String,
  status: Schema.String,
  created: Schema.String,
  public_net: Schema.Struct({ ipv4: AddressShape, ipv6: AddressShape }),
  private_net: Schema.Array(Schema.Struct({ ip: Schema.optional(Schema.String) })),
  server_type: Named,
  // `datacenter` was replaced by `location` in 2026; either says where it is.
  location: Schema.optional(Named),
  datacenter: Schema.optional(Schema.NullOr(Schema.Struct({ location: Named }))),
  labels: Schema.Record(Schema.String, Schema.String),
});
export type Server = typeof ServerShape.Type;

export const CertificateShape = Schema.Struct({
  id: Id,
  name: Schema.String,
  type: Schema.optional(Schema.String),
  certificate: Schema.NullOr(Schema.String),
  domain_names: Schema.Array(Schema.String),
  not_valid_before: Schema.NullOr(Schema.String),
  not_valid_after: Schema.NullOr(Schema.String),
  status: Schema.optional(Schema.NullOr(Schema.Struct({ issuance: Schema.optional(Schema.String) }))),
  labels: Schema.Record(Schema.String, Schema.String),
});
export type HetznerCertificate = typeof CertificateShape.Type;

const TargetShape = Schema.Struct({
  type: Schema.String,
  server: Schema.optional(Schema.Struct({ id: Id })),
  health_status: Schema.optional(Schema.Array(Schema.Struct({ status: Schema.optional(Schema.String) }))),
});

export const BalancerShape = Schema.Struct({
  id: Id,
  name: Schema.String,
  private_net: Schema.Array(Schema.Struct({ network: Schema.optional(Schema.Number) })),
  targets: Schema.Array(TargetShape),
});
export type Balancer = typeof BalancerShape.Type;

const Pagination = Schema.Struct({ next_page: Schema.NullOr(Schema.Int), total_entries: Schema.NullOr(Schema.Int) });
/** The paging part, which every list has. */
export const PageShape = Schema.Struct({ meta: Schema.Struct({ pagination: Pagination }) });

export const NamedList = {
  locations: Schema.Struct({ locations: Schema.Array(Named) }),
  server_types: Schema.Struct({
    server_types: Schema.Array(
      Schema.Struct({
        name: Schema.String,
        architecture: Schema.optional(Schema.String),
        prices: Schema.Array(Schema.Struct({ location: Schema.String, price_hourly: Schema.Struct({ net: Schema.String }) })),
      }),
    ),
  }),
  images: Schema.Struct({ images: Schema.Array(Schema.Struct({ name: Schema.NullOr(Schema.String) })) }),
};
