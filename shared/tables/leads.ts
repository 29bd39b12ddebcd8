import { table } from './table.ts'

export const leads = table({
  schema: 'public',
  name: 'leads',
  key: ['id'],
  columns: {
    id: 'uuid',
    name: 'text',
    email: 'text',
    phone: 'text',
    company: 'text',
    job_title: 'text',
    source: 'text',
    status: 'text',
    score: 'smallint',
    estimated_value: 'numeric(14,2)',
    tags: 'text[]',
    metadata: 'jsonb',
    assigned_to: 'uuid',
    created_at: 'timestamptz',
    updated_at: 'timestamptz',
  },
})
