// http: HTTP/1.1 by hand: any bytes go out, and each response is read strictly. Every response but
// 1xx must carry the CORS header; that is checked here, so that all tests check it.
import assert from 'node:assert/strict'
import { Wire } from './wire.mjs'

export function buildRequest(method, target, { headers = {}, body = null, version = '1.1' } = {}) {
  const lines = [`${method} ${target} HTTP/${version}`]
  const all = { host: 'localhost', ...headers }
  if (body !== null && !('content-length' in all) && !('transfer-encoding' in all)) {
    all['content-length'] = Buffer.byteLength(body)
  }
  for (const [name, value] of Object.entries(all)) {
    if (value !== undefined) {
      lines.push(`${name}: ${value}`)
    }
  }
  const head = Buffer.from(lines.join('\r\n') + '\r\n\r\n', 'latin1')
  return body === null ? head : Buffer.concat([head, Buffer.from(body)])
}

export function parseHead(text) {
  const [statusLine, ...lines] = text.split('\r\n')
  const [, minor, status, reason] = /^HTTP\/1\.([01]) (\d{3}) (.*)$/.exec(statusLine)
  const headers = {}
  for (const line of lines) {
    const [, name, value] = /^([^\s:]+):[ \t]*(.*?)[ \t]*$/.exec(line)
    assert.ok(!(name.toLowerCase() in headers), `the header ${name} is repeated`)
    headers[name.toLowerCase()] = value
  }
  return { minor: Number(minor), status: Number(status), reason, headers }
}

// Takes the chunks of a body that have come whole, into `body`; true at the last one.
export function takeChunks(wire, body) {
  for (;;) {
    const bytes = wire.bytes
    const lineEnd = bytes.indexOf('\r\n')
    if (lineEnd < 0) {
      return false
    }
    const line = bytes.toString('latin1', 0, lineEnd)
    assert.match(line, /^[0-9a-fA-F]+$/, 'a chunk size')
    const size = parseInt(line, 16)
    const start = lineEnd + 2
    if (bytes.length < start + size + 2) {
      return false
    }
    assert.equal(bytes.toString('latin1', start + size, start + size + 2), '\r\n')
    body.push(Buffer.from(bytes.subarray(start, start + size)))
    wire.skip(start + size + 2)
    if (size === 0) {
      return true
    }
  }
}

function withText(response) {
  response.text = response.body.toString('utf8')
  response.json = () => JSON.parse(response.text)
  return response
}

export class HttpClient {
  constructor(wire) {
    this.wire = wire
  }

  static async connect(server, options = {}) {
    return new HttpClient(await Wire.connect({ port: server.port, ...options }))
  }

  send(method, target, options) {
    this.wire.write(buildRequest(method, target, options))
  }

  #takeHead() {
    const bytes = this.wire.bytes
    const headEnd = bytes.indexOf('\r\n\r\n')
    if (headEnd < 0) {
      return null
    }
    const head = parseHead(bytes.toString('latin1', 0, headEnd))
    this.wire.skip(headEnd + 4)
    return head
  }

  // The next response. `method` is the request's, since HEAD has no body.
  async response({ method = 'GET', cors = true } = {}) {
    const head = await this.wire.until(() => this.#takeHead(), "a response's head", {})
    if (head.status < 200) {
      return withText({ ...head, body: Buffer.alloc(0) })
    }
    if (cors) {
      assert.equal(head.headers['access-control-allow-origin'], '*', `CORS: ${head.status}`)
    }
    const length = head.headers['content-length']
    const chunked = head.headers['transfer-encoding'] === 'chunked'
    assert.ok(!(length !== undefined && chunked), 'both lengths in a response')
    if (method === 'HEAD' || head.status === 204 || head.status === 304) {
      return withText({ ...head, body: Buffer.alloc(0) })
    }
    if (chunked) {
      const pieces = []
      await this.wire.until(() => takeChunks(this.wire, pieces), 'a body')
      return withText({ ...head, body: Buffer.concat(pieces), chunks: pieces.length - 1 })
    }
    if (length !== undefined) {
      const bytes = Number(length)
      await this.wire.until(() => this.wire.bytes.length >= bytes, 'a body')
      const body = Buffer.from(this.wire.bytes.subarray(0, bytes))
      this.wire.skip(bytes)
      return withText({ ...head, body })
    }
    await this.wire.untilClosed('the end of the connection, which ends the body')
    const body = Buffer.from(this.wire.bytes)
    this.wire.skip(body.length)
    return withText({ ...head, body })
  }

  async ask(method, target, options = {}) {
    this.send(method, target, options)
    return this.response({ method })
  }

  close() {
    this.wire.destroy()
  }
}

// One request on a connection of its own.
export async function ask(server, method, target, options = {}) {
  const client = await HttpClient.connect(server, options.connect)
  try {
    return await client.ask(method, target, options)
  } finally {
    client.close()
  }
}

// Sends these bytes on a connection of its own, and gives the one response to them.
export async function askRaw(server, bytes, { method } = {}) {
  const client = await HttpClient.connect(server)
  try {
    client.wire.write(bytes)
    return await client.response({ method })
  } finally {
    client.close()
  }
}

export const syncTarget = (storeId, transport = 'http') => `/?${new URLSearchParams({ storeId, transport })}`
