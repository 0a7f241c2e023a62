// A server that answers a push in ways that it should not, or not at all.

import assert from 'node:assert/strict'

import { checkEvents, startDriver } from './lib/driver.mjs'
import { ahead, exit, fail, failure, frame, makeEvents, startFakeServer, success } from './lib/fake_server.mjs'
import { first, survive } from './lib/survive.mjs'

const stores = (conn, { payload }) => conn.server.append(payload.batch)

// After these the client sends the push again, whether it was stored or not.
const lostAnswers = {
  'a close before the answer': (conn) => conn.close(1011),
  'an end before the answer': (conn) => conn.end(),
  'a cut before the answer': (conn) => conn.cut(),
  'a close after the commit': (conn, message) => (stores(conn, message), conn.close(1012)),
  'a cut after the commit': (conn, message) => (stores(conn, message), conn.cut()),
  'half an answer after the commit': (conn, message) => {
    stores(conn, message)
    conn.raw(frame(JSON.stringify(success(message.id, {}))).subarray(0, 20))
    conn.end()
  },
  'a defect of the socket': (conn) => conn.send({ _tag: 'Defect', defect: 'it broke' }),
  'an interruption': (conn, { id }) => conn.send(failure(id, { _tag: 'Interrupt', fiberId: { _tag: 'None' } })),
  'garbage': (conn, message) => (stores(conn, message), conn.raw(frame('{"_tag":'))),
}

// After these it knows that the push was stored.
const goodAnswers = {
  'a success of null': (conn, message) => (stores(conn, message), conn.send(success(message.id, null))),
  'a success without a value': (conn, message) => {
    stores(conn, message)
    conn.send(exit(message.id, { _tag: 'Success' }))
  },
  'a success with a number as its id': (conn, message) => {
    stores(conn, message)
    conn.send(success(Number(message.id), {}))
  },
  'a success that comes twice': (conn, message) => {
    stores(conn, message)
    conn.send(success(message.id, {}), success(message.id, {}))
  },
  'a success after that of another request': (conn, message) => {
    conn.send(success('4711', {}))
    stores(conn, message)
    conn.send(success(message.id, {}))
  },
  'a success before its events come': (conn, message) => {
    conn.send(success(message.id, {}))
    stores(conn, message)
  },
}

// These it passes on: the answer, what the caller is told, and of what.
const errors = [
  ['ServerAhead', (id) => fail(id, ahead(9, 5)), { status: 'SERVER_AHEAD', minimumExpected: 9, provided: 5 }],
  ['ServerAhead, v4', (id) => failure(id, [{ _tag: 'Fail', error: ahead(9, 5) }]), { status: 'SERVER_AHEAD', minimumExpected: 9 }],
  [
    'another backend id',
    (id) => fail(id, { _tag: 'BackendIdMismatchError', expected: 'theirs', received: 'ours' }),
    { status: 'BACKEND_ID_MISMATCH', expectedId: 'theirs', receivedId: 'ours' },
  ],
  ['an unknown error', (id) => fail(id, { _tag: 'UnknownError', cause: 'the moon' }), { status: 'UNKNOWN', says: /the moon/ }],
  ['an unknown error without a cause', (id) => fail(id, { _tag: 'UnknownError' }), { status: 'UNKNOWN' }],
  ['an unknown error whose cause is null', (id) => fail(id, { _tag: 'UnknownError', cause: null }), { status: 'UNKNOWN' }],
  [
    'an error that has ServerAhead as its cause',
    (id) => fail(id, { _tag: 'InvalidPushError', cause: ahead(9, 5) }),
    { status: 'SERVER_AHEAD', minimumExpected: 9 },
  ],
  ['an error that nobody knows', (id) => fail(id, { _tag: 'Sulking', why: 'so' }), { status: 'UNKNOWN', says: /Sulking/ }],
  ['a defect, v3', (id) => failure(id, { _tag: 'Die', defect: 'seqNum?' }), { status: 'UNKNOWN', says: /seqNum\?/ }],
  ['a defect, v4', (id) => failure(id, [{ _tag: 'Die', defect: 'seqNum?' }]), { status: 'UNKNOWN', says: /seqNum\?/ }],
  ['a cause that is empty', (id) => failure(id, { _tag: 'Empty' }), { status: 'UNKNOWN' }],
]

