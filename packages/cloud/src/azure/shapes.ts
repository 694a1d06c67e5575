/** Of the vendor's objects what the provider reads. Names are the vendor's. */
import * as Schema from "effect/Schema";

const optional = Schema.optionalKey;
const Tags = Schema.Record(Schema.String, Schema.String);
const Ref = Schema.Struct({ id: Schema.String });
const Status = Schema.Struct({ code: optional(Schema.String), message: optional(Schema.String) });
export const StatusesShape = Schema.Struct({ statuses: optional(Schema.Array(Status)) });

export const MachineShape = Schema.Struct({
  id: Schema.String,
  name: Schema.String,
  location: Schema.String,
  zones: optional(Schema.Array(Schema.String)),
  tags: optional(Tags),
  properties: Schema.Struct({
    vmId: Schema.String,
    provisioningState: Schema.String,
    timeCreated: Schema.String,
    hardwareProfile: Schema.Struct({ vmSize: Schema.String }),
    storageProfile: optional(Schema.Struct({ osDisk: optional(Schema.Struct({ managedDisk: optional(Ref) })) })),
    networkProfile: optional(Schema.Struct({ networkInterfaces: optional(Schema.Array(Ref)) })),
    instanceView: optional(StatusesShape),
  }),
});
export type Machine = typeof MachineShape.Type;

/** What a list of statuses shows of a machine: who it is and how it is, without tags. */
export const MachineStatusShape = Schema.Struct({
  id: Schema.String,
  properties: Schema.Struct({ vmId: optional(Schema.String), instanceView: optional(StatusesShape) }),
});

/** A card's own address is there, and that of its public address only where it was asked to be shown too. */
export const CardShape = Schema.Struct({
  id: Schema.String,
  properties: Schema.Struct({
    virtualMachine: optional(Ref),
    ipConfigurations: optional(
      Schema.Array(
        Schema.Struct({
          properties: optional(
            Schema.Struct({
              privateIPAddress: optional(Schema.String),
              subnet: optional(Ref),
              publicIPAddress: optional(
                Schema.Struct({ id: Schema.String, properties: optional(Schema.Struct({ ipAddress: optional(Schema.String) })) }),
              ),
            }),
          ),
        }),
      ),
    ),
  }),
});
export type Card = typeof CardShape.Type;

export const PublicAddressShape = Schema.Struct({
  id: Schema.String,
  properties: Schema.Struct({ ipAddress: optional(Schema.String) }),
});

export const TagsShape = Schema.Struct({ properties: Schema.Struct({ tags: optional(Tags) }) });

export const SubscriptionShape = Schema.Struct({
  subscriptionId: Schema.String,
  displayName: optional(Schema.String),
  state: optional(Schema.String),
});
export const GroupShape = Schema.Struct({ name: Schema.String, location: Schema.String });
export const PermissionShape = Schema.Struct({
  actions: optional(Schema.Array(Schema.String)),
  notActions: optional(Schema.Array(Schema.String)),
});
export const UsageShape = Schema.Struct({
  name: Schema.Struct({ value: optional(Schema.String), localizedValue: optional(Schema.String) }),
  currentValue: Schema.Number,
  limit: Schema.Number,
});
export const SkuShape = Schema.Struct({
  resourceType: optional(Schema.String),
  name: optional(Schema.String),
  family: optional(Schema.String),
  locationInfo: optional(
    Schema.Array(Schema.Struct({ location: optional(Schema.String), zones: optional(Schema.Array(Schema.String)) })),
  ),
  capabilities: optional(Schema.Array(Schema.Struct({ name: optional(Schema.String), value: optional(Schema.String) }))),
  restrictions: optional(
    Schema.Array(
      Schema.Struct({
        type: optional(Schema.String),
        reasonCode: optional(Schema.String),
        restrictionInfo: optional(
          Schema.Struct({ locations: optional(Schema.Array(Schema.String)), zones: optional(Schema.Array(Schema.String)) }),
        ),
      }),
    ),
  ),
});
export const NamedShape = Schema.Struct({ name: Schema.String });

const AddressState = Schema.Literals(["None", "Up", "Down"]);
export const PoolAddressShape = Schema.Struct({
  name: Schema.String,
  properties: optional(
    Schema.Struct({
      ipAddress: optional(Schema.String),
      virtualNetwork: optional(Ref),
      subnet: optional(Ref),
      loadBalancerFrontendIPConfiguration: optional(Ref),
      adminState: optional(AddressState),
    }),
  ),
});
export type PoolAddress = typeof PoolAddressShape.Type;
export const PoolShape = Schema.Struct({
  name: Schema.String,
  etag: Schema.String,
  properties: Schema.Struct({
    location: optional(Schema.String),
    drainPeriodInSeconds: optional(Schema.Number),
    virtualNetwork: optional(Ref),
    syncMode: optional(Schema.String),
    loadBalancerBackendAddresses: optional(Schema.Array(PoolAddressShape)),
  }),
});
export type Pool = typeof PoolShape.Type;
