import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { expectInStep, expectOnceInBronze, insertLeads, mark } from '../../support/leads.ts'
import { eventually } from '../../support/poll.ts'
import { openStack, type StackAccess } from '../../support/stack-access.ts'

let stack: StackAccess
beforeAll(() => {
  stack = openStack()
})
afterEach(() => stack.doorbell('resume'))
afterAll(() => stack.close())

describe('the doorbell carries nothing, so nothing is lost with it', () => {
  test('a lost doorbell: the sweep brings the row', async () => {
    await stack.quiet()
    await stack.doorbell('pause')
    const company = mark('lost doorbell')
    await insertLeads(stack.source, 1, company)
    await stack.source.query('delete from net.http_request_queue')
    await stack.doorbell('resume')
    await expectInStep(stack, company)
  })

  test('a doorbell rung many times moves the row once', async () => {
    const company = mark('doubled doorbell')
    const ids = await insertLeads(stack.source, 1, company)
    const answers = await Promise.all(Array.from({ length: 8 }, () => stack.ring()))
    expect(answers.map((answer) => answer.status)).toEqual(Array.from({ length: 8 }, () => 202))
    await expectInStep(stack, company)
    await expectOnceInBronze(stack, ids, 1)
  })

  test("a commit right after capture's last look waits for the sweep, and comes", async () => {
    await stack.quiet()
    const [first, late] = [mark('first'), mark('after the last look')]
    await insertLeads(stack.source, 1, first)
    await eventually('capture holds its shard', async () => {
      const { rows } = await stack.source.query<{ held: boolean }>('select bool_or(leased_until > clock_timestamp()) as held from afluente.shards')
      return rows[0]?.held === true
    })
    const client = await stack.source.connect()
    await client.query('begin')
    // The trigger sees the lease held and does not ring; the commit comes when nobody looks any more.
    await insertLeads(client, 1, late)
    await stack.quiet()
    await client.query('commit')
    client.release()
    await expectInStep(stack, late)
  })
})
