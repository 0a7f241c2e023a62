// What a person sees: a bar for long work on a terminal, and nothing of it in pipes and files.

import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { open, readFile } from 'node:fs/promises'
import path from 'node:path'

import { until } from '../lib/runner.mjs'
import { makeDirectory } from '../lib/server.mjs'
import { sluice, startForwarder, startOnTerminal, startShell } from './program.mjs'
import { makeLines, serve } from './pushing.mjs'

const escape = '\u001b'

/** A named pipe whose writer a test is: input that comes when the test wants it to. */
const makeFifo = async (t) => {
  const fifo = path.join(await makeDirectory(t), 'fifo')
  execFileSync('mkfifo', [fifo])
  return fifo
}

export const tests = [
  {
    name: 'a push shows on a terminal how many events are stored, and takes that away at its end',
    async run(t) {
      const { url } = await serve(t)
      const fifo = await makeFifo(t)
      const push = startOnTerminal(t, `"$SLUICE" push ${url} s ${fifo}`)
      const writer = await open(fifo, 'w')
      await writer.write(makeLines(5))
      await push.hasSaid(/\rpush {2}5 events/)
      await writer.close()
      const { code, output } = await push.end()
      assert.equal(code, 0, output)
      assert.match(output, new RegExp(`\\r${escape}\\[Ksluice push: 5 events stored, the last one is 5\\r\\n$`))
    },
  },
  {
    name: 'without a terminal a push draws nothing, however long it takes',
    async run(t) {
      const { url } = await serve(t)
      const fifo = await makeFifo(t)
      const push = startShell(t, `exec "$SLUICE" push ${url} s ${fifo}`)
      const writer = await open(fifo, 'w')
      for (let i = 1; i <= 4; i++) {
        await writer.write(makeLines(1))
        await until('it is stored', async () => (await sluice(t, ['head', url, 's'])).output === `${i}\n`)
      }
      await writer.close()
      const { code, errors, output } = await push.end()
      assert.deepEqual([code, errors, output], [0, 'sluice push: 4 events stored, the last one is 4\n', ''])
    },
  },
  {
    name: 'a pull into a file shows a bar on a terminal; one onto the terminal shows events only',
    timeoutMs: 60_000,
    async run(t) {
      const { url, port } = await serve(t)
      await sluice(t, ['push', url, 's'], makeLines(20_000))
      // A way on which each piece takes a while: the pull is long work on any machine.
      const slow = `ws://127.0.0.1:${await startForwarder(t, { port, pieceMs: 10 })}`
      const file = path.join(await makeDirectory(t), 'events')
      const into = await startOnTerminal(t, `"$SLUICE" pull ${slow} s > ${file}`).end()
      assert.equal(into.code, 0)
      assert.match(into.output, /\rpull {2}\[#* *\] +\d+% {2}\d+ events/)
      assert.ok(into.output.endsWith(`\r${escape}[K`))
      assert.equal((await readFile(file, 'utf8')).split('\n').length, 20_001)
      const onto = await startOnTerminal(t, `"$SLUICE" pull ${slow} s`).end()
      assert.equal(onto.output.includes('\r\n'), true)
      assert.equal(onto.output.includes(escape), false)
      const dumb = await startOnTerminal(t, `"$SLUICE" pull ${slow} s > ${file}`, { TERM: 'dumb' }).end()
      assert.equal(dumb.output, '')
    },
  },
  {
    name: 'Ctrl-C on the terminal ends a tail',
    async run(t) {
      const { url } = await serve(t)
      await sluice(t, ['push', url, 's'], makeLines(1))
      const tail = startOnTerminal(t, `"$SLUICE" tail ${url} s`)
      await tail.hasSaid(/"seqNum":1,/)
      tail.write('\u0003')
      assert.equal((await tail.end()).code, 130)
    },
  },
]
