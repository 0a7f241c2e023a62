// push: lines become events, in their order, on top of the head.

import assert from 'node:assert/strict'
import { writeFile } from 'node:fs/promises'
import path from 'node:path'

import { until } from '../lib/runner.mjs'
import { makeDirectory, startServer } from '../lib/server.mjs'
import { pullAll } from '../lib/sync_cf.mjs'
import { sluice, startForwarder, startSluice } from './program.mjs'

export const serve = async (t, flags = []) => {
  const data = await makeDirectory(t)
  const server = await startServer(t, { data, flags: ['--log-level', 'error', ...flags] })
  return { server, port: server.port, url: `ws://127.0.0.1:${server.port}` }
}

/** Lines without numbers: the names are `PREFIX1` and on. */
export const makeLines = (count, prefix = 'n', args = (i) => ({ i })) =>
  Array.from({ length: count }, (_, i) => `${JSON.stringify({ name: `${prefix}${i + 1}`, args: args(i) })}\n`).join('')

const names = async (port, storeId) => (await pullAll({ port, storeId })).events.map(({ name }) => name)

export const tests = [
  {
    name: 'lines without numbers are numbered on top of the head, and the last number is told',
    async run(t) {
      const { url, port } = await serve(t)
      const first = await sluice(t, ['push', url, 's'], makeLines(3, 'a'))
      assert.equal(first.code, 0, first.errors)
      assert.match(first.errors, /3 events stored, the last one is 3/)
      assert.equal(first.output, '')
      const second = await sluice(t, ['push', url, 's', '-'], makeLines(1, 'b'))
      assert.match(second.errors, /1 event stored, the last one is 4/)
      const { events } = await pullAll({ port, storeId: 's' })
      assert.deepEqual(
        events.map(({ seqNum, parentSeqNum, name }) => [seqNum, parentSeqNum, name]),
        [
          [1, 0, 'a1'],
          [2, 1, 'a2'],
          [3, 2, 'a3'],
          [4, 3, 'b1'],
        ],
      )
      assert.equal(events[0].clientId, 'sluice')
      assert.notEqual(events[0].sessionId, events[3].sessionId)
    },
  },
  {
    name: 'args arrive as they were written, empty lines do not count, and the last line needs no end',
    async run(t) {
      const { url, port } = await serve(t)
      const args = ['{"a": 9007199254740993, "b":1.0}', '"\\u2028\\ud800"', '[ ]', 'null']
      const input = args.map((text) => `{"args":${text},"name":"n"}`).join('\r\n\n \n')
      const { code, errors } = await sluice(t, ['push', url, 's'], input)
      assert.equal(code, 0, errors)
      const { events } = await pullAll({ port, storeId: 's' })
      assert.deepEqual(
        events.map((event) => event.args),
        args,
      )
    },
  },
  {
    name: 'ten thousand lines of a file arrive, over WebSocket and over HTTP',
    async run(t) {
      const { url, port } = await serve(t)
      const file = path.join(await makeDirectory(t), 'lines')
      await writeFile(file, makeLines(10_000))
      for (const [storeId, transport] of [
        ['w', 'ws'],
        ['h', 'http'],
      ]) {
        const { code, errors } = await sluice(t, ['push', url, storeId, file, '--transport', transport])
        assert.equal(code, 0, errors)
        assert.match(errors, /10000 events stored, the last one is 10000/)
        assert.deepEqual(
          await names(port, storeId),
          Array.from({ length: 10_000 }, (_, i) => `n${i + 1}`),
        )
      }
    },
  },
  {
    name: 'large events arrive: a hundred of 100 kB',
    async run(t) {
      const { url, port } = await serve(t)
      const { code, errors } = await sluice(t, ['push', url, 's'], makeLines(100, 'n', () => 'x'.repeat(100_000)))
      assert.equal(code, 0, errors)
      const { events } = await pullAll({ port, storeId: 's' })
      assert.equal(events.length, 100)
      assert.ok(events.every(({ args }) => args.length === 100_002))
    },
  },
  {
    name: 'a line leaves when it comes, not when the input ends',
    async run(t) {
      const { url } = await serve(t)
      const tail = startSluice(t, ['tail', url, 's'])
      const push = startSluice(t, ['push', url, 's'])
      for (let i = 1; i <= 3; i++) {
        push.write(makeLines(1, `round ${i} `))
        await tail.hasLines(i)
      }
      push.child.stdin.end()
      assert.equal((await push.end()).code, 0)
    },
  },
  {
    name: 'several that push at once all get through, each in its order',
    async run(t) {
      const { url, port } = await serve(t)
      const prefixes = ['a', 'b', 'c']
      const ends = await Promise.all(prefixes.map((prefix) => sluice(t, ['push', url, 's'], makeLines(500, prefix))))
      for (const { code, errors } of ends) assert.equal(code, 0, errors)
      const all = await names(port, 's')
      assert.equal(all.length, 1500)
      for (const prefix of prefixes) {
        assert.deepEqual(
          all.filter((name) => name.startsWith(prefix)),
          Array.from({ length: 500 }, (_, i) => `${prefix}${i + 1}`),
        )
      }
    },
  },
  {
    name: 'the same lines with the same ids twice are two events',
    async run(t) {
      const { url, port } = await serve(t)
      for (let i = 0; i < 2; i++) {
        const { code } = await sluice(t, ['push', url, 's', '--client-id=c', '--session-id', 's'], makeLines(1))
        assert.equal(code, 0)
      }
      const { events } = await pullAll({ port, storeId: 's' })
      assert.deepEqual(
        events.map(({ clientId, sessionId, seqNum }) => [clientId, sessionId, seqNum]),
        [
          ['c', 's', 1],
          ['c', 's', 2],
        ],
      )
    },
  },
  {
    name: 'whole events that are not on top of the head are refused with 5, and told by how much',
    async run(t) {
      const { url, port } = await serve(t)
      await sluice(t, ['push', url, 's'], makeLines(3))
      const event = { seqNum: 3, parentSeqNum: 2, name: 'x', args: null, clientId: '', sessionId: '' }
      const { code, errors } = await sluice(t, ['push', url, 's'], JSON.stringify(event))
      assert.equal(code, 5)
      assert.match(errors, /\b3\b[^]*\b2\b|\b2\b[^]*\b3\b/)
      assert.match(errors, /stopped with 0 events stored/)
      assert.equal((await names(port, 's')).length, 3)
    },
  },
  {
    name: 'a line that is no event ends it with 1, its number and the reason; those before are stored',
    async run(t) {
      const { url, port } = await serve(t)
      const wrong = [
        ['{"name":"x","arg":1}', /line 4: no event has a field 'arg'/],
        ['{"name":"x"', /line 4: JSON: .* at byte 11/],
        ['{"name":"x","seqNum":9,"parentSeqNum":8,"clientId":"","sessionId":""}', /line 4: it has a seqNum, unlike/],
        [`{"name":"x","args":"${'x'.repeat(9 << 20)}"}`, /line 4 has more than \d+ bytes/],
      ]
      for (const [i, [line, why]] of wrong.entries()) {
        const end = await sluice(t, ['push', url, `s${i}`], `${makeLines(3)}${line}\n${makeLines(1)}`)
        assert.equal(end.code, 1)
        assert.match(end.errors, why)
        assert.match(end.errors, /stopped with 3 events stored, the last one is 3/)
        assert.equal((await names(port, `s${i}`)).length, 3)
      }
    },
  },
  {
    name: 'a server that is killed while lines are pushed and comes back gets each once',
    timeoutMs: 60_000,
    async run(t) {
      const data = await makeDirectory(t)
      const target = await startServer(t, { data })
      const state = { port: target.port }
      const url = `ws://127.0.0.1:${await startForwarder(t, state)}`
      const push = startSluice(t, ['push', url, 's'])
      const lines = makeLines(20_000).split(/(?<=\n)/)
      push.write(lines.slice(0, 10_000).join(''))
      await until('some are stored', async () => (await names(state.port, 's')).length > 100)
      target.kill('SIGKILL')
      push.child.stdin.end(lines.slice(10_000).join(''))
      await target.ended
      state.port = (await startServer(t, { data })).port
      const { code, errors } = await push.end()
      assert.equal(code, 0, errors)
      assert.deepEqual(
        await names(state.port, 's'),
        Array.from({ length: 20_000 }, (_, i) => `n${i + 1}`),
      )
    },
  },
]