/** A server with five events, a client that pushes the next two. */
const pushTwo = async (t, fault, options = {}) => {
  const server = await startFakeServer(t, { hooks: { message: first('Push', fault, Infinity) }, log: makeEvents(5) })
  const driver = await startDriver(t, server.ws, 'store', options)
  driver.do('push 6 2 5 10')
  return { server, driver, pushed: await driver.told('pushed') }
}

export const tests = [
  ...Object.entries({ ...lostAnswers, ...goodAnswers }).flatMap(([what, fault]) =>
    [false, true].map((strict) => ({
      name: `a push that is answered by ${what} is stored once${strict ? ', also where a repeated push is refused' : ''}`,
      run: (t) => survive(t, { hooks: { message: first('Push', fault) }, server: { strict } }),
    })),
  ),
  {
    name: 'a push that is not answered is sent again on a new connection',
    run: async (t) => {
      const hooks = { message: first('Push', stores) }
      const { server } = await survive(t, { hooks, server: { strict: true }, options: { request_timeout_ms: 300 } })
      assert.ok(server.connections.length >= 2)
    },
  },
  ...errors.map(([what, answer, wanted]) => ({
    name: `a push that is answered by ${what} ends with that`,
    run: async (t) => {
      const { pushed, server } = await pushTwo(t, (conn, { id }) => conn.send(answer(id)))
      const { says = /./, ...fields } = wanted
      assert.equal(pushed.count, 0)
      assert.match(pushed.message, says)
      for (const [name, value] of Object.entries(fields)) assert.equal(pushed[name], value, name)
      assert.equal(server.count('SyncWsRpc.Push'), 1)
    },
  })),
  {
    name: 'a batch that the server only ever has a defect for ends, and the socket is not worn out',
    run: async (t) => {
      const { pushed, server } = await pushTwo(t, (conn) => conn.send({ _tag: 'Defect', defect: 'poison' }))
      assert.equal(pushed.status, 'UNKNOWN')
      assert.match(pushed.message, /poison/)
      assert.ok(server.count('SyncWsRpc.Push') <= 5)
    },
  },
  {
    name: 'a batch that is too big for the server ends, with the close code as its reason',
    run: async (t) => {
      const { pushed } = await pushTwo(t, (conn) => conn.close(1009, 'too big'))
      assert.notEqual(pushed.status, 'OK')
      assert.equal(pushed.count, 0)
    },
  },
  {
    name: 'of a long push whose third batch is refused, two hundred events are acknowledged',
    run: async (t) => {
      let batches = 0
      const hooks = {
        message: (conn, message) => {
          if (!message.tag?.endsWith('Push') || ++batches < 3) return false
          conn.send(fail(message.id, { _tag: 'UnknownError', cause: 'full' }))
          return true
        },
      }
      const server = await startFakeServer(t, { hooks })
      const driver = await startDriver(t, server.ws, 'store')
      driver.do('push 1 350 0 10')
      const pushed = await driver.told('pushed')
      assert.equal(pushed.status, 'UNKNOWN')
      assert.equal(pushed.count, 200)
      checkEvents(server.log, 200)
    },
  },
  {
    name: 'events that break a rule are refused before anything is sent',
    run: async (t) => {
      const server = await startFakeServer(t)
      const driver = await startDriver(t, server.ws, 'store')
      driver.do('push 5 2 5 10') // its own parent
      const refused = await driver.told('push')
      assert.equal(refused.status, 'INVALID')
      assert.match(refused.message, /events\[0\]/)
      assert.equal(server.count('SyncWsRpc.Push'), 0)
    },
  },
]
