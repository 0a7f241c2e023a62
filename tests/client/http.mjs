// HTTP answers that are not what a client hopes for: over polling, and to a WebSocket's handshake.

import assert from 'node:assert/strict'

import { checkEvents, runSluice, startDriver } from './lib/driver.mjs'
import { chunk, fail, makeEvents, page, startFakeServer, success } from './lib/fake_server.mjs'
import { first, survive } from './lib/survive.mjs'

const html = '<!doctype html><title>Welcome to the hotel</title><p>Please accept our terms.'
const json = { 'content-type': 'application/json' }
const answerOf = ({ server }, { id }) => [chunk(id, page(server.log)), success(id, null)]

const bodies = {
  'an empty body': (conn) => conn.respond(200, '', json),
  'an empty array': (conn) => conn.respond(200, '[]', json),
  'an object instead of an array': (conn, message) => conn.respond(200, JSON.stringify(answerOf(conn, message)[0]), json),
  'a line for each message': (conn, message) => {
    conn.respond(200, answerOf(conn, message).map((one) => `${JSON.stringify(one)}\n`).join(''), json)
  },
  'messages without an exit': (conn, message) => conn.send(answerOf(conn, message)[0]),
  'an array that is cut off': (conn, message) => {
    const body = JSON.stringify(answerOf(conn, message))
    conn.raw(`HTTP/1.1 200 OK\r\ncontent-length: ${body.length}\r\n\r\n${body.slice(0, -60)}`)
    conn.end()
  },
  'no content type': (conn, message) => conn.respond(200, JSON.stringify(answerOf(conn, message))),
  'the id as a number': (conn, { id }) => {
    conn.respond(200, JSON.stringify([chunk(Number(id), page(conn.server.log)), success(Number(id), null)]), json)
  },
  'a body in chunks': (conn, message) => {
    const body = JSON.stringify(answerOf(conn, message))
    conn.raw('HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n')
    for (let at = 0; at < body.length; at += 50) {
      const piece = body.slice(at, at + 50)
      conn.raw(`${piece.length.toString(16)}\r\n${piece}\r\n`)
    }
    conn.raw('0\r\n\r\n')
  },
  'a body that ends with its connection': (conn, message) => {
    conn.raw(`HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n${JSON.stringify(answerOf(conn, message))}`)
    conn.end()
  },
  'a cut': (conn) => conn.cut(),
  'an end without an answer': (conn) => conn.end(),
  'a defect': (conn) => conn.respond(200, JSON.stringify([{ _tag: 'Defect', defect: 'it broke' }]), json),
  'an unknown error': (conn, { id }) => conn.send(fail(id, { _tag: 'UnknownError', cause: 'so' })),
  'garbage': (conn) => conn.respond(200, '<%$§', json),
  'garbage instead of a head': (conn) => conn.raw('I am not a web server\r\n\r\n'),
  'a captive portal': (conn) => conn.respond(200, html, { 'content-type': 'text/html; charset=utf-8' }),
  'half a head': (conn) => (conn.raw('HTTP/1.1 200'), conn.end()),
}

const failing = [301, 302, 307, 400, 401, 403, 404, 408, 429, 500, 502, 503, 504]
const location = { location: 'http://127.0.0.1:1/elsewhere' }

/** Refuses the first `times` requests or handshakes with a status. */
const refusing = (status, { times = 1, body = 'no', headers = {} } = {}) => {
  let left = times
  return {
    head: (conn) => {
      if (left-- <= 0) return false
      conn.respond(status, body, { connection: 'close', ...headers })
      conn.end()
      return true
    },
  }
}

/** What a pull that is not live, a push and a ping end with where everything is refused with a status. */
const endings = async (t, status, transport, headers = {}) => {
  const server = await startFakeServer(t, { hooks: refusing(status, { times: Infinity, headers }) })
  const driver = await startDriver(t, server[transport], 'store', { operation_timeout_ms: 300 })
  for (const command of ['pull 1 0 once', 'push 1 1 0 10', 'ping']) driver.do(command)
  return Promise.all(['ended', 'pushed', 'ping'].map((what) => driver.told(what)))
}

