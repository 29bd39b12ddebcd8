/** A source database alone, with durable commits, and in it one table twice: as it is, and captured. */
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import pg from 'pg'
import { applySourceMigrations } from '../../infra/deploy/migrate.ts'
import { repository } from '../../infra/local/home.ts'
import { startStack } from '../../infra/local/stack.ts'
import { words } from './report.ts'

/** `plain` and `captured` are the same table, of `public.leads`'s shape. */
export const tables = ['plain', 'captured'] as const
export type Table = (typeof tables)[number]

export interface CaptureSource {
  readonly own: true
  /** As the superuser. */
  readonly source: pg.Pool
  close(): Promise<void>
}

export async function captureSource(signal: AbortSignal): Promise<CaptureSource> {
  const home = await mkdtemp(join(resolve(repository), '.afluente-bench-'))
  const remove = () => rm(home, { recursive: true, force: true })
  try {
    const stack = await startStack({ home, ports: 'free', only: ['postgres'], signal, log: (line) => words(`  ${line}`) })
    const source = new pg.Pool({ connectionString: stack.info.source.url, max: 16, application_name: 'afluente-bench' })
    source.on('error', () => undefined)
    const close = async () => {
      await source.end().catch(() => undefined)
      await stack.stop()
      await remove()
    }
    try {
      await prepare(source, stack.info.source.url)
    } catch (error) {
      await close()
      throw error
    }
    return { own: true, source, close }
  } catch (error) {
    await remove()
    throw error
  }
}

async function prepare(source: pg.Pool, url: string): Promise<void> {
  await source.query(await readFile(join(repository, 'infra/local/postgres/cloud.sql'), 'utf8'))
  const owner = new URL(url)
  owner.username = 'project_owner'
  owner.password = 'project_owner'
  await applySourceMigrations(owner.href)
  await source.query('create schema bench authorization project_owner')
  for (const table of tables) {
    await source.query(`
      create table bench.${table} (like public.leads including all);
      alter table bench.${table} owner to project_owner;
      create trigger set_updated_at before update on bench.${table} for each row execute function public.set_updated_at()`)
  }
  await source.query(`select afluente.capture_table('bench.captured'); select afluente.set_outbox_budget(1::bigint << 40)`)
  await source.query(`alter table afluente.outbox set (autovacuum_enabled = false); alter table bench.plain set (autovacuum_enabled = false)`)
  await source.query(`alter table bench.captured set (autovacuum_enabled = false)`)
}

/** Capture at its work: it holds the lease, so that no bell rings. What waits is taken away between measurements. */
export async function emptyOutbox(source: pg.Pool): Promise<void> {
  await source.query('truncate afluente.outbox')
  await source.query(`update afluente.shards set owner = 'bench', leased_until = 'infinity', settled = 0, horizon_xid = null`)
}
