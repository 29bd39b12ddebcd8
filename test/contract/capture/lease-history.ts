/** Who held which shard when, as the database itself saw it, and what must hold of it. */
import type { Source } from '../../support/source.ts'

export interface Lease {
  readonly shard: number
  readonly owner: string
  readonly epoch: number
  /** Milliseconds since 1970, by the clock of this machine. */
  readonly at: number
  readonly until: number
}

/** What a capture did under a lease that it believed in. */
export interface Deed {
  readonly what: 'publish' | 'acknowledge'
  readonly shard: number
  readonly owner: string
  /** Of an acknowledgement that was granted. */
  readonly epoch: number | null
  readonly at: number
}

export interface LeaseHistory {
  leases(): Promise<readonly Lease[]>
}

/** From here on each change of a lease is written down. */
export async function keepLeaseHistory(source: Source): Promise<LeaseHistory> {
  await source.run(`
    create table public.lease_history (nr serial primary key, shard int, owner text, epoch bigint, at timestamptz, until timestamptz);
    create function public.keep_lease() returns trigger language plpgsql security definer set search_path = '' as $$
    begin
      insert into public.lease_history (shard, owner, epoch, at, until) values (new.shard, new.owner, new.epoch, clock_timestamp(), new.leased_until);
      return null;
    end $$;
    create trigger keep_lease after update on afluente.shards for each row
      when ((old.owner, old.epoch, old.leased_until) is distinct from (new.owner, new.epoch, new.leased_until)) execute function public.keep_lease()`)
  return {
    leases: async () => {
      const rows = await source.run(`
        select shard, owner, epoch, extract(epoch from at) * 1000 as at, extract(epoch from until) * 1000 as until
        from public.lease_history order by nr`)
      return rows.map(({ at, epoch, owner, shard, until }) => ({
        shard: Number(shard),
        owner: owner ?? '',
        epoch: Number(epoch),
        at: Number(at),
        until: Number(until),
      }))
    },
  }
}

/** One holder at a time, and a new epoch for each. */
export function brokenLeases(leases: readonly Lease[]): readonly string[] {
  const last = new Map<number, Lease>()
  const broken: string[] = []
  for (const lease of leases) {
    const former = last.get(lease.shard)
    last.set(lease.shard, lease)
    if (former === undefined || former.owner === lease.owner) continue
    if (former.until > lease.at) broken.push(`shard ${lease.shard} was taken from its holder ${Math.round(former.until - lease.at)} ms before the lease ended`)
    if (lease.epoch <= former.epoch) broken.push(`shard ${lease.shard} was taken under epoch ${lease.epoch} after ${former.epoch}`)
  }
  return broken
}

/** What was done is done by the holder of that moment. A moment of this process is cut to whole milliseconds, so it counts as the end of its own as well. */
export function brokenDeeds(deeds: readonly Deed[], leases: readonly Lease[]): readonly string[] {
  const byShard = Map.groupBy(leases, ({ shard }) => shard)
  return deeds.flatMap(({ at, epoch, owner, shard, what }) => {
    const history = byShard.get(shard) ?? []
    const lastBefore = (moment: number) => history[history.findLastIndex((lease) => lease.at <= moment)]
    const lease = lastBefore(at)
    if (what === 'acknowledge') {
      const over = epoch !== null && (lease?.epoch ?? 0) > epoch
      return over ? [`an acknowledgement under epoch ${epoch} of shard ${shard} was granted under epoch ${lease?.epoch}`] : []
    }
    if ([lease, lastBefore(at + 1)].some((one) => one?.owner === owner && one.until >= at)) return []
    return [`a request to Kafka for shard ${shard} began ${lease?.owner === owner ? 'after the lease had run out' : 'when somebody else held it'}`]
  })
}
