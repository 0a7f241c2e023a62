// Networks that do not do what they should: nobody there, nobody who answers, names that mean nothing,
// certificates that prove nothing, silence.

import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import net from 'node:net'
import path from 'node:path'

import { makeDirectory } from '../lib/server.mjs'
import { checkEvents, startDriver } from './lib/driver.mjs'
import { chunk, makeEvent, makeEvents, page, startFakeServer } from './lib/fake_server.mjs'
import { first, survive } from './lib/survive.mjs'

/** A port that nobody listens on. */
const freePort = async () => {
  const listener = net.createServer().listen(0, '127.0.0.1')
  await once(listener, 'listening')
  const { port } = listener.address()
  await new Promise((resolve) => listener.close(resolve))
  return port
}

/** A self-signed certificate for a name. */
const makeCertificate = async (t, subject) => {
  const directory = await makeDirectory(t)
  const [key, cert] = ['key.pem', 'cert.pem'].map((name) => path.join(directory, name))
  const words = ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '2']
  execFileSync('openssl', [...words, '-keyout', key, '-out', cert, '-subj', '/CN=test', '-addext', `subjectAltName=${subject}`], {
    stdio: 'ignore',
  })
  return { key: readFileSync(key), cert: readFileSync(cert), path: cert }
}

/** What `connect` is told of a URL. */
const connectTo = async (t, url, options = {}) => {
  const driver = await startDriver(t, url, 'store', options)
  driver.do('connect')
  const told = await driver.told('connect')
  driver.do('connected')
  assert.equal((await driver.told('connected')).connected, told.status === 'OK')
  return told
}