export const tests = [
  ...Object.entries(bodies).map(([what, fault]) => ({
    name: `over HTTP, a pull that is answered by ${what} still brings every event once`,
    run: (t) => survive(t, { hooks: { message: first('Pull', fault) }, transport: 'http' }),
  })),
  ...['ws', 'http'].flatMap((transport) => [
    ...failing.map((status) => ({
      name: `over ${transport}, a server that answers ${status} at first is asked again`,
      run: (t) => survive(t, { hooks: refusing(status, { times: 2, headers: status < 400 ? location : {} }), transport }),
    })),
    {
      name: `over ${transport}, a captive portal's page is no server, and a live pull waits for a real one`,
      run: async (t) => {
        const hooks = refusing(200, { times: 2, body: html, headers: { 'content-type': 'text/html' } })
        const { driver } = await survive(t, { hooks, transport })
        assert.match(driver.all('connection', ({ connected }) => !connected)[0].message, /captive portal/)
      },
    },
    {
      name: `over ${transport}, Retry-After is waited for`,
      run: async (t) => {
        for (const status of [429, 503]) {
          const hooks = refusing(status, { headers: { 'retry-after': '1' } })
          const { driver } = await survive(t, { hooks, transport })
          const [down] = driver.all('connection', ({ connected }) => !connected)
          assert.equal(down.retryAfterMs, 1000)
          assert.ok(down.retryInMs >= 1000, `${down.retryInMs} ms`)
          assert.equal(down.httpStatus, status)
        }
      },
    },
    {
      name: `over ${transport}, 401 and 403 end what waits with UNAUTHORIZED, and leave a live pull alone`,
      run: async (t) => {
        for (const status of [401, 403]) {
          for (const told of await endings(t, status, transport)) {
            assert.equal(told.status, 'UNAUTHORIZED', told.what)
            assert.equal(told.httpStatus, status)
          }
          await survive(t, { hooks: refusing(status, { times: 3 }), transport })
        }
      },
    },
    {
      name: `over ${transport}, 500, 503 and a redirect end what waits in vain with OFFLINE`,
      run: async (t) => {
        for (const status of [500, 503, 302]) {
          for (const told of await endings(t, status, transport, status === 302 ? location : {})) {
            assert.equal(told.status, 'OFFLINE', `${told.what} at ${status}`)
            if (told.what !== 'ping') assert.equal(told.httpStatus, status)
          }
        }
      },
    },
  ]),
  {
    name: 'a status that refuses counts, not the messages in its body',
    run: async (t) => {
      const body = JSON.stringify([fail('1', { _tag: 'UnknownError', cause: 'x' })])
      for (const status of [401, 403, 429, 503]) {
        await survive(t, { hooks: refusing(status, { body, headers: json }), transport: 'http' })
      }
    },
  },
  {
    name: 'over HTTP, a push whose answer is cut off is stored once',
    run: async (t) => {
      for (const strict of [false, true]) {
        const fault = (conn, { payload }) => {
          conn.server.append(payload.batch)
          conn.raw('HTTP/1.1 200 OK\r\ncontent-length: 90\r\n\r\n[{"_tag":"Ex')
          conn.cut()
        }
        await survive(t, { hooks: { message: first('Push', fault) }, transport: 'http', server: { strict } })
      }
    },
  },
  {
    name: 'the headers and the payload go with every request and handshake',
    run: async (t) => {
      for (const transport of ['ws', 'http']) {
        const options = { 'header:authorization': 'Bearer 17', payload_json: '{"token":"a b"}' }
        const { server } = await survive(t, { transport, options })
        for (const { headers, target } of server.requests) {
          assert.equal(headers.authorization, 'Bearer 17')
          const payload = new URL(target, 'http://h').searchParams.get('payload')
          assert.deepEqual(JSON.parse(decodeURIComponent(payload)), { token: 'a b' })
        }
      }
    },
  },
  {
    name: 'the command line ends with the code of what went wrong',
    run: async (t) => {
      const refused = await startFakeServer(t, { hooks: refusing(401, { times: Infinity }) })
      const portal = await startFakeServer(t, {
        hooks: refusing(200, { times: Infinity, body: html, headers: { 'content-type': 'text/html' } }),
      })
      const good = await startFakeServer(t, { log: makeEvents(3) })
      const quick = ['--timeout', '300ms']
      assert.equal((await runSluice(['pull', refused.ws, 'store', ...quick])).code, 4)
      const hotel = await runSluice(['pull', portal.http, 'store', ...quick])
      assert.equal(hotel.code, 3)
      assert.match(hotel.errors, /captive portal/)
      const pulled = await runSluice(['pull', good.ws, 'store'])
      assert.equal(pulled.code, 0)
      checkEvents(pulled.output.trim().split('\n').map((line) => JSON.parse(line)), 3)
      const line = `${JSON.stringify({ ...makeEvents(2)[1], args: { other: true } })}\n`
      assert.equal((await runSluice(['push', good.ws, 'store', '-'], { input: line })).code, 5)
    },
  },
]
