// pull, tail, head: events become lines, in their order, each once.

import assert from 'node:assert/strict'

import { makeDirectory, startServer } from '../lib/server.mjs'
import { openWsClient } from '../lib/sync_cf.mjs'
import { sluice, startForwarder, startShell, startSluice } from './program.mjs'
import { makeLines, serve } from './pushing.mjs'

const seqNums = (lines) => lines.map((line) => JSON.parse(line).seqNum)
const range = (from, to) => Array.from({ length: to - from + 1 }, (_, i) => from + i)

export const tests = [
  {
    name: 'what pull writes, push reads: a store is copied whole',
    async run(t) {
      const { url } = await serve(t)
      await sluice(t, ['push', url, 'one'], makeLines(2500, 'é"\\', (i) => ({ i, text: 'x'.repeat(i) })))
      const one = await sluice(t, ['pull', url, 'one'])
      assert.equal(one.code, 0, one.errors)
      assert.equal(one.errors, '')
      assert.deepEqual(seqNums(one.lines), range(1, 2500))
      assert.equal((await sluice(t, ['push', url, 'two'], one.output)).code, 0)
      const two = await sluice(t, ['pull', url, 'two', '--transport=http'])
      const plain = (text) => text.replace(/,"createdAt":"[^"]*"/g, '')
      assert.equal(plain(two.output), plain(one.output))
    },
  },
  {
    name: 'a pull since a number gives what is after it; a pull of an empty store gives nothing',
    async run(t) {
      const { url } = await serve(t)
      await sluice(t, ['push', url, 's'], makeLines(10))
      assert.deepEqual(seqNums((await sluice(t, ['pull', url, 's', '--since', 7])).lines), [8, 9, 10])
      assert.deepEqual((await sluice(t, ['pull', url, 's', '--since', 10])).output, '')
      const empty = await sluice(t, ['pull', url, 'empty'])
      assert.deepEqual([empty.code, empty.output], [0, ''])
    },
  },
  {
    name: 'a cursor past the head is an error, not silence',
    async run(t) {
      const { url } = await serve(t)
      await sluice(t, ['push', url, 's'], makeLines(1))
      const { code, errors } = await sluice(t, ['pull', url, 's', '--since', 5])
      assert.equal(code, 1)
      assert.match(errors, /past the store's head/)
    },
  },
  {
    name: 'line breaks inside args stay inside the line',
    async run(t) {
      const { url, server } = await serve(t)
      const client = await openWsClient({ port: server.port, storeId: 's' })
      const event = { name: 'n', args: '{\n"a":\r\n1}', seqNum: 1, parentSeqNum: 0, clientId: '', sessionId: '' }
      assert.ok((await client.push([event])).ok)
      await client.close()
      const { lines } = await sluice(t, ['pull', url, 's'])
      assert.equal(lines.length, 1)
      assert.deepEqual(JSON.parse(lines[0]).args, { a: 1 })
    },
  },
  {
    name: 'a table has a head and a row for each event, and nothing in it controls the terminal',
    async run(t) {
      const { url } = await serve(t)
      await sluice(t, ['push', url, 's'], '{"name":"\\u001b[2J","args":{"a":1}}\n')
      const { lines } = await sluice(t, ['pull', url, 's', '--format', 'table'])
      assert.equal(lines.length, 2)
      assert.match(lines[0], /SEQ .*ARGS$/)
      assert.match(lines[1], / 1 +0 .*\ufffd\[2J.*\{"a":1\}$/)
    },
  },
  {
    name: 'head is the number of the last event, and 0 when there is none',
    async run(t) {
      const { url } = await serve(t)
      assert.deepEqual((await sluice(t, ['head', url, 's'])).output, '0\n')
      await sluice(t, ['push', url, 's'], makeLines(1234))
      assert.deepEqual((await sluice(t, ['head', url, 's'])).output, '1234\n')
      assert.deepEqual((await sluice(t, ['head', url, 's', '--since', 1000])).output, '1234\n')
      assert.deepEqual((await sluice(t, ['head', `http://${url.slice(5)}`, 's'])).output, '1234\n')
    },
  },
  {
    name: 'a live pull begins at the beginning and goes on with what comes',
    async run(t) {
      const { url } = await serve(t)
      await sluice(t, ['push', url, 's'], makeLines(5))
      const pull = startSluice(t, ['pull', url, 's', '--live'])
      await pull.hasLines(5)
      await sluice(t, ['push', url, 's'], makeLines(5))
      await pull.hasLines(10)
      assert.deepEqual(seqNums(pull.lines), range(1, 10))
    },
  },
  {
    name: 'tail begins with the last lines of the log',
    async run(t) {
      const { url } = await serve(t)
      await sluice(t, ['push', url, 's'], makeLines(3000))
      for (const [flags, first] of [
        [[], 2991],
        [['--lines', 2], 2999],
        [['--lines', 0], 3001],
        [['--lines', 5000], 1],
        [['--since', 2998], 2999],
      ]) {
        const tail = startSluice(t, ['tail', url, 's', ...flags])
        await tail.hasLines(3000 - first + 1)
        const head = await sluice(t, ['head', url, 's', '--since', 3000])
        assert.equal(head.output, '3000\n')
        assert.deepEqual(seqNums(tail.lines), range(first, 3000))
        tail.signal('SIGTERM')
        assert.equal((await tail.end()).code, 143)
      }
    },
  },
  {
    name: 'tail survives a server that is killed and started again, and misses and repeats nothing',
    timeoutMs: 90_000,
    async run(t) {
      const data = await makeDirectory(t)
      const target = {}
      const url = `ws://127.0.0.1:${await startForwarder(t, target)}`
      const tail = startSluice(t, ['tail', url, 's'])
      await tail.hasSaid(/trying again/) // nobody is there yet
      for (let round = 1; round <= 3; round++) {
        const server = await startServer(t, { data })
        target.port = server.port
        const direct = `ws://127.0.0.1:${server.port}`
        await sluice(t, ['push', direct, 's'], makeLines(4))
        await tail.hasLines(round * 4)
        target.port = undefined
        server.kill(round === 2 ? 'SIGTERM' : 'SIGKILL')
        await server.ended
      }
      assert.deepEqual(seqNums(tail.lines), range(1, 12))
      assert.match(tail.errors, /connected again/)
      tail.signal('SIGINT')
      assert.equal((await tail.end()).code, 130)
    },
  },
  {
    name: 'a pull of 10,000 events whose connection is cut again and again writes each once, in order',
    timeoutMs: 90_000,
    async run(t) {
      const { url, port } = await serve(t)
      await sluice(t, ['push', url, 's'], makeLines(10_000))
      const cut = `ws://127.0.0.1:${await startForwarder(t, { port, bytesMax: 600_000 })}`
      const pull = await sluice(t, ['pull', cut, 's'])
      assert.equal(pull.code, 0, pull.errors)
      assert.deepEqual(seqNums(pull.lines), range(1, 10_000))
    },
  },
  {
    name: 'a reader that goes away ends a pull without a word',
    async run(t) {
      const { url } = await serve(t)
      await sluice(t, ['push', url, 's'], makeLines(10_000))
      const { output, errors } = await startShell(t, `"$SLUICE" pull ${url} s | head -n 1`).end()
      assert.equal(output.split('\n').length, 2)
      assert.equal(errors, '')
    },
  },
  {
    name: 'output that cannot be written is a failure that says so',
    async run(t) {
      const { url } = await serve(t)
      await sluice(t, ['push', url, 's'], makeLines(1))
      for (const verb of ['pull', 'head']) {
        const { code, errors } = await startShell(t, `exec "$SLUICE" ${verb} ${url} s > /dev/full`).end()
        assert.equal(code, 1)
        assert.match(errors, /cannot write to standard output: No space left/)
      }
    },
  },
]