export const tests = [
  {
    name: 'where nobody listens, a client is offline, says why, and is there when somebody does',
    run: async (t) => {
      const port = await freePort()
      const driver = await startDriver(t, `ws://127.0.0.1:${port}`, 'store')
      driver.do('connect')
      const told = await driver.told('connect')
      assert.equal(told.status, 'OFFLINE')
      assert.match(told.message, new RegExp(`127.0.0.1.*${port}.*refuse`))
      driver.do('pull 1 0 live')
      await startFakeServer(t, { log: makeEvents(4), port })
      await driver.until('the events', () => driver.events(1).length === 4)
      checkEvents(driver.events(1), 4)
    },
  },
  {
    name: 'a name that means nothing is told',
    run: async (t) => {
      const told = await connectTo(t, 'ws://nowhere.invalid', { operation_timeout_ms: 20_000 })
      assert.equal(told.status, 'OFFLINE')
      assert.match(told.message, /nowhere\.invalid/)
    },
  },
  {
    name: 'a certificate that nobody vouches for is refused, and trusted when it is given',
    run: async (t) => {
      const certificate = await makeCertificate(t, 'IP:127.0.0.1')
      const server = await startFakeServer(t, { certificate, log: makeEvents(2) })
      const told = await connectTo(t, server.ws)
      assert.equal(told.status, 'OFFLINE')
      assert.match(told.message, /certificate/)
      assert.equal(server.requests.length, 0)
      assert.equal((await connectTo(t, server.ws, { tls_ca_path: certificate.path })).status, 'OK')
    },
  },
  {
    name: 'a certificate of another host is refused',
    run: async (t) => {
      const certificate = await makeCertificate(t, 'DNS:elsewhere.example')
      const server = await startFakeServer(t, { certificate })
      const told = await connectTo(t, server.ws, { tls_ca_path: certificate.path })
      assert.equal(told.status, 'OFFLINE')
      assert.match(told.message, /certificate/)
    },
  },
  {
    name: 'over TLS, everything is as without',
    run: async (t) => {
      const certificate = await makeCertificate(t, 'IP:127.0.0.1')
      for (const transport of ['ws', 'http']) {
        await survive(t, { transport, server: { certificate }, options: { tls_ca_path: certificate.path } })
      }
    },
  },
  {
    name: 'a server without TLS is told from one with it',
    run: async (t) => {
      const complain = ({ socket }) => {
        socket.on('data', () => socket.end('HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n'))
        return true
      }
      const plain = await startFakeServer(t, { hooks: { accepted: complain } })
      const told = await connectTo(t, `wss://127.0.0.1:${plain.port}`)
      assert.equal(told.status, 'OFFLINE')
      assert.match(told.message, /TLS/)
      const secure = await startFakeServer(t, { certificate: await makeCertificate(t, 'IP:127.0.0.1') })
      assert.equal((await connectTo(t, `ws://127.0.0.1:${secure.port}`)).status, 'OFFLINE')
    },
  },
  ...[
    ['takes the connection and says nothing', { accepted: () => true }, 'ws'],
    ['takes the handshake and says nothing', { head: () => true }, 'ws'],
    ['says nothing during TLS', { accepted: () => true }, 'wss'],
  ].map(([what, hooks, scheme]) => ({
    name: `a server that ${what} is given up after the connect time-out`,
    run: async (t) => {
      const server = await startFakeServer(t, { hooks })
      const told = await connectTo(t, `${scheme}://127.0.0.1:${server.port}`, { connect_timeout_ms: 200 })
      assert.equal(told.status, 'OFFLINE')
    },
  })),
  {
    name: 'a connection that goes silent is noticed by a ping, and the pull goes on over another one',
    run: async (t) => {
      let silent = false
      const hooks = { message: (conn) => silent && conn.number === 1 }
      const options = { ping_interval_ms: 400, ping_timeout_ms: 200 }
      const { server, driver } = await survive(t, {
        hooks,
        options,
        after: ({ driver }) => {
          silent = true
          return driver.told('connection', { fits: ({ connected }) => !connected })
        },
      })
      assert.ok(server.connections.length >= 2)
      assert.match(driver.all('connection', ({ connected }) => !connected)[0].message, /heard|silen/)
    },
  },
  {
    name: 'a server that sends no Pong but events is there',
    run: async (t) => {
      const hooks = { message: (conn, { _tag }) => _tag === 'Ping' }
      const server = await startFakeServer(t, { hooks, log: makeEvents(1) })
      const driver = await startDriver(t, server.ws, 'store', { ping_interval_ms: 3000, ping_timeout_ms: 2500 })
      driver.do('pull 1 0 live')
      let n = 2
      const timer = setInterval(() => server.append([makeEvent(n++)]), 100)
      t.after(() => clearInterval(timer))
      await driver.until('a ping and then events', () => server.count('Ping') >= 3 || n > 60, { timeoutMs: 60_000 })
      clearInterval(timer)
      assert.equal(server.connections.length, 1)
      await driver.until('all events', () => driver.events(1).length === n - 1)
      checkEvents(driver.events(1), n - 1)
    },
  },
  {
    name: 'a pull whose pages do not come is asked for again',
    run: async (t) => {
      for (const transport of ['ws', 'http']) {
        const hooks = { message: first('Pull', () => {}) }
        await survive(t, { transport, hooks, options: { request_timeout_ms: 300 } })
      }
    },
  },
  {
    name: 'a catch-up that stops half-way is gone on with after the last event that came',
    run: async (t) => {
      const hooks = {
        message: first('Pull', (conn, { id }) => {
          conn.send(chunk(id, page([makeEvent(1), makeEvent(2)], { more: 'MoreKnown', remaining: 3 })))
        }),
      }
      const { server } = await survive(t, { hooks, options: { request_timeout_ms: 300 } })
      const second = server.messages.filter(({ message }) => message.tag?.endsWith('Pull'))[1].message
      assert.equal(second.payload.cursor.value.eventSequenceNumber, 2)
    },
  },
  {
    name: 'an outbox commits offline, outlives a kill, and is pushed once when there is a server',
    run: async (t) => {
      const port = await freePort()
      const outbox = path.join(await makeDirectory(t), 'outbox')
      const url = `ws://127.0.0.1:${port}`
      const before = await startDriver(t, url, 'store', { outbox_path: outbox })
      for (const n of [1, 2, 3]) before.do(`commit me made {"n":${n}}`)
      await before.told('committed', { nth: 3 })
      await before.kill()
      const server = await startFakeServer(t, { port, strict: true, hooks: { message: first('Push', (conn, { payload }) => {
        conn.server.append(payload.batch)
        conn.cut()
      }) } })
      const after = await startDriver(t, url, 'store', { outbox_path: outbox })
      await after.until('all are confirmed', () => after.events().length === 3)
      checkEvents(server.log, 3)
      assert.equal(after.all('advanced').reduce((sum, { own }) => sum + own, 0), 3)
      await after.until('nothing is pending', async () => {
        const nth = after.all('status').length + 1
        after.do('status')
        return (await after.told('status', { nth })).pending === 0
      })
    },
  },
]
