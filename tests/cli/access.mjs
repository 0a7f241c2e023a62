// What stands between the program and a store: servers that are not there, or are none, or refuse; wrong
// commands; another log. Each has its exit code.

import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { writeFile } from 'node:fs/promises'
import http from 'node:http'
import path from 'node:path'

import { makeDirectory, startServer } from '../lib/server.mjs'
import { sluice } from './program.mjs'
import { makeLines, serve } from './pushing.mjs'

/** An HTTP server that answers everything with `status`, and keeps what it was asked. */
const startRefuser = async (t, status, body = '', headers = {}) => {
  const requests = []
  const server = http.createServer((request, response) => {
    requests.push(request)
    response.writeHead(status, headers).end(body)
  })
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve))
  t.after(() => {
    server.closeAllConnections()
    return new Promise((resolve) => server.close(resolve))
  })
  return { authority: `127.0.0.1:${server.address().port}`, requests }
}

/** A port on which nobody listens: one that was free a moment ago. */
const closedPort = async () => {
  const server = http.createServer()
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address()
  await new Promise((resolve) => server.close(resolve))
  return port
}

export const tests = [
  {
    name: 'ping says how long the answer took, over WebSocket and HTTP',
    async run(t) {
      const { url, port } = await serve(t)
      for (const address of [url, `http://127.0.0.1:${port}`]) {
        const { code, output } = await sluice(t, ['ping', address])
        assert.equal(code, 0)
        assert.match(output, /^answered in \d+ ms\n$/)
      }
    },
  },
  {
    name: 'a server that is not there is 3, for every verb that ends by itself',
    async run(t) {
      const port = await closedPort()
      for (const address of [`ws://127.0.0.1:${port}`, `http://127.0.0.1:${port}`]) {
        for (const verb of ['ping', 'head', 'pull', 'push']) {
          const { code, errors } = await sluice(t, [verb, address, 's', '--timeout', '300ms'], makeLines(1))
          assert.equal(code, 3, errors)
          assert.match(errors, new RegExp(`^sluice ${verb}: .*127.0.0.1:${port}`))
        }
      }
      const { code, errors } = await sluice(t, ['ping', 'ws://nowhere.invalid', '--timeout', '300ms'])
      assert.equal(code, 3)
      assert.match(errors, /nowhere\.invalid/)
    },
  },
  {
    name: 'a web page instead of a sync server is 3 too',
    async run(t) {
      const page = await startRefuser(t, 200, '<html>please log in</html>', { 'content-type': 'text/html' })
      for (const scheme of ['ws', 'http']) {
        const { code, errors } = await sluice(t, ['head', `${scheme}://${page.authority}`, 's', '--timeout=300ms'])
        assert.equal(code, 3, errors)
      }
    },
  },
  {
    name: 'a server that refuses access is 4',
    async run(t) {
      for (const status of [401, 403]) {
        const refuser = await startRefuser(t, status)
        for (const scheme of ['ws', 'http']) {
          const { code, errors } = await sluice(t, ['pull', `${scheme}://${refuser.authority}`, 's'])
          assert.equal(code, 4, errors)
        }
      }
    },
  },
  {
    name: 'headers and payload reach the server, also out of files',
    async run(t) {
      const refuser = await startRefuser(t, 403)
      const file = path.join(await makeDirectory(t), 'secret')
      await writeFile(file, 'Authorization: Bearer abc\n')
      await sluice(t, ['head', `ws://${refuser.authority}/p?q=1`, 'a b', '--header', `@${file}`, '--header=X-A:  1'])
      const { headers, url } = refuser.requests[0]
      assert.equal(headers.authorization, 'Bearer abc')
      assert.equal(headers['x-a'], '1')
      assert.equal(new URL(url, 'http://x').searchParams.get('storeId'), 'a b')
      assert.match(url, /^\/p\?q=1&/)
      await writeFile(file, '{"token":"t"}\n')
      refuser.requests.length = 0
      await sluice(t, ['head', `ws://${refuser.authority}`, 's', '--payload', `@${file}`])
      const payload = new URL(refuser.requests[0].url, 'http://x').searchParams.get('payload')
      assert.match(decodeURIComponent(payload), /^\{"token":"t"\}$/)
    },
  },
  {
    name: 'what is asked wrongly is 2, and says what is wrong',
    async run(t) {
      for (const [args, why] of [
        [[], /usage: sluice VERB/],
        [['sing'], /unknown verb 'sing'/],
        [['pull'], /needs 2 arguments, not 0[^]*usage: sluice pull URL STORE/],
        [['pull', 'ws://x'], /needs 2 arguments, not 1/],
        [['pull', 'ws://x', 's', 'more'], /'more' is one argument too many/],
        [['pull', 'ftp://x', 's'], /ws:\/\//],
        [['pull', 'ws://x', 's', '--speed', '9'], /there is no flag --speed/],
        [['pull', 'ws://x', 's', '--since', 'now'], /--since is 'now'; it takes a number/],
        [['pull', 'ws://x', 's', '--format', 'xml'], /it takes one of: json table/],
        [['pull', 'ws://x', ''], /store/],
        [['pull', 'ws://x', 's', '--payload', '{'], /payload/],
        [['pull', 'ws://x', 's', '--payload', '@/nowhere/at/all'], /cannot read .*No such file/],
        [['pull', 'ws://x', 's', '--header', 'no colon'], /there is no colon/],
        [['pull', 'ws://x', 's', '--header', 'A: \u0001'], /header/],
        [['pull', 'ws://x', 's', ...Array(4).fill(['--header', `${'x'.repeat(100000)}: v`]).flat()], /too long/],
        [['pull', 'wss://x', 's', '--ca', '/nowhere/at/all'], /nowhere/],
      ]) {
        const { code, errors, output } = await sluice(t, args)
        assert.equal(code, 2, `${args}: ${errors}`)
        assert.match(errors, why)
        assert.equal(output, '')
      }
    },
  },
  {
    name: 'an input that is not there is 1',
    async run(t) {
      const { url } = await serve(t)
      for (const [input, why] of [
        ['/nowhere/at/all', /cannot open \/nowhere\/at\/all: No such file/],
        ['/', /cannot read the input: Is a directory/],
      ]) {
        const { code, errors } = await sluice(t, ['push', url, 's', input])
        assert.equal(code, 1)
        assert.match(errors, why)
      }
    },
  },
  {
    name: 'with a state file, another log under the same name is 6',
    async run(t) {
      const directory = await makeDirectory(t)
      const file = path.join(directory, 'state')
      const one = await serve(t)
      const other = await serve(t)
      await sluice(t, ['push', one.url, 's'], makeLines(3))
      await sluice(t, ['push', other.url, 's'], makeLines(3))
      const first = await sluice(t, ['pull', one.url, 's', '--state', file])
      assert.equal(first.code, 0, first.errors)
      assert.equal((await sluice(t, ['pull', one.url, 's', '--state', file, '--since', 1])).code, 0)
      const pull = await sluice(t, ['pull', other.url, 's', '--state', file, '--since', 1])
      assert.equal(pull.code, 6, pull.errors)
      const push = await sluice(t, ['push', other.url, 's', '--state', file], makeLines(1))
      assert.equal(push.code, 6, push.errors)
    },
  },
  {
    name: 'a certificate is checked, and can be given or passed over',
    async run(t) {
      const directory = await makeDirectory(t)
      const [key, cert] = ['key', 'cert'].map((name) => path.join(directory, name))
      execFileSync('openssl', [
        ...['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-days', '2'],
        ...['-subj', '/CN=localhost', '-addext', 'subjectAltName=DNS:localhost,IP:127.0.0.1'],
        ...['-keyout', key, '-out', cert],
      ], { stdio: 'ignore' })
      const data = await makeDirectory(t)
      const server = await startServer(t, { data, flags: ['--tls-cert', cert, '--tls-key', key] })
      const url = `wss://127.0.0.1:${server.port}`
      const refused = await sluice(t, ['ping', url, '--timeout', '500ms'])
      assert.equal(refused.code, 3)
      assert.match(refused.errors, /certificate/)
      assert.equal((await sluice(t, ['ping', url, '--ca', cert])).code, 0)
      assert.equal((await sluice(t, ['ping', url, '--insecure'])).code, 0)
    },
  },
]
