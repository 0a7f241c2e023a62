// Ctrl-C and its like: what was written ends with a whole line, what was pushed is told, and the exit code
// says which signal it was.

import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { open } from 'node:fs/promises'
import path from 'node:path'

import { until } from '../lib/runner.mjs'
import { makeDirectory } from '../lib/server.mjs'
import { pullAll } from '../lib/sync_cf.mjs'
import { sluice, startShell, startSluice } from './program.mjs'
import { makeLines, serve } from './pushing.mjs'

/** Whether a process has a handler for SIGINT: bit 1 of the mask that the kernel shows. */
const catchesInterrupt = (pid) =>
  (Number.parseInt(/^SigCgt:\s*[0-9a-f]*?([0-9a-f])$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))[1], 16) & 2) !== 0

export const tests = [
  {
    name: 'a tail that is interrupted ends with the signal as its exit code',
    async run(t) {
      const { url } = await serve(t)
      await sluice(t, ['push', url, 's'], makeLines(1))
      for (const [signal, expected] of [
        ['SIGINT', 130],
        ['SIGTERM', 143],
        ['SIGHUP', 129],
      ]) {
        const tail = startSluice(t, ['tail', url, 's'])
        await tail.hasLines(1)
        tail.signal(signal)
        const { code, errors } = await tail.end()
        assert.equal(code, expected)
        assert.equal(errors, '')
      }
    },
  },
  {
    name: 'a pull that is interrupted while its reader sleeps writes the line to its end and no more',
    async run(t) {
      const { url } = await serve(t)
      await sluice(t, ['push', url, 's'], makeLines(3000, 'n', () => 'x'.repeat(3001)))
      const fifo = path.join(await makeDirectory(t), 'fifo')
      execFileSync('mkfifo', [fifo])
      const pull = startShell(t, `exec "$SLUICE" pull ${url} s > ${fifo}`)
      const reader = await open(fifo)
      t.after(() => reader.close())
      // It has written something, and cannot get rid of the rest: a pipe holds 64 KiB, and the log has 9 MB.
      const first = Buffer.alloc(1000)
      const { bytesRead } = await reader.read(first)
      pull.signal('SIGINT')
      const rest = await reader.readFile()
      const { code } = await pull.end()
      assert.equal(code, 130)
      const buffer = Buffer.concat([first.subarray(0, bytesRead), rest])
      const lines = buffer.toString().split('\n')
      assert.equal(lines.pop(), '')
      assert.ok(lines.length > 0 && lines.length < 3000, `${lines.length} lines`)
      for (const line of lines) JSON.parse(line)
    },
  },
  {
    name: 'a push that is interrupted tells what is stored, and that is what is stored',
    async run(t) {
      const { url, port } = await serve(t)
      const push = startSluice(t, ['push', url, 's'])
      push.write(makeLines(250) + '{"name":"half')
      await until('they are stored', async () => (await pullAll({ port, storeId: 's' })).events.length === 250)
      push.signal('SIGINT')
      const { code, errors } = await push.end()
      assert.equal(code, 130)
      assert.match(errors, /stopped with 250 events stored, the last one is 250/)
    },
  },
  {
    name: 'a push that is interrupted while the server is away ends at once',
    async run(t) {
      const { url, server } = await serve(t)
      server.kill()
      await server.ended
      const push = startSluice(t, ['push', url, 's', '--timeout', '1h'])
      push.child.stdin.end(makeLines(1))
      await until('it catches signals', () => catchesInterrupt(push.child.pid))
      push.signal('SIGINT')
      const { code, errors } = await push.end()
      assert.equal(code, 130, errors)
      assert.match(errors, /stopped with 0 events stored/)
    },
  },
]
