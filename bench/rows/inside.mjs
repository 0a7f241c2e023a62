// What a client does not see: allocations, and what the server asks of the disk before it answers.

import { readFileSync } from 'node:fs'
import path from 'node:path'

import { load, scratch, startSluice, transactionsOf } from '../lib/servers.mjs'

/** Allocations of our own code, counted over a run of so many pushes. */
const allocations = async (pushes) => {
  const server = await startSluice({ program: 'bench/sluice_counting' })
  await load(server, `push --events ${pushes}`)
  return Number(/allocations: (\d+)/.exec(await server.stop())[1])
}

const allocationsPerPush = async () => {
  const [few, many] = [await allocations(1000), await allocations(3000)]
  return { each: (many - few) / 2000 }
}

const traced = async (line) => {
  const trace = path.join(scratch(), 'trace')
  const calls = 'trace=fsync,fdatasync,read,write,writev,sendmsg,sendto,recvfrom,recvmsg'
  const server = await startSluice({ wrap: ['strace', '-D', '-f', '-q', '-s', '200', '-e', calls, '-o', trace] })
  const result = await load(server, line)
  const transactions = transactionsOf(server)
  await server.stop()
  return { ...result, transactions, calls: readFileSync(trace, 'latin1').split('\n') }
}

/** A client that pushes one by one: between a push and its answer the log must have been synced. */
const answersBeforeSync = ({ calls, pushes }) => {
  let answers = 0
  let early = 0
  let synced = false
  for (const call of calls) {
    if (/f(data)?sync(\(| resumed).*= 0$/.test(call)) synced = true
    if (!/_tag.*Exit.*Success/.test(call.replaceAll('\\"', ''))) continue
    answers++
    if (!synced) early++
    synced = false
  }
  if (answers !== pushes) throw new Error(`the trace has ${answers} answers of ${pushes} pushes`)
  return early
}

const syncs = (calls) => calls.filter((call) => /f(data)?sync(\(| resumed).*= 0$/.test(call)).length

const durability = async () => {
  const one = await traced('push --events 300')
  const many = await traced('push --clients 64 --stores 64 --events 50')
  return {
    early: answersBeforeSync(one),
    syncsOfOne: syncs(one.calls) / one.pushes,
    syncsOfMany: syncs(many.calls) / many.transactions,
    group: many.pushes / many.transactions,
  }
}

export const insideRows = () => [
  {
    name: 'allocations a push',
    rounds: 1,
    measures: [{ name: 'malloc, calloc, realloc', of: (result) => result.each, less: true }],
    contenders: { sluice: allocationsPerPush },
  },
  {
    name: 'durability, by strace',
    rounds: 1,
    measures: [
      { name: 'answers before a sync', of: (result) => result.early, less: true, most: 0 },
      { name: 'syncs a push, 1 client', of: (result) => result.syncsOfOne },
      { name: 'syncs a transaction, 64', of: (result) => result.syncsOfMany },
      { name: 'pushes a transaction, 64', of: (result) => result.group },
    ],
    contenders: { sluice: durability },
  },
]
